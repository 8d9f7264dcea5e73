"""Numbers that a search holds for one replica."""

import math

from raysweep.tasks import data
from raysweep.tasks.nas.settings import NasSettings
from raysweep.tasks.nas.space import EDGES, OPERATIONS
from raysweep.tasks.nas.supernet import STAGES

OF_SELECTED = 3  # images kept of one operation: rectified, convolved, normalised
OF_EVERY = 9  # of all operations of an edge, with their products
OF_REDUCTION = 8  # of the block between stages


def weights(settings: NasSettings) -> int:
    """Return the number of the supernet's weights, and of logits."""
    sizes = settings.sizes
    kernels = sum(math.prod(shape) for shape in sizes.shapes().values())
    return kernels + (sizes.features + 1) * sizes.classes + len(EDGES) * len(OPERATIONS)


def activations(settings: NasSettings) -> int:
    """Return the number of activations of an update, the largest of both kinds."""
    channels, *sides = data.get(settings.dataset).shape
    pixels, width = math.prod(sides), settings.channels
    per_edge = OF_EVERY if settings.unselected == "evaluated" else OF_SELECTED
    count = channels * pixels + 2 * width * pixels
    for stage in range(STAGES):
        image = width * 2**stage * pixels // 4**stage
        count += settings.cells * (len(EDGES) * (per_edge + 1)) * image
        if stage > 0:
            count += OF_REDUCTION * image
    return settings.batch_size * count

"""Differentiable search of a cell: GDAS with any estimator whose samples carry the gradient."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from raysweep.estimators.base import Estimator, PathwiseEstimator
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Metric, Replica, Task
from raysweep.tasks.data import nats_bench
from raysweep.tasks.nas.cells import LOOKED_UP
from raysweep.tasks.nas.memory import activations, weights
from raysweep.tasks.nas.search import SupernetSearch
from raysweep.tasks.nas.settings import NasSettings
from raysweep.tasks.nas.space import EDGES, OPERATIONS
from raysweep.tasks.training.loop import training_bytes
from raysweep.tasks.training.sampled import refusal


class Nas(Task[Estimator]):
    """Minimisation of a supernet's loss over the six operations of its cells, and their weights.

    Each edge of a NATS-Bench cell is a categorical variable with five operations. Every step
    draws a cell, updates the weights of its operations on one batch, then draws another and
    updates the logits on a batch of other images. The most probable cell at the end is looked up
    in the benchmark, which has trained it. Only estimators whose samples carry the gradient can
    search.

    Departures from the published code: batches are normalised without learned factors or running
    moments everywhere, not in cells alone; an incomplete last batch of an epoch is left out;
    temperatures change at every step, not at every epoch; images for the architecture are
    shuffled once per epoch, not drawn with repetition, and are the last training images or the
    first test images, not the published random halves; images are standardised by the mean and
    deviation of those for the weights; ImageNet-16-120's are shifted by up to 4 pixels, not 2.

    References:
        Liu et al. (2023), arXiv:2304.08612, section 6.4; Dong, Yang (2019), arXiv:1910.04465.
        Dong, Liu, Musial, Gabrys (2021), arXiv:2009.00437, for the space and its accuracies.
    """

    name: ClassVar[str] = "nas"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = NasSettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "nats", "cross-entropy of the sampled cells in weight updates"),
        "train_accuracy": Metric("max", "", "accuracy of the sampled cells in weight updates"),
        "architecture_loss": Metric(
            "min", "nats", "cross-entropy of the sampled cells in architecture updates"
        ),
        "architecture_accuracy": Metric(
            "max", "", "accuracy of the sampled cells in architecture updates"
        ),
        "entropy": Metric("min", "nats", "mean entropy of an edge's operations after an update"),
        "final_architecture_loss": Metric(
            "min",
            "nats",
            "cross-entropy of the most probable cell, with the supernet's weights, on images for "
            "the architecture",
            at_end=True,
        ),
        "final_architecture_accuracy": Metric(
            "max",
            "",
            "accuracy of the most probable cell, with the supernet's weights, on images for the "
            "architecture",
            at_end=True,
        ),
        "final_entropy": Metric("min", "nats", "mean entropy of an edge's operations", at_end=True),
        **LOOKED_UP,
    }
    family: ClassVar[str] = "categorical"

    def check(self, settings: NasSettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None."""
        return refusal("nas", "cell per update", estimator, len(EDGES), len(OPERATIONS))

    def prepare(self, settings: NasSettings, folder: Path | None) -> None:
        """Make images and accuracies available; for the errors see `Task.prepare`."""
        nats_bench.fetch(folder, full=settings.full)
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: NasSettings, estimator: Estimator) -> int:
        """Return the bytes of weights, optimizer state, and the activations of an update."""
        return training_bytes(weights(settings), activations(settings), settings)

    def start(
        self,
        settings: NasSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> SupernetSearch:
        """Build the search of a pack at step 0.

        Raises:
            TypeError: If the samples of the estimator carry no gradient.
        """
        if not isinstance(estimator, PathwiseEstimator):
            raise TypeError(f"expected an estimator with samples, got {estimator.name}")
        estimator.build(len(EDGES), len(OPERATIONS), replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        return SupernetSearch(settings, replicas, estimator, device)

"""Images of a pack for the updates of weights, and others for those of the architecture."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.images.augmentation import augment
from raysweep.tasks.nas.settings import NasSettings
from raysweep.tasks.training.batches import BatchSampler


class Batch(NamedTuple):
    """Images of every replica, less the mean of each channel and divided by its deviation.

    Mean and deviation are those of all images for the weights, before they are augmented.

    Args:
        x: Images, `R B C H W`.
        labels: Class of each image.
    """

    x: Float[Tensor, "R B C H W"]
    labels: Int[Tensor, "R B"]


class Part:
    """Images for one kind of update, in an order of its own for each replica.

    Args:
        rows: Images, as rows of values.
        labels: Class of each image.
        settings: Settings of the task.
        seeds: Seed of each replica; decides order and augmentation.
        purpose: Name of the updates, which separates their random numbers.
    """

    def __init__(
        self,
        rows: Float[Tensor, "N D"],
        labels: Int[Tensor, " N"],
        settings: NasSettings,
        seeds: Sequence[int],
        purpose: str,
    ) -> None:
        self.images = rows.unflatten(1, data.get(settings.dataset).shape)
        self.labels = labels
        size = settings.batch_size
        self.order = BatchSampler(seeds, len(rows), size, rows.device, f"order of {purpose}")
        self._augmentation = settings.augmentation
        self._draws = Noise(seeds=list(seeds), purpose=f"augment {purpose}")

    def batch(self, step: int) -> Batch:
        """Return the images of a step, counted from 0, before they are standardised."""
        indices = self.order.batch(step)
        images = self.images[indices]
        self._draws.at(step)
        return Batch(augment(images, self._augmentation, self._draws), self.labels[indices])

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.order.select(keep)
        self._draws.select(keep)


class SearchImages:
    """Data set on the device, divided between both kinds of updates.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica.
        device: Device of the images.
    """

    def __init__(self, settings: NasSettings, seeds: Sequence[int], device: torch.device) -> None:
        name, kept = settings.dataset, settings.validation_examples
        loaded = data.load(name, device, DTYPES[settings.dtype], validation=kept)
        labels = data.load_labels(name, device, kept)
        self._weights = Part(loaded.train, labels.train, settings, seeds, "weights")
        rows, classes = loaded.valid, labels.valid
        if settings.architecture_set == "test":
            count = settings.architecture_examples
            rows, classes = loaded.test[:count], labels.test[:count]
        self._architecture = Part(rows, classes, settings, seeds, "architecture")
        self._size, self._limit = settings.batch_size, settings.evaluation_examples
        pixels = self._weights.images
        self._mean = pixels.mean((0, 2, 3)).view(-1, 1, 1)
        # a channel without any contrast stays as it is
        deviation = pixels.std((0, 2, 3), unbiased=False).view(-1, 1, 1)
        self._deviation = torch.where(deviation > 0, deviation, 1)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that hold every image for the weights once."""
        return self._weights.order.steps_per_epoch

    def for_weights(self, step: int) -> Batch:
        """Return the images of an update of the weights."""
        return self._standardised(self._weights.batch(step))

    def for_architecture(self, step: int) -> Batch:
        """Return the images of an update of the architecture."""
        return self._standardised(self._architecture.batch(step))

    def evaluated(self, replicas: int) -> Iterator[Batch]:
        """Yield the architecture's images once, unchanged, in batches; every replica has the same.

        An incomplete last batch is left out: batches are normalised by their own moments.
        """
        images = self._architecture.images[: self._limit]
        labels = self._architecture.labels[: self._limit]
        size = min(self._size, len(images))
        for start in range(0, len(images) - size + 1, size):
            rows = slice(start, start + size)
            x = images[rows].expand(replicas, *images[rows].shape)
            yield self._standardised(Batch(x, labels[rows].expand(replicas, -1)))

    def _standardised(self, batch: Batch) -> Batch:
        return Batch((batch.x - self._mean) / self._deviation, batch.labels)

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self._weights.select(keep)
        self._architecture.select(keep)

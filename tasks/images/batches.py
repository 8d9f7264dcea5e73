"""Images of a pack: training batches, validation images and test images."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.images.settings import ImageSettings
from raysweep.tasks.training.batches import BatchSampler


class Images:
    """Data set on the device, prepared as the settings say.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica; decides the order and the dynamic binarisation.
        device: Device of the images.
    """

    def __init__(self, settings: ImageSettings, seeds: Sequence[int], device: torch.device) -> None:
        self._settings, self._device = settings, device
        loaded = self._load(settings.binarisation)
        limit = settings.evaluation_examples
        self.train: Float[Tensor, "N D"] = loaded.train
        self.valid: Float[Tensor, "V D"] = loaded.valid[:limit]
        self.test: Float[Tensor, "M D"] = loaded.test[:limit]
        self.order = BatchSampler(seeds, len(loaded.train), settings.batch_size, device)
        self._test_order: BatchSampler | None = None
        self._draws = None
        if settings.binarisation == "dynamic":
            self._draws = Noise(seeds=list(seeds), purpose="binarise")

    def _load(self, binarisation: data.Binarisation) -> data.Data:
        settings = self._settings
        return data.load(
            settings.dataset,
            self._device,
            DTYPES[settings.dtype],
            binarisation,
            settings.validation_examples,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that hold every image once."""
        return self.order.steps_per_epoch

    def mean(self) -> Float[Tensor, " D"]:
        """Return the mean training image."""
        return self.train.mean(0)

    def first(self, count: int | None) -> Float[Tensor, "n D"]:
        """Return the first training images, all if None; dynamic binarisation becomes static."""
        images = self.train
        if self._draws is not None:
            images = self._load("static").train
        return images[:count]

    def batch(self, step: int) -> Float[Tensor, "R B D"]:
        """Return the images of a step, counted from 0."""
        order = self.order.batch(step)
        x = self.train.index_select(0, order.flatten()).unflatten(0, order.shape)
        if self._draws is None:
            return x
        self._draws.at(step)
        return (self._draws.uniform(*x.shape, dtype=x.dtype, device=x.device) < x).to(x.dtype)

    def sample_test(self, seeds: Sequence[int]) -> None:
        """Prepare batches of test images.

        Args:
            seeds: Seed of each replica.

        Raises:
            ValueError: If a batch is larger than the test set.
        """
        size = self._settings.batch_size
        self._test_order = BatchSampler(seeds, len(self.test), size, self._device)

    def test_batch(self, step: int) -> Float[Tensor, "R B D"] | None:
        """Return the test images of a step, or None if `sample_test` was not called."""
        if self._test_order is None:
            return None
        order = self._test_order.batch(step)
        return self.test.index_select(0, order.flatten()).unflatten(0, order.shape)

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.order.select(keep)
        if self._test_order is not None:
            self._test_order.select(keep)
        if self._draws is not None:
            self._draws.select(keep)


def upper_half(dataset: str) -> int:
    """Return the number of pixels of the upper half of a data set's images.

    Pixels are stored row by row and sides are even, so that a half has whole rows.

    Args:
        dataset: Name of the data set.
    """
    return data.get(dataset).features // 2

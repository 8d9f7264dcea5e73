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

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.order.select(keep)
        if self._draws is not None:
            self._draws.select(keep)

"""Which images a pack sees: batches to train with, and the images to validate and test with."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.training.batches import BatchSampler
from raysweep.tasks.vae.settings import EncoderDecoderSettings


class Images:
    """The data set on the device, as settings ask for it.

    Args:
        settings: Of the task.
        seeds: One per replica; they decide the order, and what is drawn anew.
        device: Where the images are wanted.
    """

    def __init__(
        self, settings: EncoderDecoderSettings, seeds: Sequence[int], device: torch.device
    ) -> None:
        self._settings, self._device = settings, device
        found = self._load(settings.binarisation)
        most = settings.evaluation_examples
        self.train: Float[Tensor, "N D"] = found.train
        self.valid: Float[Tensor, "V D"] = found.valid[:most]
        self.test: Float[Tensor, "M D"] = found.test[:most]
        self.order = BatchSampler(seeds, len(found.train), settings.batch_size, device)
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
        """Batches that hold every image once."""
        return self.order.steps_per_epoch

    def mean(self) -> Float[Tensor, " D"]:
        """The mean training image."""
        return self.train.mean(0)

    def first(self, count: int | None) -> Float[Tensor, "n D"]:
        """The first training images, all if None, binarised once where batches are anew."""
        found = self.train
        if self._draws is not None:
            found = self._load("static").train
        return found[:count]

    def batch(self, step: int) -> Float[Tensor, "R B D"]:
        """The images of a step, counted from 0."""
        order = self.order.batch(step)
        x = self.train.index_select(0, order.flatten()).unflatten(0, order.shape)
        if self._draws is None:
            return x
        self._draws.at(step)
        return (self._draws.uniform(*x.shape, dtype=x.dtype, device=x.device) < x).to(x.dtype)

    def select(self, keep: Tensor) -> None:
        """Drops replicas: `keep` is a boolean mask or indices, over the present ones."""
        self.order.select(keep)
        if self._draws is not None:
            self._draws.select(keep)

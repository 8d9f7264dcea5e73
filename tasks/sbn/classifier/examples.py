"""Labelled examples of a pack: training batches, and examples that are evaluated."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.images.augmentation import augment
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings
from raysweep.tasks.training.batches import BatchSampler


class Batch(NamedTuple):
    """Training examples of one step.

    Args:
        x: Inputs of the network, `R B *shape`.
        labels: Class of each example.
        indices: Positions of the examples in the training set.
    """

    x: Float[Tensor, "R B *shape"]
    labels: Int[Tensor, "R B"]
    indices: Int[Tensor, "R B"]


class Examples:
    """Data set on the device.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica; decides the order and the augmentation.
        device: Device of the examples.
    """

    def __init__(
        self, settings: SbnClassifierSettings, seeds: Sequence[int], device: torch.device
    ) -> None:
        name, validation = settings.dataset, settings.validation_examples
        loaded = data.load(name, device, DTYPES[settings.dtype], validation=validation)
        labels = data.load_labels(name, device, validation)
        self._shape = settings.shapes[0]
        self._image = data.get(name).shape
        self._rows, self._labels = loaded.train, labels.train
        limit = settings.evaluation_examples
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}
        if settings.evaluate_training:
            self.parts["train"] = loaded.train[:limit], labels.train[:limit]
        if len(loaded.valid):
            self.parts["valid"] = loaded.valid[:limit], labels.valid[:limit]
        self.parts["test"] = loaded.test[:limit], labels.test[:limit]
        self.order = BatchSampler(seeds, len(loaded.train), settings.batch_size, device)
        self._augmentation = settings.augmentation
        self._draws = Noise(seeds=list(seeds), purpose="augment")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that hold every example once."""
        return self.order.steps_per_epoch

    def inputs(self, rows: Float[Tensor, "*n D"]) -> Float[Tensor, "..."]:
        """Return examples `*n *shape`, in the shape of the network's input."""
        return rows.unflatten(-1, self._shape)

    def at(self, indices: Int[Tensor, "R n"]) -> Float[Tensor, "R n *shape"]:
        """Return training examples as they are, without augmentation."""
        return self.inputs(self._select_rows(indices))

    def batch(self, step: int) -> Batch:
        """Return the examples of a step, counted from 0."""
        indices = self.order.batch(step)
        rows = self._select_rows(indices)
        if self._augmentation != "none":
            self._draws.at(step)
            images = rows.unflatten(-1, self._image)
            rows = augment(images, self._augmentation, self._draws).flatten(2)
        return Batch(self.inputs(rows), self._labels[indices], indices)

    def _select_rows(self, indices: Int[Tensor, "R n"]) -> Float[Tensor, "R n D"]:
        return self._rows.index_select(0, indices.flatten()).unflatten(0, indices.shape)

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.order.select(keep)
        self._draws.select(keep)

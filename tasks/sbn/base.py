"""Base of the tasks with a network of layers of ±1 units over images."""

from abc import abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch

from raysweep.estimators.layered import LayeredEstimator
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Replica, Task
from raysweep.tasks.sbn.belief import BeliefNetwork, Widths
from raysweep.tasks.sbn.settings import BeliefSettings
from raysweep.tasks.training.loop import GradientTraining, training_bytes

Settings = TypeVar("Settings", bound=BeliefSettings)


class BeliefTask(Task[LayeredEstimator], Generic[Settings]):
    """Task with layers of ±1 units over images; a subclass adds the model.

    Attributes:
        reads_last_layer: Whether the loss reads the last layer alone.
    """

    family: ClassVar[str] = "layered"
    reads_last_layer: ClassVar[bool]

    @abstractmethod
    def model(self, settings: Settings, seeds: list[int], device: torch.device) -> BeliefNetwork:
        """Build the network and the images of replicas with these seeds."""

    @abstractmethod
    def widths(self, settings: Settings) -> Widths:
        """Return the widths of all maps; read no data."""

    def check(self, settings: Settings, estimator: LayeredEstimator) -> str | None:
        """Return the reason why this pair cannot run, or None; read no data."""
        return settings.batch_refusal() or estimator.check(
            settings.latents,
            head=self.reads_last_layer,
            linear=settings.conditional == "linear",
        )

    def prepare(self, settings: Settings, folder: Path | None) -> None:
        """Download the data set into a folder, the default one if None, unless it is there."""
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: Settings, estimator: LayeredEstimator) -> int:
        """Return the bytes of maps, optimizer state and units; read no data."""
        inference, generative, fitted = (
            [[before, *settings.map_hidden, after] for before, after in maps]
            for maps in self.widths(settings)
        )
        trained = sum(map(_parameters, (inference, generative, fitted)))
        units = sum(map(sum, [*inference, *generative, *fitted]))
        outputs = settings.batch_size * estimator.evaluations(len(settings.latents)) * units
        moments = 2 * _parameters(inference) * DTYPES[settings.dtype].itemsize
        return training_bytes(trained, outputs, settings) + (
            moments if settings.gradient_variance else 0
        )

    def start(
        self,
        settings: Settings,
        replicas: list[Replica],
        estimator: LayeredEstimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build a pack's training at step 0; baselines read the centred image."""
        model = self.model(settings, [replica.seed for replica in replicas], device)
        features = data.get(settings.dataset).features
        estimator.build(len(settings.latents), context=features, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        window = model.images.steps_per_epoch
        return GradientTraining(model, estimator, settings, replicas, default_window=window)


def _parameters(maps: list[list[int]]) -> int:
    """Return the number of weights and biases of maps, by the widths of their layers."""
    return sum((before + 1) * after for layers in maps for before, after in pairwise(layers))

"""Mathematics of a stacked task: weights of all runs, and the user's loss of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Replica, TrainingSettings, replica_values
from raysweep.tasks.pauses import pause
from raysweep.tasks.stacked import build
from raysweep.tasks.stacked.call import Pattern, StackedLoss
from raysweep.tasks.stacked.data import Examples
from raysweep.tasks.stacked.definition import LOSS, Definition
from raysweep.tasks.training import layers
from raysweep.tasks.training.batches import BatchSampler
from raysweep.tasks.training.loop import Losses, Model


class Constants(nn.Module):
    """Tensors `R ...` that are not trained: buffers and frozen parameters.

    Args:
        tensors: Tensors in the order of their names.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        for index, tensor in enumerate(tensors):
            self.register_buffer(str(index), tensor)


class StackedModel(Model):
    """Modules of all runs of a pack, each from its seed, and the loss of a step.

    Args:
        definition: Definition of the task.
        settings: Settings of the pack; a replica's own values take precedence.
        replicas: Replicas in the order of the axis `R`.
        examples: Examples on the device.
        pattern: Random numbers and kernels of a step.
        device: Device of the training.
    """

    def __init__(
        self,
        definition: Definition,
        settings: TrainingSettings,
        replicas: Sequence[Replica],
        examples: Examples,
        pattern: Pattern,
        device: torch.device,
    ) -> None:
        super().__init__()
        self._definition, self._settings, self._examples = definition, settings, examples
        self._replicas, self._pattern = list(replicas), pattern
        self._format = DTYPES[settings.dtype], device
        function = definition.functions.build
        modules = [
            build.build(function, replica.seed, definition.values("build", settings, replica))
            for replica in replicas
        ]
        build.check_alike(function, modules)
        trained, constant = build.stack(modules, *self._format)
        self.weights = nn.ParameterList(nn.Parameter(one) for one in trained.values())
        self.constants = Constants(list(constant.values()))
        shared = definition.values("loss", settings)
        self._own = [name for name in shared if name in definition.per_run]
        for name in self._own:
            del shared[name]
        names = [*trained, *constant]
        self._loss = StackedLoss(definition, modules[0], names, pattern, shared)
        seeds = [replica.seed for replica in replicas]
        self._order = BatchSampler(seeds, examples.count, settings.batch_size, device)
        self.steps_per_epoch = self._order.steps_per_epoch
        self._list_tensors()

    def losses(self, step: int, estimator: Any, noise: Noise) -> Losses:
        """Return the loss of every run, one number each, so that the axis `B` has one entry."""
        numbers = [
            one.draw(noise, len(self._replicas), *self._format) for one in self._pattern.requests
        ]
        batch = self._examples.batch(self._order.batch(step))
        values, metrics = self._loss(self._tensors, batch, numbers, self._values)
        return Losses(values.unsqueeze(1), None, {LOSS: values.detach(), **metrics})

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the metrics of the user's evaluation, run after run."""
        if self._definition.functions.evaluate is None:
            return {}
        rows = []
        for index, replica in enumerate(self._replicas):
            pause()
            values = self._definition.values("evaluate", self._settings, replica)
            weights = [tensor[index] for tensor in self._tensors]
            rows.append(self._loss.evaluate(weights, self._examples.parts, values))
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        layers.select(self, keep)
        self._order.select(keep)
        kept = torch.arange(len(self._replicas))[keep.cpu()]
        self._replicas = [self._replicas[index] for index in kept.tolist()]
        self._list_tensors()

    def _list_tensors(self) -> None:
        """List tensors and settings once, as walking through modules takes time at every step."""
        self._tensors = [*self.weights.parameters(), *self.constants.buffers()]
        dtype, device = self._format
        self._values = {
            name: torch.tensor(
                replica_values(name, self._settings, self._replicas), dtype=dtype, device=device
            )
            for name in self._own
        }

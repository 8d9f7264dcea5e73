"""The decorator `stacked_task`, which makes a task of the functions of one run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from raysweep.estimators.method import Method
from raysweep.tasks.base import (
    DTYPES,
    NO_FAMILY,
    Replica,
    Task,
    TrainingSettings,
)
from raysweep.tasks.data.base import folder as data_folder
from raysweep.tasks.functions.metrics import Declared
from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.functions.source import text_of
from raysweep.tasks.stacked import build
from raysweep.tasks.stacked.data import Examples, load
from raysweep.tasks.stacked.definition import Definition, Functions, define
from raysweep.tasks.stacked.memory import activations
from raysweep.tasks.stacked.model import StackedModel
from raysweep.tasks.stacked.probe import probe
from raysweep.tasks.training.loop import GradientTraining, training_bytes

Build = Callable[..., nn.Module]


class StackedTask(Task[Method[Any]]):
    """Minimisation of a loss that the user wrote for one run, for all runs of a pack at once.

    Attributes:
        definition: Functions of the user, with their settings.
        function: Function that builds the module of a run.
    """

    definition: ClassVar[Definition]
    function: ClassVar[Build]

    def check(self, settings: TrainingSettings, estimator: Method[Any]) -> str | None:
        """Accept every point, as `prepare` checks it with data."""
        return None

    def prepare(self, settings: TrainingSettings, folder: Path | None) -> None:
        """Read the data, and check on the CPU that runs can be stacked.

        Raises:
            FileNotFoundError: If the user's function finds no data.
            ValueError: If a function has a mistake, in one line with what to do.
        """
        cpu = torch.device("cpu")
        probe(self.definition, settings, self._examples(settings, folder, cpu), cpu)

    def replica_bytes(self, settings: TrainingSettings, estimator: Method[Any]) -> int:
        """Return the bytes of weights, optimizer state and roughly of activations; read no data."""
        values = self.definition.values("build", settings)
        module = build.build(self.definition.functions.build, 0, values)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        constants = sum(buffer.numel() * buffer.element_size() for buffer in module.buffers())
        numbers = settings.batch_size * activations(module)
        return training_bytes(parameters, numbers, settings) + constants

    def start(
        self,
        settings: TrainingSettings,
        replicas: list[Replica],
        estimator: Method[Any],
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0, after checking that its runs can be stacked."""
        examples = self._examples(settings, None, device)
        pattern = probe(self.definition, settings, examples, device)
        model = StackedModel(self.definition, settings, replicas, examples, pattern, device)
        return GradientTraining(
            model, estimator, settings, replicas, default_window=model.steps_per_epoch
        )

    def _examples(
        self, settings: TrainingSettings, folder: Path | None, device: torch.device
    ) -> Examples:
        values = self.definition.values("data", settings)
        root, dtype = folder or data_folder(), DTYPES[settings.dtype]
        return load(self.definition.functions.data, root, tuple(values.items()), dtype, device)

    def __call__(self, **settings: Any) -> nn.Module:
        """Return a module, as the function builds it with these settings."""
        return type(self).function(**settings)

    def __reduce__(self) -> tuple[Any, ...]:
        functions = self.definition.functions
        return make_task, (functions, dict(self.metrics), self.version)


def stacked_task(
    *,
    loss: Callable[..., Any],
    data: Callable[..., Any],
    metrics: Declared,
    evaluate: Callable[..., Any] | None = None,
    version: int = 1,
) -> Callable[[Build], StackedTask]:
    """Make a task of a function that builds the module of one run.

    The runs of a pack train at once: their weights are stacked, and the loss is mapped over them by
    `torch.func.vmap`. The function's name is the task's. Keyword-only arguments of the functions,
    with a type and a default, are settings of the task, beside those of section `training`. Float
    settings that only `loss` and `evaluate` take may differ between the runs of a pack; the loss
    gets them as tensors without axes.

    Args:
        loss: Function of (module, batch, noise) that returns the loss of one run, a tensor with one
            number, or (loss, {name: metric}). It is reported as `train_loss`.
        data: Function from the data folder to `{"train": (x, y), ...}`, tensors that lead with the
            examples.
        metrics: Better values, `"min"` or `"max"`, or a `Metric`, by name; `"train_loss": "min"` is
            among them.
        evaluate: Function of (module, data) that returns final metrics of one run by name, called
            without gradients in evaluation mode; None for none.
        version: Number to raise when the meaning of results changes.

    Raises:
        TaskMistake: If a function is not of this form, in one line with its file and line.

    Returns:
        A decorator, which returns the task in place of the function.
    """

    def decorate(function: Build) -> StackedTask:
        return make_task(Functions(function, loss, data, evaluate), metrics, version)

    return decorate


def make_task(functions: Functions, metrics: Declared, version: int) -> StackedTask:
    """Return the task of these functions; unpickled tasks are made by it, too.

    Raises:
        TaskMistake: If a function is not of the form that `stacked_task` describes.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise TaskMistake(f"stacked_task: expected version to be at least 1, got {version!r}")
    definition = define(functions, metrics)
    function = functions.build
    attributes = {
        "name": function.__name__,
        "version": version,
        "settings": definition.settings,
        "metrics": definition.metrics,
        "family": NO_FAMILY,
        "definition": definition,
        "function": staticmethod(function),
        "source": "\n".join(filter(None, (text_of(one) for _, one in functions.items()))),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    made: StackedTask = type(function.__name__, (StackedTask,), attributes)()
    return made

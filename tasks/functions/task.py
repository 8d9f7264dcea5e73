"""Tasks made of a user's function: `raysweep.task`."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, get_args

import torch

from raysweep.estimators.method import Method, Target
from raysweep.tasks.base import NO_FAMILY, Replica, Task, TrainingSettings, setting
from raysweep.tasks.data import base as data
from raysweep.tasks.functions.estimator import RunEstimator
from raysweep.tasks.functions.generators import Generators
from raysweep.tasks.functions.metrics import Declared, declared_metrics
from raysweep.tasks.functions.run import Loop, Run
from raysweep.tasks.functions.signature import (
    FunctionSettings,
    TaskMistake,
    arguments,
    location,
    meanings_of,
    settings_class,
)
from raysweep.tasks.functions.source import text_of
from raysweep.tasks.functions.training import FunctionTraining
from raysweep.tasks.training.loop import TUNING_RATE
from raysweep.tasks.turns import Turns

Function = Callable[..., Any]
__all__ = ["FunctionTask", "task"]
_EXAMPLE = '@raysweep.task(metrics={"train_loss": "min"})'


class FunctionTask(Task[Method[Any]]):
    """Task whose training is a plain function of the user, one run at a time.

    Attributes:
        function: The user's function.
        arguments: Names of its settings.
    """

    max_replicas = 1
    is_function = True
    targets: ClassVar[frozenset[Target]] = frozenset(get_args(Target))
    function: ClassVar[Function]
    arguments: ClassVar[frozenset[str]]

    def check(self, settings: Any, estimator: Method[Any]) -> str | None:
        """Accept every pair: the function is the user's."""
        return None

    def replica_bytes(self, settings: Any, estimator: Method[Any]) -> int:
        """Return 1, as the memory is not known, and a pack holds one run in any case."""
        return 1

    def start(
        self, settings: Any, replicas: list[Replica], estimator: Method[Any], device: torch.device
    ) -> FunctionTraining:
        """Return the training of the only run.

        Raises:
            ValueError: If there are several runs.
        """
        if len(replicas) != 1:
            raise ValueError(f"{self.name} trains one run at a time, got {len(replicas)}")
        [replica] = replicas
        values = {name: getattr(settings, name) for name in self.arguments}
        run = Run(
            run_id=replica.run_id,
            seed=replica.seed,
            device=device,
            data=data.folder(),
            settings=values,
        )
        run_estimator = self._estimator(settings, estimator, replica.seed)

        def loop(turns: Turns) -> Loop:
            return Loop(
                run,
                turns,
                metrics=self.metrics,
                window=settings.window,
                limit=None if "steps" in self.arguments else settings.steps,
                estimator=run_estimator,
                generators=Generators(replica.seed, device),
            )

        return FunctionTraining(lambda run: self(run, **values), self.owner, loop)

    def _estimator(self, settings: Any, method: Method[Any], seed: int) -> RunEstimator | None:
        if self.family == NO_FAMILY:
            return None
        lr = settings.tuning_lr
        if lr is None:
            lr = TUNING_RATE * getattr(settings, "lr", TrainingSettings.lr)
        return RunEstimator(method, seed, lr, settings.tuning_beta2)

    @property
    def file(self) -> str:
        """File of the function; of a notebook's cell, a file that there need not be."""
        return type(self).function.__code__.co_filename

    @property
    def owner(self) -> str:
        """Name of the task with its file and line, for messages."""
        return f"{self.name} ({location(type(self).function)})"

    def __call__(self, run: Run, **settings: Any) -> Any:
        """Call the function."""
        return type(self).function(run, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make the task again, of the function."""
        made = (type(self).function, self.metrics, self.version, self.family)
        return _made, made


@dataclasses.dataclass(frozen=True, kw_only=True)
class EstimatorSettings(FunctionSettings):
    """Settings of a function whose task takes an estimator, besides its arguments."""

    tuning_lr: float | None = setting(
        None, "learning rate of the estimator's parameters, by adam; ten times lr if not set"
    )
    tuning_beta2: float = setting(0.999, "decay of the second moment of the estimator's parameters")


def task(
    metrics: Declared, *, version: int = 1, family: str | None = None
) -> Callable[[Function], FunctionTask]:
    """Make a task of a function that trains one run.

    Its first argument is the run; the others, which are keyword-only, with a type and a default,
    are its settings. It returns its final metrics, or nothing. One named like a setting of
    `training` (`lr`, `steps`, …) is that setting.

    Args:
        metrics: For each metric that the function reports or returns, `"min"` if smaller values
            are better, `"max"` if larger ones are, or a `Metric`.
        version: Number to raise when the meaning of a result changes: runs then train anew.
        family: Family of the estimators that the function takes as `run.estimator`, such as
            `"categorical"`; None if it takes none.

    Raises:
        TaskMistake: With a line for each mistake in the declaration.
    """

    def decorate(function: Function) -> FunctionTask:
        return _made(function, metrics, version, family or NO_FAMILY)

    if inspect.isfunction(metrics):
        raise TaskMistake(f"{metrics.__name__} ({location(metrics)}): write {_EXAMPLE} above it")
    return decorate


def _made(function: Any, metrics: Any, version: Any, family: str) -> FunctionTask:
    """Return the task of a function.

    Raises:
        TaskMistake: If the declaration has mistakes.
    """
    if not inspect.isfunction(function):
        name = getattr(function, "__qualname__", None) or repr(function)
        kind = "the class" if inspect.isclass(function) else "the object"
        raise TaskMistake(
            f"raysweep.task: expected a function, got {kind} {name}; put the decorator above a "
            "function, def NAME(run, *, …)"
        )
    owner = f"{function.__name__} ({location(function)})"
    mistakes = []
    if not function.__name__.isidentifier():
        mistakes.append(f"{owner}: expected a function with a name; write def NAME(run, *, …)")
    for is_other, kind in (
        (inspect.iscoroutinefunction, "async def"),
        (inspect.isgeneratorfunction, "a generator, with yield"),
    ):
        if is_other(function):
            mistakes.append(f"{owner}: expected a plain function, got {kind}; use run.report")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        mistakes.append(f"{owner}: expected version as a whole number from 1, got {version!r}")
    declared = _collected(lambda: arguments(function, ("run",)), mistakes)
    reported = _collected(lambda: declared_metrics(metrics, owner), mistakes)
    if mistakes:
        raise TaskMistake("\n".join(mistakes))
    base = FunctionSettings if family == NO_FAMILY else EstimatorSettings
    name = f"{function.__name__}_settings"
    attributes = {
        "name": function.__name__,
        "version": version,
        "settings": settings_class(name, declared, base, frozenset(), meanings_of(function)),
        "metrics": reported,
        "family": family,
        "function": staticmethod(function),
        "arguments": frozenset(declared),
        "source": text_of(function),
        "__doc__": function.__doc__,
        "__module__": function.__module__ or "__main__",
    }
    made: FunctionTask = type(function.__name__, (FunctionTask,), attributes)()
    return made


def _collected(read: Callable[[], Mapping[str, Any]], mistakes: list[str]) -> Mapping[str, Any]:
    """Return what a function reads; nothing, and its mistakes in the list, if it raises them."""
    try:
        return read()
    except TaskMistake as mistake:
        mistakes.append(str(mistake))
        return {}

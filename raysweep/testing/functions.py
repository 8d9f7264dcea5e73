"""A check of a task that is a plain function: metrics, seeds and exact resume, in a few steps."""

import contextlib
import functools
import io
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from raysweep import registry
from raysweep.engine.errors_of_runs import files_of, line_of
from raysweep.tasks.base import Replica
from raysweep.tasks.contract import BrokenContract, RestoreError
from raysweep.tasks.functions.task import FunctionTask
from raysweep.tasks.functions.training import FunctionTraining

SEED, STEPS = 3, 4
CPU = torch.device("cpu")

TRACK = (
    "give run.track everything that changes from step to step, such as models, optimizers and "
    "schedulers"
)
Numbers = Mapping[str, float]


class FunctionCheck:
    """Check of a function with one estimator, or without one.

    Args:
        task: Task of the function.
        estimator: Name of the estimator.
        settings: Values of the function's settings; of steps, it takes few unless they are given.
    """

    def __init__(self, task: FunctionTask, estimator: str, settings: Mapping[str, Any]) -> None:
        self.task, self.estimator = task, estimator
        self.settings = task.settings(**{"steps": STEPS, **settings})

    def problems(self) -> list[str]:
        """Return what is wrong, a line each."""
        problems: list[str] = []
        checks: tuple[Callable[[], str | None], ...] = (self.reports, self.repeats, self.resumes)
        for check in checks:
            try:
                problem = check()
            except BrokenContract as error:
                return [*problems, str(error)]
            except RestoreError as error:
                problem = str(error)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the function may raise anything
                files = files_of(self.task.name, self.estimator)
                return [*problems, f"raised {line_of(error, files, of_function=True)}"]
            if problem is not None:
                problems.append(f"{check.__name__}: {problem}")
        return problems

    @functools.cached_property
    def first(self) -> tuple[int, Numbers]:
        """Steps and final metrics of a run that is neither saved nor loaded."""
        with self._started() as training:
            final = _finish(training)
            return training.step, final

    def reports(self) -> str | None:
        """Check that all metrics that are declared are reported or returned, and finite."""
        steps, final = self.first
        bad = [name for name, value in final.items() if not math.isfinite(value)]
        return f"{bad[0]} is {final[bad[0]]} after {steps} steps" if bad else None

    def repeats(self) -> str | None:
        """Check that the seed decides all random numbers."""
        with self._started() as training:
            second = _finish(training)
        if (difference := _difference(self.first[1], second)) is None:
            return None
        return (
            f"two runs of one seed differ, {difference}; draw random numbers from generators that "
            "run.seed decides"
        )

    def resumes(self) -> str | None:
        """Check that a run that is saved and loaded continues as the run does that was not."""
        with self._started() as training:
            if training.length() < 2:
                return None  # a run of one step is never saved
            training.advance(training.length() // 2)
            state = training.state_dict()
            if state is None:
                return f"nothing is tracked, so that an interrupted run starts over; {TRACK}"
            file = io.BytesIO()
            torch.save(state, file)
            through = _finish(training)
        file.seek(0)
        with self._started(torch.load(file, weights_only=True)) as training:
            resumed = _finish(training)
        if (difference := _difference(through, resumed)) is None:
            return None
        return f"a resumed run differs, {difference}; {TRACK}"

    @contextlib.contextmanager
    def _started(self, state: dict[str, Any] | None = None) -> Iterator[FunctionTraining]:
        method = registry.estimator_class(self.task.family, self.estimator)()
        training = self.task.start(self.settings, [Replica("check", SEED, {})], method, CPU)
        try:
            if state is not None:
                training.load_state_dict(state)
            yield training
        finally:
            training.close()


def _finish(training: FunctionTraining) -> Numbers:
    """Train to the end, and return the final metrics."""
    while training.step < training.length():
        training.advance(1)
    return {name: value.item() for name, value in training.evaluate().items()}


def _difference(one: Numbers, other: Numbers) -> str | None:
    for name, value in one.items():
        if value != other[name] and not (math.isnan(value) and math.isnan(other[name])):
            return f"in {name}: {value} and {other[name]}"
    return None

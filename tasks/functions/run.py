"""The run that a user's function trains, as the function sees it."""

import numbers
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from raysweep.tasks.base import Metric
from raysweep.tasks.contract import BrokenContract, RestoreError
from raysweep.tasks.functions.estimator import RunEstimator
from raysweep.tasks.functions.generators import Generators
from raysweep.tasks.functions.metrics import Number, Reports, number
from raysweep.tasks.functions.states import (
    Stateful,
    check_stateful,
    load,
    to_plain,
)
from raysweep.tasks.functions.unnamed import unnamed_objects, unnamed_values
from raysweep.tasks.turns import Turns


class Run:
    """Run of a task: first argument of a function that `raysweep.task` decorates.

    Attributes:
        run_id: Identity of the run.
        seed: Seed of the run. Python's, NumPy's and torch's generators are seeded from it.
        device: Device to train on.
        data: Folder of the data sets.
        settings: Value of each setting, by name.
        step: Number of turns of `steps` that have ended.
    """

    def __init__(
        self,
        *,
        run_id: str,
        seed: int,
        device: torch.device,
        data: Path,
        settings: Mapping[str, Any],
    ) -> None:
        self.run_id, self.seed, self.device, self.data = run_id, seed, device, data
        self.settings = settings
        self.step = 0
        self._loop: Loop | None = None

    @property
    def estimator(self) -> RunEstimator:
        """The estimator of the row, for a task that takes one.

        Raises:
            BrokenContract: If the task takes none.
        """
        estimator = self._bound.estimator
        if estimator is None:
            raise BrokenContract(
                "run.estimator: the task takes no estimator; declare the family of those that it "
                'takes, as in raysweep.task(metrics=…, family="categorical")'
            )
        return estimator

    def track(self, *unnamed: Any, **objects: Any) -> None:
        """Save the state of objects at checkpoints; restore it here when the run resumes.

        Args:
            unnamed: Objects without a name, which are refused.
            objects: Modules, optimizers, schedulers, or any other objects with `state_dict` and
                `load_state_dict`, by names of your choice.

        Raises:
            TypeError: If an object has no such state.
            BrokenContract: If an object has no name, a name is tracked twice, or a turn of `steps`
                has begun.
        """
        if unnamed:
            raise BrokenContract(unnamed_objects(unnamed))
        self._bound.track(objects)

    def steps(self, count: int) -> "Steps":
        """Return an iterable over the steps of the run, from that of the last checkpoint.

        Between two of its turns, runs are saved, stopped early, or ended.

        Args:
            count: Number of steps, from 0 on; those before the checkpoint are left out.

        Raises:
            BrokenContract: If it is no positive number, another one than before the checkpoint, or
                the second one of the run.
        """
        return self._bound.begin(count)

    def report(self, *unnamed: Any, **metrics: Any) -> None:
        """Report metrics that the task declares; several values in one step are averaged.

        Args:
            unnamed: Values without a name, which are refused.
            metrics: Numbers, or tensors with one number, by name.

        Raises:
            BrokenContract: If a value has no name or is no number, or a metric is not declared.
        """
        if unnamed:
            raise BrokenContract(unnamed_values(unnamed, next(iter(self._bound.metrics))))
        for name, value in metrics.items():
            checked = number(name, value, self._bound.metrics, "run.report")
            self._bound.reports.add(name, checked)

    def log(self, text: object) -> None:
        """Print a line, which `raysweep logs` also shows."""
        sys.stdout.write(f"step {self.step}: {text}\n")

    @property
    def _bound(self) -> "Loop":
        if self._loop is None:
            raise BrokenContract("this run does not train")
        return self._loop


class Loop:
    """The steps of a run, and all that is saved at a checkpoint.

    Args:
        run: Run that the user's function gets.
        turns: The function, in its thread.
        metrics: Metrics that the task declares.
        window: Steps that final values average over; None for the last report.
        limit: Most steps; None for no limit.
        estimator: Estimator of the run; None if the task takes none.
        generators: Generators of the run.
    """

    def __init__(
        self,
        run: Run,
        turns: Turns,
        *,
        metrics: Mapping[str, Metric],
        window: int | None,
        limit: int | None,
        estimator: RunEstimator | None,
        generators: Generators,
    ) -> None:
        self.run, self.turns, self.metrics, self.limit = run, turns, metrics, limit
        self.estimator, self.generators = estimator, generators
        self.reports = Reports(window)
        self.total: int | None = None  # until the function has called run.steps
        self.ended: dict[str, Number] = {}  # means of the turn that has just ended
        self._asked: int | None = None
        self._tracked: dict[str, Stateful] = {}
        self._saved: Mapping[str, Any] | None = None  # until it is restored
        run._loop = self

    def track(self, objects: Mapping[str, Any]) -> None:
        """Track objects; restore them if there is a saved state."""
        for name, tracked in objects.items():
            check_stateful(name, tracked)
            if self.total is not None:
                raise BrokenContract(
                    f"run.track: {name!r} must be tracked before the loop over run.steps"
                )
            if name in self._tracked:
                raise BrokenContract(f"run.track: {name!r} is tracked already; choose another name")
            self._tracked[name] = tracked
            if self._saved is not None and self._saved["asked"] is not None:
                if name not in self._saved["tracked"]:
                    raise RestoreError(f"the checkpoint holds no state of {name!r}")
                load(name, tracked, self._saved["tracked"][name])

    def begin(self, count: Any) -> "Steps":
        """Begin the loop over the steps."""
        if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
            raise BrokenContract(
                f"run.steps: expected a whole number of steps, at least 1, got {count!r}"
            )
        if self.total is not None:
            raise BrokenContract("run.steps is called a second time; use one loop for all steps")
        saved, self._saved = self._saved, None
        self._asked = count = int(count)  # which may have been NumPy's
        self.total = count if self.limit is None else min(count, self.limit)
        if saved is not None and saved["asked"] is not None:
            self._resume(saved)
        return Steps(self)

    def _resume(self, saved: Mapping[str, Any]) -> None:
        if saved["asked"] != self._asked:
            raise RestoreError(
                f"the checkpoint is of a run of {saved['asked']} steps, got run.steps("
                f"{self._asked})"
            )
        missing = sorted(set(saved["tracked"]) - set(self._tracked))
        if missing:
            raise RestoreError(
                f"the checkpoint holds the state of {missing[0]!r}, which is no longer tracked"
            )
        self.reports.load_state_dict(saved["reports"])
        if self.estimator is not None:
            self.estimator.load_state_dict(saved["estimator"])
            self.estimator.end_turn(self.run.step)
        self.generators.load_state_dict(saved["generators"])

    def end_turn(self) -> None:
        """End a step, or a function without steps: keep what was reported."""
        self.run.step += 1
        self.ended = self.reports.end_turn(self.run.step, last=self.total is None)
        if self.estimator is not None:
            self.estimator.end_turn(self.run.step)

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state of everything, between two steps; None if nothing is tracked.

        A run with untracked objects would resume in the middle, with new ones.
        """
        if self._saved is not None:
            return dict(self._saved)
        if not self._tracked:
            return None
        tracked = {name: to_plain(one.state_dict(), name) for name, one in self._tracked.items()}
        return {
            "step": self.run.step,
            "asked": self._asked,
            "tracked": tracked,
            "reports": self.reports.state_dict(),
            "estimator": None if self.estimator is None else self.estimator.state_dict(),
            "generators": self.generators.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state, in part when the function tracks its objects."""
        self._saved = state
        self.run.step = state["step"]


class Steps:
    """Iterable over the steps of a run, whose turns the trainer of the run allows one by one.

    Args:
        loop: Loop of the run.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._in_turn = False

    def __len__(self) -> int:
        """Return the number of all steps."""
        return self._loop.total or 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        loop = self._loop
        if self._in_turn:
            self._in_turn = False
            loop.end_turn()
        loop.turns.pause()
        if loop.run.step >= len(self):
            raise StopIteration
        self._in_turn = True
        return loop.run.step

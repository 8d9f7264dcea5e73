"""Number of runs that a sweep file plans: now, and at most by the end of its searches."""

import dataclasses
from collections.abc import Iterable

from raysweep.sweep.options import Budget
from raysweep.sweep.spec import Arm, Spec
from raysweep.text import counted


@dataclasses.dataclass(frozen=True)
class Total:
    """Number of runs that a sweep will hold.

    Args:
        runs: Number of runs; None where only a budget of hours ends the search.
        is_bound: Whether it is an upper bound, as results or a budget decide which runs there are.
    """

    runs: int | None
    is_bound: bool

    def after(self, ended: int, noun: str = "run") -> str:
        """Return the ended runs of all: `12 of 40 runs`, or `12 of up to 40 runs`."""
        if self.runs is None:
            return counted(ended, noun)
        bound = "up to " if self.is_bound and ended < self.runs else ""
        return f"{ended} of {bound}{counted(self.runs, noun)}"

    @property
    def text(self) -> str:
        """The number with its noun, such as `40 runs` or `up to 40 runs`."""
        if self.runs is None:
            return "as many as the budget allows"
        return f"{'up to ' * self.is_bound}{counted(self.runs)}"


def wanted_configurations(spec: Spec, arm: Arm) -> int | None:
    """Return the number of configurations to try of an arm; None if only a budget limits it."""
    if spec.search.sampler == "grid":
        return arm.size
    wanted = spec.search.configurations
    return None if wanted is None else min(wanted, arm.size or wanted)


def planned_runs(spec: Spec) -> int:
    """Return the number of runs that a sweep may plan at most; 0 if only hours limit it."""
    return total_of(spec, 0, (runs_to_come(spec, arm, 0) for arm in spec.arms)).runs or 0


def runs_to_come(spec: Spec, arm: Arm, begun: int, fresh: int | None = None) -> int | None:
    """Return the number of runs that an arm's search may still add.

    Args:
        spec: The sweep to count.
        arm: An arm of the sweep.
        begun: Number of its configurations that have begun.
        fresh: Number of fresh seeds that may still be added; all if None.

    Returns:
        The number; None if only a budget of the sweep, or of hours, limits it.
    """
    seeds, later = len(spec.seeds), len(spec.report_seeds) if fresh is None else fresh
    wanted = wanted_configurations(spec, arm)
    most = None if wanted is None else max(0, wanted - begun) * seeds + (later if wanted else 0)
    if spec.arm_budget.runs is None:
        return most
    left = max(0, spec.arm_budget.runs - begun * seeds - len(spec.report_seeds) + later)
    return left if most is None else min(most, left)


def total_of(spec: Spec, planned: int, to_come: Iterable[int | None]) -> Total:
    """Return the number of runs of a sweep.

    Args:
        spec: The sweep to count.
        planned: Number of runs that are planned so far.
        to_come: Number of runs that the search of each arm may still add; None if only a budget
            limits it.
    """
    coming = list(to_come)
    known = [runs for runs in coming if runs is not None]
    total = planned + sum(known) if len(known) == len(coming) else None
    if spec.budget.runs is not None:
        total = spec.budget.runs if total is None else min(total, spec.budget.runs)
        total = max(planned, total)
    return Total(total, not _is_known(spec))


def _is_known(spec: Spec) -> bool:
    """Return whether the file alone decides which runs there are."""
    races = spec.early_stopping is not None and not spec.early_stopping.by_steps
    is_limited = bool(spec.budget) or bool(spec.arm_budget)
    return spec.search.sampler == "grid" and not (spec.report_seeds or races or is_limited)


def allows(budget: Budget, runs: int, spent: int, seconds: float) -> bool:
    """Check whether a budget allows a number of runs.

    Args:
        budget: Budget of a sweep or of an arm.
        runs: Number of runs, those that ended or train included.
        spent: Number of runs that ended.
        seconds: Sum of their training times, whose mean estimates the cost of the others.
    """
    if budget.runs is not None and runs > budget.runs:
        return False
    if not budget.hours:
        return budget.hours is None
    mean = seconds / spent if spent else 0.0
    return seconds + mean * (runs - spent) <= 3600 * budget.hours

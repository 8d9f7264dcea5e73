"""Sensitivity of a metric to each searched setting around the selected configuration."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from raysweep.results.bins import ABSENT, Column, column_of, columns
from raysweep.results.configuration_stats import Candidate
from raysweep.results.selection import Selection, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.sweep.space import same
from raysweep.sweep.spec import Arm


@dataclasses.dataclass(frozen=True)
class Moved:
    """The metric at one value of a searched setting.

    Args:
        value: Value of the setting, or an interval of a range, as text; `–` where the setting
            does not apply.
        here: Whether the selected configuration has this value.
        configurations: Number of eligible configurations tried at this value.
        held: Mean of the metric over seeds with all other settings as selected; None if no such
            configuration is eligible.
        free: Mean of the metric of the best configuration at this value, with any other settings.
    """

    value: str
    here: bool
    configurations: int
    held: float | None
    free: float | None


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Sensitivity to one searched setting of an arm.

    Args:
        estimator: Label of the estimator.
        task: Label of the task.
        setting: Key of the setting, `section.name`.
        selected: Selected value of the setting; None where it does not apply.
        mean: Mean of the metric of the selected configuration, over the seeds of the search.
        moves: The metric at each value, in order of the values.
    """

    estimator: str
    task: str
    setting: str
    selected: Any
    mean: float
    moves: tuple[Moved, ...]


def sensitivities(
    selection: Selection, tried: Sequence[Candidate], select: str, mode: str, report: str
) -> list[Sensitivity]:
    """Return the sensitivity to each searched setting; none where nothing is selected yet.

    Args:
        selection: Selection of the arm.
        tried: Configurations of the arm.
        select: The metric that selects among the configurations at one value.
        mode: Direction of `select`, `min` or `max`.
        report: The metric to show.
    """
    chosen, arm = selection.chosen, selection.arm
    values = chosen.values(report) if chosen else []
    if chosen is None or not values:
        return []
    return [
        Sensitivity(
            arm.estimator_label,
            arm.task_label,
            key,
            chosen.assignment.get(key),
            mean_of(values),
            _moves(arm, key, chosen, tried, (select, mode, report)),
        )
        for key in arm.searched
    ]


def _moves(
    arm: Arm, key: str, chosen: Candidate, tried: Sequence[Candidate], metrics: tuple[str, str, str]
) -> tuple[Moved, ...]:
    select, mode, _ = metrics
    shown = columns([arm], key)
    groups: dict[int | None, list[Candidate]] = {index: [] for index in range(len(shown))}
    for candidate in tried:
        if choose([candidate], select, mode) is not None:
            groups.setdefault(_index(key, candidate, shown), []).append(candidate)
    selected = _index(key, chosen, shown)
    return tuple(
        Moved(
            ABSENT if index is None else shown[index].label,
            index == selected,
            len(members),
            _mean(_held(key, chosen, members, index == selected), metrics),
            _mean(members, metrics),
        )
        for index, members in groups.items()
    )


def _index(key: str, candidate: Candidate, shown: Sequence[Column]) -> int | None:
    """Return the index of the candidate's column; None where the setting does not apply."""
    return column_of(candidate.assignment[key], shown) if key in candidate.assignment else None


def _held(key: str, chosen: Candidate, members: Sequence[Candidate], here: bool) -> list[Candidate]:
    """Return the members that differ from the selected configuration in this setting alone.

    A setting that applies to only one of the two has its default in the other.
    """
    if here:
        return [member for member in members if member.index == chosen.index]
    return [member for member in members if _is_held(key, chosen, member)]


def _is_held(key: str, chosen: Candidate, other: Candidate) -> bool:
    selected, moved = chosen.assignment, other.assignment
    return all(
        same(
            value,
            selected[name] if name in selected else other.arm.points.value(name, selected),
        )
        for name, value in moved.items()
        if name != key
    )


def _mean(members: Sequence[Candidate], metrics: tuple[str, str, str]) -> float | None:
    """Return the shown metric's mean of the best member; None if none is eligible."""
    select, mode, report = metrics
    best = choose(members, select, mode)
    values = best[0].values(report) if best else []
    return mean_of(values) if values else None

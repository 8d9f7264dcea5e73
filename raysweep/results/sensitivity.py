"""How a metric moves with each searched setting around the selected configuration."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from raysweep.results.bins import ABSENT, Column, column_of, columns
from raysweep.results.selection import Candidate, Selection, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.sweep.space import same
from raysweep.sweep.spec import Arm


@dataclasses.dataclass(frozen=True)
class Moved:
    """The selected configuration with one setting moved.

    Args:
        value: The setting's value, or an interval of a range, as text; `–` where the setting does
            not apply.
        here: Whether the selected configuration is there.
        configurations: How many have been tried there and may be selected.
        held: The metric's mean over seeds with all other settings as selected; None if that has
            not been tried or may not be selected.
        free: The metric's mean of the best configuration tried there, whatever its others are.
    """

    value: str
    here: bool
    configurations: int
    held: float | None
    free: float | None


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """One searched setting of an arm.

    Args:
        estimator: Label.
        task: Label.
        setting: `section.name`.
        selected: Its selected value; None where it does not apply.
        mean: The metric of the selected configuration, over the seeds of the search.
        moves: In order of the values.
    """

    estimator: str
    task: str
    setting: str
    selected: Any
    mean: float
    moves: tuple[Moved, ...]


def sensitivities(
    selection: Selection, found: Sequence[Candidate], select: str, mode: str, report: str
) -> list[Sensitivity]:
    """One for each setting that the arm searches; none where nothing is selected yet.

    Args:
        selection: Of the arm.
        found: Its configurations.
        select: The metric that selects among the configurations at one value.
        mode: `min` or `max`.
        report: The metric shown.
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
            _moves(arm, key, chosen, found, (select, mode, report)),
        )
        for key in arm.searched
    ]


def _moves(
    arm: Arm, key: str, chosen: Candidate, found: Sequence[Candidate], how: tuple[str, str, str]
) -> tuple[Moved, ...]:
    select, mode, _ = how
    shown = columns([arm], key)
    groups: dict[int | None, list[Candidate]] = {place: [] for place in range(len(shown))}
    for each in found:
        if choose([each], select, mode) is not None:
            groups.setdefault(_place(key, each, shown), []).append(each)
    own = _place(key, chosen, shown)
    return tuple(
        Moved(
            ABSENT if place is None else shown[place].label,
            place == own,
            len(members),
            _mean(_held(key, chosen, members, place == own), how),
            _mean(members, how),
        )
        for place, members in groups.items()
    )


def _place(key: str, candidate: Candidate, shown: Sequence[Column]) -> int | None:
    """The place of its value; None where the setting does not apply to it."""
    return column_of(candidate.assignment[key], shown) if key in candidate.assignment else None


def _held(key: str, chosen: Candidate, members: Sequence[Candidate], here: bool) -> list[Candidate]:
    """Those that differ from the selected configuration in this setting alone.

    What applies to one of the two only is as it has to be: it has its default in the other.
    """
    if here:
        return [each for each in members if each.place == chosen.place]
    return [each for each in members if _is_held(key, chosen, each)]


def _is_held(key: str, chosen: Candidate, other: Candidate) -> bool:
    own, moved = chosen.assignment, other.assignment
    return all(
        same(value, own[each] if each in own else other.arm.points.value(each, own))
        for each, value in moved.items()
        if each != key
    )


def _mean(members: Sequence[Candidate], how: tuple[str, str, str]) -> float | None:
    select, mode, report = how
    best = choose(members, select, mode)
    values = best[0].values(report) if best else []
    return mean_of(values) if values else None

"""Values of a setting as bins: one for each value of a list, intervals of a range."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from raysweep.results.selection import Candidate
from raysweep.sweep.runs import canonical_json
from raysweep.sweep.space import Choice, Conditional, Fixed, Plain, Range, plain
from raysweep.sweep.spec import Arm

INTERVALS = 8  # that a range is cut into


WIDE = 12  # whole numbers that a range may hold and still have a column for each


ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """One value of the setting, or an interval of them: low end in, high end out, the last's in."""

    label: str
    value: Any = None
    interval: tuple[float, float] | None = None


def columns(arms: Iterable[Arm], setting: str) -> tuple[Column, ...]:
    """The values that the setting has in these arms, in order; a range becomes intervals."""
    spaces = [arm.space[setting] for arm in arms if setting in arm.space]
    domains = [plain(each) for each in spaces]
    ranges = [each for each in domains if isinstance(each, Range) and not _is_short(each)]
    values = _each_once(value for each in domains for value in _values(each))
    elsewhere = _each_once(each.otherwise for each in spaces if isinstance(each, Conditional))
    if ranges:
        apart = [each for each in elsewhere if not any(own.contains(each) for own in ranges)]
        apart = _each_once([*apart, *(value for value in values if not is_number(value))])
        numbers = [value for value in values if value not in apart]
        return (
            *(Column(value_text(value), value) for value in apart),
            *_intervals(ranges, numbers),
        )
    values = _each_once([*values, *elsewhere])
    if not values:
        return (Column(ABSENT),)
    if all(is_number(value) for value in values):
        values.sort()
    return tuple(Column(value_text(value), value) for value in values)


def value_at(arm: Arm, candidate: Candidate, setting: str) -> Any:
    """The configuration's value of a setting, searched or not; None if the arm lacks it."""
    if setting not in arm.space:
        return None
    return arm.points.value(setting, candidate.assignment)


def column_of(value: Any, shown: Sequence[Column]) -> int | None:
    """The column of a value."""
    for place, column in enumerate(shown):
        if column.interval is None:
            if column.label == ABSENT or canonical_json(column.value) == canonical_json(value):
                return place
        elif is_number(value) and (value < column.interval[1] or place == len(shown) - 1):
            return place
    return None


def _intervals(ranges: Sequence[Range], values: Iterable[Any]) -> tuple[Column, ...]:
    numbers = [float(value) for value in values]
    low = min([each.low for each in ranges] + numbers)
    high = max([each.high for each in ranges] + numbers)
    if any(each.log for each in ranges) and low > 0:
        ends = np.geomspace(low, high, INTERVALS + 1)
    else:
        ends = np.linspace(low, high, INTERVALS + 1)
    pairs = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    return tuple(Column(f"{a:.2g}–{b:.2g}", interval=(a, b)) for a, b in pairs)


def _is_short(each: Range) -> bool:
    return each.whole and each.high - each.low < WIDE


def _each_once(values: Iterable[Any]) -> list[Any]:
    return list({canonical_json(value): value for value in values}.values())


def _values(domain: Plain) -> tuple[Any, ...]:
    match domain:
        case Fixed(value):
            return (value,)
        case Choice(values):
            return values
        case Range(low, high) if _is_short(domain):
            return tuple(range(int(low), int(high) + 1))
    return ()


def is_number(value: Any) -> bool:
    """Whether a value of a setting is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_text(value: Any) -> str:
    """A value of a setting in a label."""
    if is_number(value):
        return f"{value:g}"
    return value if isinstance(value, str) else canonical_json(value)

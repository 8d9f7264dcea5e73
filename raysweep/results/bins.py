"""Bins of a setting: one for each value of a list, or intervals of a range."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from raysweep.results.configuration_stats import Candidate
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Branches, Choice, Conditional, Fixed, Plain, Range, cases, plain
from raysweep.sweep.space import values as values_of
from raysweep.sweep.spec import Arm

INTERVALS = 8  # intervals that a range is split into
WIDE = 12  # whole numbers of a range up to which each has its own column
ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """A value of the setting, or an interval without its high end; the last has its high end."""

    label: str
    value: Any = None
    interval: tuple[float, float] | None = None


def columns(arms: Iterable[Arm], setting: str) -> tuple[Column, ...]:
    """Return the values of a setting in these arms, in order; a range becomes intervals."""
    spaces = [arm.space[setting] for arm in arms if setting in arm.space]
    domains = [plain(domain) for domain in spaces]
    ranges = [domain for domain in domains if isinstance(domain, Range) and not _is_short(domain)]
    values = _distinct(value for domain in domains for value in _values(domain))
    otherwise = _distinct(
        space.otherwise
        for space in spaces
        if isinstance(space, Conditional | Branches) and cases(space)[-1].when
    )
    if ranges:
        outside = [value for value in otherwise if not any(r.contains(value) for r in ranges)]
        outside = _distinct([*outside, *(value for value in values if not is_number(value))])
        numbers = [value for value in values if value not in outside]
        return (
            *(Column(value_text(value), value) for value in outside),
            *_intervals(ranges, numbers),
        )
    values = _distinct([*values, *otherwise])
    if not values:
        return (Column(ABSENT),)
    if all(is_number(value) for value in values):
        values.sort()
    return tuple(Column(value_text(value), value) for value in values)


def value_at(arm: Arm, candidate: Candidate, setting: str) -> Any:
    """Return a configuration's value of a setting, searched or not; None if the arm lacks it."""
    if setting not in arm.space:
        return None
    return arm.points.value(setting, candidate.assignment)


def column_of(value: Any, shown: Sequence[Column]) -> int | None:
    """Return the index of the column that holds a value; None if no column does."""
    for index, column in enumerate(shown):
        if column.interval is None:
            if column.label == ABSENT or canonical_json(column.value) == canonical_json(value):
                return index
        elif is_number(value) and (value < column.interval[1] or index == len(shown) - 1):
            return index
    return None


def _intervals(ranges: Sequence[Range], values: Iterable[Any]) -> tuple[Column, ...]:
    numbers = [float(value) for value in values]
    low = min([domain.low for domain in ranges] + numbers)
    high = max([domain.high for domain in ranges] + numbers)
    if any(domain.log for domain in ranges) and low > 0:
        ends = np.geomspace(low, high, INTERVALS + 1)
    else:
        ends = np.linspace(low, high, INTERVALS + 1)
    texts = _distinct_texts(ends.tolist())
    pairs = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    return tuple(
        Column(f"{start}–{end}", interval=pair)
        for start, end, pair in zip(texts[:-1], texts[1:], pairs, strict=True)
    )


def _distinct_texts(ends: Sequence[float]) -> list[str]:
    """Return the ends of intervals with two digits, or as many as make them distinct."""
    texts: list[str] = []
    for digits in range(2, 18):
        texts = [f"{end:.{digits}g}" for end in ends]
        if len(set(texts)) == len(set(ends)):
            break
    return texts


def _is_short(domain: Range) -> bool:
    return domain.count is not None and domain.count <= WIDE


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({canonical_json(value): value for value in values}.values())


def _values(domain: Plain) -> tuple[Any, ...]:
    match domain:
        case Fixed(value):
            return (value,)
        case Choice(values):
            return values
        case Range() if _is_short(domain):
            return tuple(values_of(domain))
    return ()


def is_number(value: Any) -> bool:
    """Return whether a value of a setting is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_text(value: Any) -> str:
    """Return the text of a setting's value, for a label."""
    if is_number(value):
        return f"{value:g}"
    return value if isinstance(value, str) else canonical_json(value)

"""Axes of searched settings and of metrics: where values lie along them, and their labels."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from raysweep.figures.scale import Scale
from raysweep.results.bins import is_number, value_text
from raysweep.sweep.space import Choice, Range, same

APART = 0.13  # of an axis that two labels are apart, at least


@dataclasses.dataclass(frozen=True)
class Axis:
    """One upright axis, from 0 at its foot to 1.

    Args:
        name: Of the setting or metric.
        ticks: Places and labels, from the foot up.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]


def setting_axis(name: str, domain: Choice | Range) -> Axis:
    """The axis of a setting: a range from end to end, values of a choice evenly spaced."""
    if isinstance(domain, Choice):
        values = _ordered(domain)
        ticks = [(place_on(domain, value), value_text(value)) for value in values]
        return Axis(name, _apart(ticks, keep=(0, len(ticks) - 1)))
    inside = _decades(domain) if domain.log else round_numbers(domain.low, domain.high)
    values = [domain.low, *(each for each in inside if domain.low < each < domain.high)]
    ticks = [(place_on(domain, value), f"{value:.3g}") for value in [*values, domain.high]]
    return Axis(name, _apart(ticks, keep=(0, len(ticks) - 1)))


def place_on(domain: Choice | Range, value: Any) -> float:
    """Where a value lies on its setting's axis, from 0 to 1."""
    if isinstance(domain, Choice):
        values = _ordered(domain)
        place = next(place for place, each in enumerate(values) if same(each, value))
        return place / (len(values) - 1) if len(values) > 1 else 0.5
    low, high, own = domain.low, domain.high, float(value)
    if domain.log:
        low, high, own = math.log(low), math.log(high), math.log(own)
    return (own - low) / (high - low) if high > low else 0.5


def metric_axis(name: str, scale: Scale) -> Axis:
    """The axis of a metric, the best on top; its foot says so where worse values are there too."""
    span = scale.worst - scale.best
    if not span:
        return Axis(name, ((1.0, f"{scale.best:.4g}"),))
    low, high = sorted((scale.best, scale.worst))
    ticks = [(1 - (each - scale.best) / span, f"{each:.6g}") for each in round_numbers(low, high)]
    ticks = sorted(tick for tick in ticks if 0 <= tick[0] <= 1)
    if scale.cut:
        sign = "≥" if scale.worst > scale.best else "≤"
        ticks = [(0.0, f"{sign} {scale.worst:.4g}"), *ticks]
        return Axis(name, _apart(ticks, keep=(0,)))
    return Axis(name, tuple(ticks))


def round_numbers(low: float, high: float) -> list[float]:
    """Three to six round numbers from `low` to `high`."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(each * size for each in (1, 2, 2.5, 5, 10) if each * size >= rough * (1 - 1e-9))
    digits = max(0, 2 - math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, digits) for place in range(first, last + 1)]


def _decades(domain: Range) -> list[float]:
    first, last = math.ceil(math.log10(domain.low)), math.floor(math.log10(domain.high))
    if last - first >= 1:
        return [10.0**power for power in range(first, last + 1)]
    powers = range(first - 1, last + 2)
    return [each * 10.0**power for power in powers for each in (1, 2, 5)]


def _ordered(domain: Choice) -> list[Any]:
    """A choice's values: numbers by size, others as in the file."""
    if all(is_number(value) for value in domain.values):
        return sorted(domain.values)
    return list(domain.values)


def _apart(
    ticks: Sequence[tuple[float, str]], keep: tuple[int, ...]
) -> tuple[tuple[float, str], ...]:
    """The ticks without those too near to others; some are kept."""
    shown = [ticks[place] for place in keep]
    for tick in ticks:
        if all(abs(tick[0] - other[0]) >= APART for other in shown):
            shown.append(tick)
    return tuple(sorted(set(shown)))

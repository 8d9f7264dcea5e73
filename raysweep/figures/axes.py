"""Axes of searched settings and of metrics: positions of values along them, and their labels."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from raysweep.figures.scale import Scale
from raysweep.results.bins import is_number, value_text
from raysweep.sweep.space import Choice, Range, same

MIN_DISTANCE = 0.13  # least distance between two labels, as a fraction of the axis


@dataclasses.dataclass(frozen=True)
class Axis:
    """One vertical axis, from 0 at the bottom to 1 at the top.

    Args:
        name: Name of the setting or metric.
        ticks: Positions and labels of the ticks, from the bottom up.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]


def setting_axis(name: str, domain: Choice | Range) -> Axis:
    """Return the axis of a setting: a range from end to end, or a choice evenly spaced."""
    if isinstance(domain, Choice):
        values = _ordered(domain)
        ticks = [(position_on(domain, value), value_text(value)) for value in values]
        return Axis(name, _spaced(ticks, keep=(0, len(ticks) - 1)))
    inside = _decades(domain) if domain.log else round_numbers(domain.low, domain.high)
    values = [domain.low, *(value for value in inside if domain.low < value < domain.high)]
    ticks = [(position_on(domain, value), f"{value:.3g}") for value in [*values, domain.high]]
    return Axis(name, _spaced(ticks, keep=(0, len(ticks) - 1)))


def position_on(domain: Choice | Range, value: Any) -> float:
    """Return the position of a value on its setting's axis, from 0 to 1."""
    if isinstance(domain, Choice):
        values = _ordered(domain)
        index = next(index for index, other in enumerate(values) if same(other, value))
        return index / (len(values) - 1) if len(values) > 1 else 0.5
    low, high, number = domain.low, domain.high, float(value)
    if domain.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low) if high > low else 0.5


def metric_axis(name: str, scale: Scale) -> Axis:
    """Return the axis of a metric, the best value at the top.

    Its lowest label is marked `≥` or `≤` if worse values are drawn there, too.
    """
    span = scale.worst - scale.best
    if not span:
        return Axis(name, ((1.0, f"{scale.best:.4g}"),))
    low, high = sorted((scale.best, scale.worst))
    values = round_numbers(low, high)
    ticks = [(1 - (value - scale.best) / span, f"{value:.6g}") for value in values]
    ticks = sorted(tick for tick in ticks if 0 <= tick[0] <= 1)
    if scale.cut:
        sign = "≥" if scale.worst > scale.best else "≤"
        ticks = [(0.0, f"{sign} {scale.worst:.4g}"), *ticks]
        return Axis(name, _spaced(ticks, keep=(0,)))
    return Axis(name, tuple(ticks))


def round_numbers(low: float, high: float) -> list[float]:
    """Return three to six round numbers from `low` to `high`."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    factors = (1, 2, 2.5, 5, 10)
    step = next(factor * size for factor in factors if factor * size >= rough * (1 - 1e-9))
    digits = max(0, 2 - math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(multiple * step, digits) for multiple in range(first, last + 1)]


def _decades(domain: Range) -> list[float]:
    first, last = math.ceil(math.log10(domain.low)), math.floor(math.log10(domain.high))
    if last - first >= 1:
        return [10.0**power for power in range(first, last + 1)]
    powers = range(first - 1, last + 2)
    return [factor * 10.0**power for power in powers for factor in (1, 2, 5)]


def _ordered(domain: Choice) -> list[Any]:
    """Return the values of a choice: numbers by size, others as in the sweep file."""
    if all(is_number(value) for value in domain.values):
        return sorted(domain.values)
    return list(domain.values)


def _spaced(
    ticks: Sequence[tuple[float, str]], keep: tuple[int, ...]
) -> tuple[tuple[float, str], ...]:
    """Return the ticks without those too close to others; those with an index in `keep` stay."""
    shown = [ticks[index] for index in keep]
    for tick in ticks:
        if all(abs(tick[0] - other[0]) >= MIN_DISTANCE for other in shown):
            shown.append(tick)
    return tuple(sorted(set(shown)))

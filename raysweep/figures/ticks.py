"""Labels of ticks that are texts: below cells, axes side by side, and the values of a choice."""

import json
import math
from collections.abc import Sequence
from typing import Any

LETTER = 0.58  # width of a letter or digit, in font sizes
FONT = 8.0  # points of a label
PANEL = "item.mark.group.mark.group"  # of Vega's scene: the panel of an axis' label


def lookup(labels: Sequence[Any]) -> str:
    """Return the expression of a tick's label by its index; a list is a label of several lines."""
    return f"{json.dumps(labels)}[datum.value]"


def lines_beside(labels: Sequence[Sequence[str]], height: float) -> dict[str, Any]:
    """Return the properties of a vertical axis of labels, the middle of each one at its tick.

    Args:
        labels: Lines of the label of each tick, whose value is its index.
        height: Points of a line.
    """
    lines = lookup(labels)
    return {
        "labelExpr": lines,
        "labelLineHeight": height,
        "labelOffset": middle_of(lines, height),
    }


def middle_of(lines: str, height: float) -> dict[str, Any]:
    """Return the offset that puts the middle of a label at its tick, rather than its first line.

    Args:
        lines: Expression of the lines of the label.
        height: Points of a line.
    """
    shift = f"{height:.6g} * (1 - length({lines})) / 2"
    return {"condition": {"test": "true", "expr": shift}, "value": 0}


def ticks_below(labels: Sequence[str], count: float) -> dict[str, Any]:
    """Return the properties of an axis of labels, rotated where they would touch.

    Args:
        labels: Label of each tick, whose value is its index.
        count: Number of ticks for which the panel is wide enough.
    """
    longest = max(map(len, labels), default=0)
    turned = f"{PANEL}.width / {count:.6g} < {longest * LETTER * FONT + 4:.4g}"
    return {
        "labelExpr": lookup(labels),
        "labelAngle": {"expr": f"{turned} ? -45 : 0"},
        "labelAlign": {"expr": f"{turned} ? 'right' : 'center'"},
        "labelBaseline": {"expr": f"{turned} ? 'middle' : 'top'"},
        "labelFlush": False,
        "labelOverlap": False,
        "domain": False,
        "ticks": False,
        "grid": False,
    }


def log_ticks(low: float, high: float) -> list[float]:
    """Return the ticks of a logarithmic axis: powers of ten, or 1, 2 and 5 times them if few."""
    inside = one_digit_numbers(low, high)
    decades = [number for number in inside if is_power_of_ten(number)]
    return decades if len(decades) > 1 else inside


def one_digit_numbers(low: float, high: float) -> list[float]:
    """Return the numbers with the only digit 1, 2 or 5 from `low` to `high`, both positive."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    return [number for number in numbers if low <= number <= high]


def is_power_of_ten(number: float) -> bool:
    """Return whether a number is a power of ten."""
    return f"{number:e}".startswith("1.000000e")

"""Ranges of a setting in the file: `{low, high}`, with a scale, a step or a number of points."""

import math
import typing
from typing import Any

from raysweep.registry import Setting
from raysweep.sweep.space import Choice, Fixed, Plain, Range, coerce, describe, values
from raysweep.sweepfile.document import Node, Problems

VALID_FORMS = (
    {"low", "high"},
    {"low", "high", "log"},
    {"low", "high", "step"},
    {"low", "high", "num"},
    {"low", "high", "num", "log"},
)
FORMS = (*VALID_FORMS, {"low", "high", "step", "log"})  # the last one is refused with a reason
MIN_POINTS = 2  # of a range with num
DIGITS = 12  # of a point between two ends; later ones would differ between machines
MAX_POINTS = 100_000


# Keys of ranges in other tools, and the keys here that they mean.
FOREIGN = {
    **dict.fromkeys(("min", "lower", "start", "from"), "low"),
    **dict.fromkeys(("max", "upper", "stop", "to", "end"), "high"),
    **dict.fromkeys(("q", "quantum", "step_size"), "step"),
    **dict.fromkeys(("n", "count", "points"), "num"),
}
FOREIGN_KINDS = ("type", "distribution", "dist", "kind")  # keys whose value may contain `log`
FOREIGN_LISTS = ("values", "choices", "options", "grid")


def translated(node: Node) -> str:
    """Return a hint for a mapping in the form of another tool; empty if it is no such form."""
    for key in FOREIGN_LISTS:
        if key in node.value and isinstance(node.value[key].value, list):
            return f"; write the list itself, {shown(node.value[key].plain())}"
    meant = {FOREIGN.get(key, key): child.plain() for key, _, child in node.items()}
    kinds = [str(meant.pop(key)) for key in FOREIGN_KINDS if key in meant]
    if any("log" in kind for kind in kinds):
        meant["log"] = True
    if set(meant) not in FORMS or any(isinstance(value, list | dict) for value in meant.values()):
        return ""
    text = ", ".join(f"{key}: {shown(value)}" for key, value in meant.items())
    return f"; write {{{text}}}"


def shown(value: Any) -> str:
    """Return a value as text of the file."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def typed(node: Node, declared: Any, name: str, problems: Problems) -> Any:
    """Return the node's value as the declared type; None, with a mistake, if it does not fit."""
    try:
        return coerce(node.plain(), declared)
    except ValueError as error:
        problems.add(node.where, f"{name}: {error}")
        return None


def read_range(node: Node, setting: Setting, problems: Problems, *, ranges: bool) -> Plain | None:
    """Read a range: for a grid, or with `num`, the list of its points.

    Args:
        node: Node of a mapping with one of the `FORMS`.
        setting: Declared setting that the range is for.
        problems: Collector of the mistakes.
        ranges: Whether the search can use a range.
    """
    members = typing.get_args(setting.type) or (setting.type,)
    if float not in members and int not in members:
        problems.add(
            node.where, f"expected {describe(setting.type)} for {setting.name!r}, got a range"
        )
        return None
    number: type[int] | type[float] = float if float in members else int
    domain = _ends(node, setting, number, problems)
    if domain is None:
        return None
    if "num" in node.value:
        return _points(node, domain, setting, problems)
    if "step" in node.value:
        return _steps(node, domain, setting, problems, ranges=ranges)
    if not ranges:
        problems.add(
            node.where,
            f"expected a list of choices for {setting.name!r} under a grid search, got a range; "
            "list its values, add num: N for that many of them, or set search: "
            "{sampler: random, configurations: N}",
        )
        return None
    return domain


def _ends(
    node: Node, setting: Setting, number: type[int] | type[float], problems: Problems
) -> Range | None:
    """Read the ends and the scale of a range."""
    low = typed(node.value["low"], number, f"{setting.name}: low", problems)
    high = typed(node.value["high"], number, f"{setting.name}: high", problems)
    flag = node.value.get("log")
    log = False if flag is None else typed(flag, bool, f"{setting.name}: log", problems)
    if low is None or high is None or log is None:
        return None
    if not low < high or (log and low <= 0):
        wanted = "0 < low < high with log" if log else "low < high"
        problems.add(
            node.where, f"expected {wanted} for {setting.name!r}, got low {low} and high {high}"
        )
        return None
    return Range(low, high, log, whole=number is int)


def _steps(
    node: Node, domain: Range, setting: Setting, problems: Problems, *, ranges: bool
) -> Plain | None:
    """Add the step to a range, which then ends at its last step; a grid takes every value."""
    number = int if domain.whole else float
    step = typed(node.value["step"], number, f"{setting.name}: step", problems)
    if step is None:
        return None
    if domain.log:
        problems.add(
            node.where,
            f"expected step or log for {setting.name!r}, got both; write num: N with log for "
            "N values on a logarithmic scale",
        )
        return None
    if not 0 < step <= domain.high - domain.low:
        problems.add(
            node.where,
            f"expected step of {setting.name!r} above 0 and at most high - low, got {step}",
        )
        return None
    endless = Range(domain.low, domain.high, whole=domain.whole, step=step)
    last = (endless.count or 1) - 1
    stepped = Range(domain.low, endless.at(last), whole=domain.whole, step=step)
    if ranges:
        return stepped
    if last >= MAX_POINTS:
        problems.add(node.where, f"{setting.name!r} has {last + 1:,} values; make step larger")
        return None
    return Choice(tuple(values(stepped)))


def _points(node: Node, domain: Range, setting: Setting, problems: Problems) -> Plain | None:
    """Return the choice between points at equal distances, on the scale of the range."""
    num = typed(node.value["num"], int, f"{setting.name}: num", problems)
    if num is None:
        return None
    if not MIN_POINTS <= num <= MAX_POINTS:
        problems.add(
            node.where,
            f"expected num of {setting.name!r} from {MIN_POINTS} to {MAX_POINTS:,}, got {num}",
        )
        return None
    points = [_point(domain, index / (num - 1)) for index in range(num)]
    if domain.whole:
        points = list(dict.fromkeys(round(point) for point in points))
    if len(points) < num:
        problems.add(
            node.where,
            f"expected num of {setting.name!r} to be at most {len(points)}, the different whole "
            f"numbers among its points, got {num}",
        )
        return None
    return Choice(tuple(points)) if len(points) > 1 else Fixed(points[0])


def _point(domain: Range, share: float) -> float:
    if share in (0, 1):
        return domain.high if share else domain.low
    if domain.log:
        exponent = math.log(domain.low) * (1 - share) + math.log(domain.high) * share
        return float(f"{math.exp(exponent):.{DIGITS}g}")
    return float(f"{domain.low * (1 - share) + domain.high * share:.{DIGITS}g}")

"""Values of a setting in the file: one value, a list of choices, a range, or `{value: …}`."""

import typing
from collections.abc import Collection
from typing import Any

from raysweep.errors import nearest
from raysweep.registry import Setting
from raysweep.sweep.space import Choice, Fixed, Plain, Range, coerce, describe, same
from raysweep.sweepfile.document import Node, Problems


def domain(node: Node, setting: Setting, problems: Problems, *, ranges: bool) -> Plain | None:
    """Read the domain that a node describes; None, with a mistake, if it describes none.

    Args:
        node: Node of the value in the file.
        setting: Declared setting that the value is for.
        problems: Collector of the mistakes.
        ranges: Whether the search can use a range.
    """
    if isinstance(node.value, list):
        return _choice(node, setting, problems)
    if not isinstance(node.value, dict):
        return _fixed(node, setting, problems)
    keys = set(node.value)
    if keys == {"value"}:
        return _fixed(node.value["value"], setting, problems)
    if {"low", "high"} <= keys <= {"low", "high", "log"}:
        return _range(node, setting, problems, ranges=ranges)
    given = "{" + ", ".join(node.value) + "}"
    problems.add(
        node.where,
        f"expected a value, a list of choices, {{low, high, log}}, {{value}} or "
        f"{{when, ...}} for {setting.name!r}, got {given}",
    )
    return None


def member(node: Node, allowed: Collection[str], kind: str, problems: Problems) -> str | None:
    """Return the node's text if it is one of the allowed names; None, with a mistake, if not.

    Args:
        node: Node of the name.
        allowed: Names that are allowed.
        kind: Noun for such a name, for messages.
        problems: Collector of the mistakes.
    """
    if isinstance(node.value, str) and node.value in allowed:
        return node.value
    hint = nearest(str(node.plain()), allowed)
    problems.add(node.where, f"expected {kind}, got {node.plain()!r}{hint}")
    return None


def check_keys(node: Node, allowed: Collection[str], section: str, problems: Problems) -> bool:
    """Check whether the node is a mapping; unknown keys are added to the mistakes."""
    if not isinstance(node.value, dict):
        problems.add(node.where, f"expected {section} as a mapping, got {node.plain()!r}")
        return False
    for key, where, _ in node.items():
        if key not in allowed:
            problems.add(where, f"unknown key {key!r} in {section}{nearest(key, allowed)}")
    return True


def typed(node: Node, declared: Any, name: str, problems: Problems) -> Any:
    """Return the node's value as the declared type; None, with a mistake, if it does not fit."""
    try:
        return coerce(node.plain(), declared)
    except ValueError as error:
        problems.add(node.where, f"{name}: {error}")
        return None


def _fixed(node: Node, setting: Setting, problems: Problems) -> Fixed | None:
    try:
        return Fixed(coerce(node.plain(), setting.type))
    except ValueError as error:
        problems.add(node.where, f"{setting.name}: {error}")
        return None


def _choice(node: Node, setting: Setting, problems: Problems) -> Plain | None:
    if not node.value:
        problems.add(node.where, f"expected at least one choice for {setting.name!r}, got []")
        return None
    values: list[Any] = []
    for item in node.value:
        wrapped = isinstance(item.value, dict) and set(item.value) == {"value"}
        choice = item.value["value"] if wrapped else item
        fixed = _fixed(choice, setting, problems)
        if fixed is None:
            return None
        if any(same(fixed.value, value) for value in values):
            problems.add(
                choice.where,
                f"expected each choice of {setting.name!r} once, "
                f"got {choice.plain()!r} twice; remove one",
            )
            return None
        values.append(fixed.value)
    return Fixed(values[0]) if len(values) == 1 else Choice(tuple(values))


def _range(node: Node, setting: Setting, problems: Problems, *, ranges: bool) -> Plain | None:
    members = typing.get_args(setting.type) or (setting.type,)
    if float not in members and int not in members:
        problems.add(
            node.where, f"expected {describe(setting.type)} for {setting.name!r}, got a range"
        )
        return None
    if not ranges:
        problems.add(
            node.where,
            f"expected a list of choices for {setting.name!r} under a grid "
            "search, got a range; list its values, or set search: {sampler: random, "
            "configurations: N}",
        )
        return None
    number = float if float in members else int
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

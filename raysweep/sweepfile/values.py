"""How the file writes a setting's values: one value, a list of choices, a range, `{value: …}`."""

import typing
from collections.abc import Collection
from typing import Any

from raysweep.errors import nearest
from raysweep.registry import Setting
from raysweep.sweep.space import Choice, Fixed, Plain, Range, coerce, describe, same
from raysweep.sweepfile.document import Node, Problems


def domain(node: Node, setting: Setting, problems: Problems, *, ranges: bool) -> Plain | None:
    """The domain that a node describes, or None after noting why it describes none.

    Args:
        node: The value in the file.
        setting: Whose value it is.
        problems: Takes what is wrong.
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


def member(node: Node, allowed: Collection[str], what: str, problems: Problems) -> str | None:
    """The node's text if it is one of the names allowed."""
    if isinstance(node.value, str) and node.value in allowed:
        return node.value
    hint = nearest(str(node.plain()), allowed)
    problems.add(node.where, f"expected {what}, got {node.plain()!r}{hint}")
    return None


def check_keys(node: Node, allowed: Collection[str], what: str, problems: Problems) -> bool:
    """Whether the node is a mapping; unknown keys are noted."""
    if not isinstance(node.value, dict):
        problems.add(node.where, f"expected {what} as a mapping, got {node.plain()!r}")
        return False
    for key, where, _ in node.items():
        if key not in allowed:
            problems.add(where, f"unknown key {key!r} in {what}{nearest(key, allowed)}")
    return True


def typed(node: Node, declared: Any, what: str, problems: Problems) -> Any:
    """The node's value as the declared type, or None after noting why it is not."""
    try:
        return coerce(node.plain(), declared)
    except ValueError as error:
        problems.add(node.where, f"{what}: {error}")
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
        each = item.value["value"] if wrapped else item
        found = _fixed(each, setting, problems)
        if found is None:
            return None
        if any(same(found.value, value) for value in values):
            problems.add(
                each.where,
                f"expected each choice of {setting.name!r} once, "
                f"got {each.plain()!r} twice; remove one",
            )
            return None
        values.append(found.value)
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

"""Schedules in the file: `{from, to, over}` of an estimator's setting, in place of its value.

A schedule is short for several settings, each of which can be searched: the estimator's own has the
first value, and settings of the task have the last value, the number of updates, and the shape.
"""

from collections.abc import Collection, Mapping, MutableMapping

from raysweep.sweep.space import Choice, Conditional, Domain, Fixed, Range, Value
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import check_keys

REQUIRED = ("from", "to", "over")
KEYS = (*REQUIRED, "shape")
WHOLE_RUN = "steps"
"""Value of `over` for all updates of a run."""


def companions(key: str) -> tuple[str, str, str]:
    """Return the task's settings that belong to a schedule: last value, updates, shape."""
    name = key.partition(".")[2]
    return f"task.final_{name}", f"task.{name}_steps", f"task.{name}_shape"


def can_change(key: str, declared: Collection[str]) -> bool:
    """Check whether the setting of an estimator may have a schedule, given all declared ones."""
    return key.startswith("estimator.") and set(companions(key)) <= set(declared)


def is_schedule(node: Node) -> bool:
    """Check whether a node is a schedule, or a list with one, which is a mistake."""
    if isinstance(node.value, list):
        return any(is_schedule(item) for item in node.value)
    return isinstance(node.value, dict) and (
        "over" in node.value or {"from", "to"} <= {*node.value}
    )


def expanded(node: Node, key: str, problems: Problems) -> dict[str, Node] | None:
    """Return the nodes of all settings of a schedule; None, with a mistake, if it is wrong.

    Args:
        node: Node of the schedule.
        key: Key of the estimator's setting.
        problems: Collector of the mistakes.
    """
    name = key.partition(".")[2]
    if isinstance(node.value, list):
        problems.add(
            node.where,
            f"expected one schedule of {name!r}, with lists inside it for a choice, such as "
            "{from: 1, to: [null, 0.1], over: steps} (null is a constant), got a list of schedules",
        )
        return None
    if not check_keys(node, KEYS, f"the schedule of {name!r}", problems):
        return None
    missing = [one for one in REQUIRED if one not in node.value]
    if missing or not set(node.value) <= set(KEYS):
        if missing:
            problems.add(
                node.where,
                f"expected from, to and over in the schedule of {name!r}, got no "
                f"{' and no '.join(missing)}; write over: {WHOLE_RUN} for the whole run, or "
                "{low: x, high: y} for a range to search",
            )
        return None
    end, updates, shape = companions(key)
    nodes = {key: node.value["from"], end: node.value["to"], updates: _updates(node.value["over"])}
    return nodes | ({shape: node.value["shape"]} if "shape" in node.value else {})


def limit(
    domains: MutableMapping[str, Domain | None], key: str, defaults: Mapping[str, Value]
) -> None:
    """Let updates and shape have their defaults where the last value is null: a constant.

    Args:
        domains: Domains by key, in which those of the schedule are changed.
        key: Key of the estimator's setting.
        defaults: Default of every setting, by key.
    """
    end, *others = companions(key)
    last = domains[end]
    if isinstance(last, Choice) and last.contains(None):
        when = {end: tuple(value for value in last.values if value is not None)}
        for one in others:
            inside = domains[one]
            if isinstance(inside, Fixed | Choice | Range):
                domains[one] = Conditional(when, inside, defaults[one])


def _updates(node: Node) -> Node:
    """Return the node with null, the setting's value for the whole run, in place of its word."""
    if isinstance(node.value, list):
        return Node([_updates(item) for item in node.value], node.where)
    return Node(None, node.where) if node.value == WHOLE_RUN else node

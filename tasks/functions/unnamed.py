"""Arguments of a run's methods that lack a name, in words."""

from collections.abc import Mapping
from typing import Any


def unnamed_values(values: tuple[Any, ...], metric: str) -> str:
    """Return what is wrong with reported values, and what to write.

    Args:
        values: Values that were given without a name.
        metric: Name of a metric that the task declares.
    """
    last = values[-1]
    if isinstance(last, Mapping):
        remedy = "**values"
    else:
        remedy = f"{metric}={last if _is_short(last) and not isinstance(last, str) else '…'}"
    return f"run.report: expected values by name, got {_shown(values)}; write run.report({remedy})"


def unnamed_objects(objects: tuple[Any, ...]) -> str:
    """Return what is wrong with tracked objects, and what to write."""
    names = ", ".join(f"{type(one).__name__.lower()}=…" for one in objects)
    return f"run.track: expected objects by name, got {_shown(objects)}; write run.track({names})"


def _shown(values: tuple[Any, ...]) -> str:
    return ", ".join(repr(one) if _is_short(one) else type(one).__name__ for one in values)


def _is_short(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) and len(repr(value)) <= 40

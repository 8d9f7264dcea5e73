"""Creation of estimators by name, and what is said of a name that there is not."""

import difflib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from raysweep.estimators.method import Method


def create(method: type[Method[Any]], settings: Mapping[str, Any]) -> Any:
    """Create an estimator.

    Args:
        method: Class of the estimator.
        settings: Keyword arguments of the class.

    Raises:
        ValueError: If there is no such setting, or its value is not valid.
        TypeError: If a setting has the wrong type.
    """
    valid = inspect.signature(method).parameters
    for setting in settings:
        if setting not in valid:
            raise ValueError(unknown(f"setting of {method.name}", setting, valid))
    return method(**settings)


def unknown(kind: str, given: str, valid: Collection[str]) -> str:
    """Return what is wrong with a name that is not valid, with the nearest that is."""
    nearest = difflib.get_close_matches(str(given), valid, n=1, cutoff=0.75)
    hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
    return f"{kind} must be one of {', '.join(valid)}; got {given!r}{hint}"

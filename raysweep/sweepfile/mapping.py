"""Sweeps given as a Python mapping: NumPy's numbers and arrays, ranges and paths as plain data."""

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from raysweep.errors import SpecError


def plain_data(value: Any, key: str = "") -> Any:
    """Return data as mappings, lists and scalars, which YAML can hold.

    Args:
        value: Data, as a notebook has it.
        key: Dotted key of the data, for messages.

    Raises:
        SpecError: If a value has no place in a sweep file; the message names its key.
    """
    if isinstance(value, Mapping):
        return {
            _key_text(name, key): plain_data(item, f"{key}.{name}".lstrip("."))
            for name, item in value.items()
        }
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim else value[()]
    if isinstance(value, list | tuple | range):
        return [plain_data(item, key) for item in value]
    if isinstance(value, np.floating):
        # A float32 of 0.1 is meant as 0.1, not as its neighbour of sixteen digits.
        value = float(str(value)) if value.dtype.itemsize < 8 else float(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"sweep: {key}: expected a finite number, got {value}")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    hint = "; sort it into a list" if isinstance(value, set | frozenset) else ""
    raise SpecError(
        f"sweep: {key or 'sweep'}: expected text, a number, a list or a mapping, got "
        f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}{hint}"
    )


def _key_text(name: Any, key: str) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return str(name)
    raise SpecError(f"sweep: {key or 'sweep'}: expected text as a key, got {name!r}")

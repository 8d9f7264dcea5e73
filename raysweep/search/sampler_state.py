"""Attributes that samplers add to their trials, stored so that a resumed search continues exactly.

`search.json` has the attributes (empty for most samplers) of each configuration, in the order in
which the configurations were proposed. Optuna keeps the optimizer of CMA-ES as a pickle; here its
numbers are stored (`cma_state`), and nothing in a store is ever unpickled.
"""

import json
import logging
import math
import pickle
import re
from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.errors import DamagedFile
from raysweep.search import cma_state
from raysweep.store import aside, sweep_paths
from raysweep.store.files import Files

NAME = sweep_paths.SEARCH
POINT = "x_for_tell"  # Optuna's name for the point of a trial of CMAwM
MARK = "raysweep:search"  # digest of the sampler and the space that attributes are valid for
MAX_OPTIMIZERS = 8  # the sampler resumes from the newest one of a finished trial
LARGEST = 1e30  # absolute value of a number that an optimizer gets
_OPTIMIZER = re.compile(r"((?:sep)?cma(?:wm)?:optimizer)")  # key of a state
_CLASSES = {"cma": ("cma",), "sepcma": ("sepcma", "cma"), "cmawm": ("cmawm",)}
_PICKLED = re.compile(rf"{_OPTIMIZER.pattern}:(\d+)")  # Optuna's key of a part of a pickle
_WRONG = (ValueError, TypeError, AttributeError, LookupError, RecursionError, MemoryError)
log = logging.getLogger("raysweep")


class SamplerState:
    """Stored attributes of a sweep's configurations.

    Args:
        files: Folder of the sweep.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._changed = False
        data = files.read(NAME)
        try:
            self._by_id: dict[str, dict[str, Any]] = json.loads(data) if data else {}
            dropped = sum([_drop_pickles(attributes) for attributes in self._by_id.values()])
            _check_all(self._by_id.values())
        except _WRONG as error:
            raise DamagedFile(
                f"cannot read {files.path(NAME)}, which is damaged: {_line(error)}; run the sweep "
                "file again: it sets the file aside, and the sampler resumes from the "
                "results",
                NAME,
            ) from error
        if dropped:
            self._changed = True
            log.warning(
                "%s: an earlier version stored the state of CMA-ES as a pickle, which this version "
                "does not read; the sampler resumes from the results",
                files.path(NAME),
            )

    def of(self, configuration_id: str) -> Mapping[str, Any] | None:
        """Return the attributes of a configuration; None if no sampler with a state proposed it."""
        attributes = self._by_id.get(configuration_id)
        return _for_optuna(attributes) if attributes else None

    def in_order(self, configuration_ids: Iterable[str]) -> list[str]:
        """Sort configurations by their proposals; those without a stored proposal come first."""
        positions = {key: position for position, key in enumerate(self._by_id)}
        return sorted(configuration_ids, key=lambda key: positions.get(key, -1))

    def note(self, configuration_id: str, attributes: Mapping[str, Any]) -> None:
        """Add the attributes of a new proposal, which a sampler of this process made."""
        self._by_id[configuration_id] = _from_optuna(attributes)
        self._changed = True
        with_optimizer = [
            stored for stored in self._by_id.values() if any(map(_OPTIMIZER.fullmatch, stored))
        ]
        for old in with_optimizer[:-MAX_OPTIMIZERS]:
            for key in [key for key in old if _OPTIMIZER.fullmatch(key)]:
                del old[key]

    def save(self) -> None:
        """Write the attributes if they changed."""
        if self._changed:
            self.files.write(NAME, json.dumps(self._by_id).encode())
            self._changed = False


def set_aside_if_damaged(files: Files) -> None:
    """Move `search.json` below `damaged/` if it cannot be read; the driver calls it."""
    try:
        SamplerState(files)
    except DamagedFile as error:
        log.warning(
            "%s; the file is now %s, and the sampler resumes from the results",
            str(error).partition("; run the sweep")[0],
            aside.set_aside(files, NAME),
        )


def _from_optuna(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Convert attributes of this process to plain data: an optimizer's pickle to its numbers."""
    plain, parts = {}, {}
    for key, value in attributes.items():
        match = _PICKLED.fullmatch(key)
        if match:
            parts[int(match[2])] = value
            name = match[1]
        else:
            plain[key] = value
    if parts:
        text = "".join(parts[number] for number in sorted(parts))
        try:
            plain[name] = cma_state.to_json(pickle.loads(bytes.fromhex(text)))
        except cma_state.NotKept as error:
            log.warning("CMA-ES resumes from the results after an interruption: %s", error)
    return plain


def _for_optuna(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Convert attributes to Optuna's: an optimizer's numbers to a pickle made in this process."""
    converted = {}
    for key, value in attributes.items():
        if _OPTIMIZER.fullmatch(key):
            optimizer = cma_state.from_json(value)
            converted[f"{key}:0"] = pickle.dumps(optimizer).hex()
        else:
            converted[key] = value
    return converted


def _drop_pickles(attributes: dict[str, Any]) -> bool:
    """Remove the pickles that an earlier version stored; return whether there were any."""
    pickled = [key for key in attributes if _PICKLED.fullmatch(key)]
    for key in pickled:
        del attributes[key]
    return bool(pickled)


def _check_all(by_configuration: Iterable[Mapping[str, Any]]) -> None:
    """Check that attributes have the form that samplers need.

    Raises:
        ValueError: If one has another type or size.
    """
    sizes: dict[Any, int] = {}
    for attributes in by_configuration:
        size = _check(attributes)
        if size is not None and sizes.setdefault(str(attributes.get(MARK)), size) != size:
            raise ValueError("expected all points of a space to have the same length")


def _check(attributes: Mapping[str, Any]) -> int | None:
    """Check attributes; return the dimension of their point or optimizer, None if neither."""
    size = len(attributes[POINT]) if POINT in attributes else None
    if "cmawm:generation" in attributes and size is None:
        raise ValueError(f"expected {POINT} beside cmawm:generation")
    for key, value in attributes.items():
        if _OPTIMIZER.fullmatch(key):
            size = _size(key, value)
        elif "optimizer" in key:
            raise ValueError(f"{key}: unknown kind of optimizer")
        elif key.endswith(":generation"):
            if type(value) is not int or value < 0:
                raise ValueError(f"{key}: expected a whole number")
        elif not isinstance(value, str | int | float | None) and not _is_point(value):
            raise ValueError(f"{key}: expected text or numbers")
    return size


def _size(key: str, value: Any) -> int:
    """Check the optimizer of a key; return its dimension."""
    optimizer = cma_state.from_json(value)
    if value["class"] not in _CLASSES[key.partition(":")[0]]:
        raise ValueError(f"{key}: expected another class than {value['class']}")
    return int(optimizer.dim)


def _is_point(value: Any) -> bool:
    """Check whether the value is a list of numbers."""
    return isinstance(value, list) and all(
        type(item) in (int, float) and math.isfinite(item) and abs(item) <= LARGEST
        for item in value
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

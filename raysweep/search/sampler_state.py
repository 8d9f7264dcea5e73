"""What samplers note at their trials, kept in the store so that they go on where they were.

`search.json` holds, by configuration, the attributes (none, for most samplers) in the order in
which the configurations were proposed. Optuna notes CMA-ES's optimizer as a pickle; here it is its
numbers (`optimizer_state`), and nothing that a store holds is ever unpickled.
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
from raysweep.store import aside
from raysweep.store.files import Files

NAME = "search.json"
POINT = "x_for_tell"  # Optuna's name for what CMAwM is told of a trial
MARK = "raysweep:search"  # attributes are of use to the sampler, in the space, that noted them
MAX_OPTIMIZERS = 8  # the newest finished one is what the sampler goes on from
LARGEST = 1e30  # of numbers that are told to an optimizer
_OPTIMIZER = re.compile(r"((?:sep)?cma(?:wm)?:optimizer)")  # a state
_CLASSES = {"cma": ("cma",), "sepcma": ("sepcma", "cma"), "cmawm": ("cmawm",)}
_PICKLED = re.compile(rf"{_OPTIMIZER.pattern}:(\d+)")  # a part of a pickle, as Optuna names it
_WRONG = (ValueError, TypeError, AttributeError, LookupError, RecursionError, MemoryError)
log = logging.getLogger("raysweep")


class SamplerState:
    """The attributes of a sweep's configurations.

    Args:
        files: The sweep's folder.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._changed = False
        data = files.read(NAME)
        try:
            self._by_id: dict[str, dict[str, Any]] = json.loads(data) if data else {}
            dropped = sum([_drop_pickles(each) for each in self._by_id.values()])
            _check_all(self._by_id.values())
        except _WRONG as error:
            raise DamagedFile(
                f"cannot read {files.path(NAME)}: expected what raysweep wrote, got: "
                f"{_line(error)}; run the sweep file again: it sets the file aside, and the "
                "sampler resumes from the results",
                NAME,
            ) from error
        if dropped:
            self._changed = True
            log.warning(
                "%s: an earlier version kept the state of CMA-ES as a pickle, which is not read; "
                "the sampler resumes from the results",
                files.path(NAME),
            )

    def of(self, configuration_id: str) -> Mapping[str, Any] | None:
        """What was noted when the configuration was proposed; None if another way found it."""
        attributes = self._by_id.get(configuration_id)
        return _for_optuna(attributes) if attributes else None

    def in_order(self, configuration_ids: Iterable[str]) -> list[str]:
        """The configurations as they were proposed; those found another way come first."""
        places = {each: place for place, each in enumerate(self._by_id)}
        return sorted(configuration_ids, key=lambda each: places.get(each, -1))

    def note(self, configuration_id: str, attributes: Mapping[str, Any]) -> None:
        """Takes in what this process's sampler noted at a new proposal."""
        self._by_id[configuration_id] = _from_optuna(attributes)
        self._changed = True
        holders = [each for each in self._by_id.values() if any(map(_OPTIMIZER.fullmatch, each))]
        for old in holders[:-MAX_OPTIMIZERS]:
            for key in [key for key in old if _OPTIMIZER.fullmatch(key)]:
                del old[key]

    def save(self) -> None:
        """Writes what is new."""
        if self._changed:
            self.files.write(NAME, json.dumps(self._by_id).encode())
            self._changed = False


def set_aside_if_damaged(files: Files) -> None:
    """Moves what samplers noted below `damaged/` if it cannot be read; for the driver."""
    try:
        SamplerState(files)
    except DamagedFile as error:
        log.warning(
            "%s; it is kept as %s, and the sampler resumes from the results",
            str(error).partition("; run the sweep")[0],
            aside.set_aside(files, NAME),
        )


def _from_optuna(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that Optuna noted in this process, with an optimizer's numbers for its pickle."""
    plain, parts = {}, {}
    for key, value in attributes.items():
        found = _PICKLED.fullmatch(key)
        if found:
            parts[int(found[2])] = value
            name = found[1]
        else:
            plain[key] = value
    if parts:
        text = "".join(parts[place] for place in sorted(parts))
        try:
            plain[name] = cma_state.to_json(pickle.loads(bytes.fromhex(text)))
        except cma_state.NotKept as error:
            log.warning("CMA-ES resumes from the results after an interruption: %s", error)
    return plain


def _for_optuna(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes as Optuna reads them: a pickle that this process makes of an optimizer."""
    given = {}
    for key, value in attributes.items():
        if _OPTIMIZER.fullmatch(key):
            optimizer = cma_state.from_json(value)
            given[f"{key}:0"] = pickle.dumps(optimizer).hex()
        else:
            given[key] = value
    return given


def _drop_pickles(attributes: dict[str, Any]) -> bool:
    """Removes what an earlier version kept as a pickle; whether there was any."""
    pickled = [key for key in attributes if _PICKLED.fullmatch(key)]
    for key in pickled:
        del attributes[key]
    return bool(pickled)


def _check_all(by_configuration: Iterable[Mapping[str, Any]]) -> None:
    """Makes sure that attributes are what samplers can be given.

    Raises:
        ValueError: If one is of another kind or size.
    """
    sizes: dict[Any, int] = {}
    for attributes in by_configuration:
        size = _check(attributes)
        if size is not None and sizes.setdefault(str(attributes.get(MARK)), size) != size:
            raise ValueError("expected points of one space to have one length")


def _check(attributes: Mapping[str, Any]) -> int | None:
    """The dimension of the attributes' point or optimizer, None if there is neither."""
    size = len(attributes[POINT]) if POINT in attributes else None
    if "cmawm:generation" in attributes and size is None:
        raise ValueError(f"expected {POINT} beside cmawm:generation")
    for key, value in attributes.items():
        if _OPTIMIZER.fullmatch(key):
            size = _size(key, value)
        elif "optimizer" in key:
            raise ValueError(f"{key!r}")
        elif key.endswith(":generation"):
            if type(value) is not int or value < 0:
                raise ValueError(f"{key}: expected a whole number")
        elif not isinstance(value, str | int | float | None) and not _is_point(value):
            raise ValueError(f"{key}: expected text or numbers")
    return size


def _size(key: str, value: Any) -> int:
    """The dimension of an optimizer that may have this name."""
    made = cma_state.from_json(value)
    if value["class"] not in _CLASSES[key.partition(":")[0]]:
        raise ValueError(f"{key}: expected another class than {value['class']}")
    return int(made.dim)


def _is_point(value: Any) -> bool:
    """Whether it is a list of numbers."""
    return isinstance(value, list) and all(
        type(each) in (int, float) and math.isfinite(each) and abs(each) <= LARGEST
        for each in value
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

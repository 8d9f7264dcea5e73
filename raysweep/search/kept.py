"""What samplers note at their trials, kept in the store so that they go on where they were.

`search.json` holds, by configuration, the attributes (none, for most samplers) in the order in
which the configurations were proposed. CMA-ES's are a pickled optimizer: it is only taken back if
it is made of nothing but the classes of the `cmaes` package and NumPy's arrays, so that a store can
never run code.
"""

import io
import json
import pickle
import re
from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.errors import StoreError
from raysweep.store.files import Files

NAME = "search.json"
MAX_OPTIMIZERS = 8  # the newest finished one is what the sampler goes on from
_OPTIMIZER = re.compile(r"((?:sep)?cma(?:wm)?):optimizer:(\d+)")
_BROKEN = (ValueError, AttributeError, TypeError, EOFError, LookupError, ImportError)
_HARMLESS = {
    ("cmaes._cma", "CMA"),
    ("cmaes._sepcma", "SepCMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


class Kept:
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
            for attributes in self._by_id.values():
                _check(attributes)
        except (*_BROKEN, pickle.UnpicklingError) as error:
            raise StoreError(
                f"cannot read {files.path(NAME)}: expected what raysweep wrote, got: {error}; "
                "remove it, and the sampler starts anew from the results"
            ) from error

    def of(self, configuration_id: str) -> Mapping[str, Any] | None:
        """What was noted when the configuration was proposed; None if another way found it."""
        return self._by_id.get(configuration_id) or None

    def in_order(self, configuration_ids: Iterable[str]) -> list[str]:
        """The configurations as they were proposed; those found another way come first."""
        places = {each: place for place, each in enumerate(self._by_id)}
        return sorted(configuration_ids, key=lambda each: places.get(each, -1))

    def note(self, configuration_id: str, attributes: Mapping[str, Any]) -> None:
        """Takes in what was noted at a new proposal."""
        self._by_id[configuration_id] = dict(attributes)
        self._changed = True
        holders = [each for each in self._by_id.values() if any(map(_OPTIMIZER.match, each))]
        for old in holders[:-MAX_OPTIMIZERS]:
            for key in [key for key in old if _OPTIMIZER.match(key)]:
                del old[key]

    def save(self) -> None:
        """Puts down what is new."""
        if self._changed:
            self.files.write(NAME, json.dumps(self._by_id).encode())
            self._changed = False


def _check(attributes: Mapping[str, Any]) -> None:
    """Makes sure that a pickled optimizer holds nothing else.

    Raises:
        ValueError: If it is not hexadecimal text.
        pickle.UnpicklingError: If it names anything but the classes of optimizers and arrays.
    """
    states: dict[str, dict[int, str]] = {}
    for key, text in attributes.items():
        if "optimizer" in key:
            found = _OPTIMIZER.fullmatch(key)
            if found is None:
                raise ValueError(f"{key!r}")
            states.setdefault(found[1], {})[int(found[2])] = text
    for parts in states.values():
        text = "".join(parts[place] for place in sorted(parts))
        _Careful(io.BytesIO(bytes.fromhex(text))).load()


class _Careful(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"{module}.{name} in an optimizer's state")
        return super().find_class(module, name)

"""The one reader of the JSON files in a store: whatever they hold, an error names the file."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from raysweep.store.damage import reason_of
from raysweep.store.files import Files

T = TypeVar("T")
# What parsing raises for text that is no JSON, too deep, or of another shape than expected.
WRONG = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
    MemoryError,
)


def read_json(files: Files, name: str, build: Callable[[Any], T], what: str) -> T | None:
    """The content of a JSON file, or None if there is no such file.

    Args:
        files: The sweep's folder.
        name: Name of the file below it.
        build: Function that makes the result of the parsed data; raises one of `WRONG` where the
            data has another shape.
        what: Noun that says what the file should hold.

    Raises:
        DamagedFile: If the file holds something else.
        StoreError: If the file cannot be reached.
    """
    data = files.read(name)
    if data is None:
        return None
    try:
        return build(json.loads(data))
    except WRONG as error:
        raise files.damaged(
            name, f"{what} as raysweep writes it, got: {reason_of(error)}"
        ) from error


def mapping(data: Any) -> dict[str, Any]:
    """The data, if it is a mapping.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__}, which is no mapping")
    return data


def with_digest(data: Mapping[str, Any], key: str = "sha256") -> bytes:
    """The data as JSON with the digest of itself under a key."""
    return json.dumps({**data, key: _digest(data)}).encode()


def check_digest(data: Mapping[str, Any], *, required: bool, key: str = "sha256") -> None:
    """Compares parsed data with the digest that it holds.

    Args:
        data: The data, parsed, with its digest.
        required: Whether it must hold one; older files do not.
        key: Key of the digest.

    Raises:
        ValueError: If the digest is of other data, or is missing.
    """
    found = data.get(key)
    if found is None and not required:
        return
    if found != _digest({name: value for name, value in data.items() if name != key}):
        raise ValueError("content whose digest is another")


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

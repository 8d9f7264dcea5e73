"""Reading and digests of a store's JSON files; every error names the file."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from raysweep.store.damage import reason_of
from raysweep.store.files import Files

T = TypeVar("T")
# Raised by parsing if the text is not JSON, nested too deeply, or of another shape than expected.
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


def read_json(files: Files, name: str, build: Callable[[Any], T], kind: str) -> T | None:
    """Return the content of a JSON file, or None if there is no such file.

    Args:
        files: The sweep's folder.
        name: Name of the file in that folder.
        build: Function that makes the result from the parsed data; raises one of `WRONG` if the
            data has another shape.
        kind: Noun for the content that the file should have.

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
            name, f"{kind} as raysweep writes it, got: {reason_of(error)}"
        ) from error


def mapping(data: Any) -> dict[str, Any]:
    """Return the data if it is a mapping.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__}, which is not a mapping")
    return data


def with_digest(data: Mapping[str, Any], key: str = "sha256") -> bytes:
    """Return the data as JSON, with its digest under a key."""
    return json.dumps({**data, key: _digest(data)}).encode()


def check_digest(data: Mapping[str, Any], *, required: bool, key: str = "sha256") -> None:
    """Compare parsed data with the digest in it.

    Args:
        data: Parsed data with its digest.
        required: Whether the data must hold a digest; older files do not.
        key: Key of the digest.

    Raises:
        ValueError: If the digest is of other data, or is missing.
    """
    stored = data.get(key)
    if stored is None and not required:
        return
    if stored != _digest({name: value for name, value in data.items() if name != key}):
        raise ValueError("content that does not match its digest")


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

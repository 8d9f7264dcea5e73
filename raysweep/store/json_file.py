"""The one reader of the JSON files in a store: whatever they hold, an error names the file."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from raysweep.store.damage import damaged, reason_of
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
        reason = f"expected {what} that raysweep wrote, got: {reason_of(error)}"
        raise damaged(files.path(name), name, reason) from error

"""Server-sent events: the text of a stream as events."""

import json
from collections.abc import Iterable, Iterator
from typing import Any


def lines(parts: Iterable[str]) -> Iterator[str]:
    """Yield the whole lines of a text that comes in parts.

    Not by `splitlines`, which also ends a line at characters that JSON may hold.
    """
    rest = ""
    for part in parts:
        *whole, rest = (rest + part).split("\n")
        for line in whole:
            yield line.removesuffix("\r")


def events(stream: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the names and the JSON data of the events of a stream, by its lines."""
    name, data = "message", list[str]()
    for line in stream:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if data:
                yield name, json.loads("\n".join(data))
            name, data = "message", []

"""Files of offline runs of Weights & Biases: logs of records, in blocks of 32 KiB."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

from raysweep.errors import TrackerError

Record: Any = vars(wandb_internal_pb2)["Record"]  # a class that the module makes when imported
_BLOCK, _HEADER = 32768, 7  # bytes; the file and each part of a record begin with a header
_PART = struct.Struct("<IHB")  # checksum, size, and kind: whole, first, middle or last
_LAST = (1, 4)
_FIRST = (1, 2)
WAIT_S = 60.0


def records(path: Path) -> Iterator[Any]:
    """Yield the complete records of a file."""
    data, position, body = path.read_bytes(), _HEADER, b""
    while position + _HEADER <= len(data):
        rest = _BLOCK - position % _BLOCK
        if rest < _HEADER:
            position += rest
            continue
        _, size, kind = _PART.unpack_from(data, position)
        part = data[position + _HEADER : position + _HEADER + size]
        if len(part) < size or kind not in (1, 2, 3, 4):
            return
        body = part if kind in _FIRST else body + part
        position += _HEADER + size
        if kind in _LAST:
            yield Record.FromString(body)


def wait_until_whole(path: Path) -> None:
    """Wait until the last record of a run is in its file, which another process writes.

    Raises:
        TrackerError: If it does not come.
    """
    until = time.monotonic() + WAIT_S
    while not any(record.HasField("exit") for record in records(path)):
        if time.monotonic() > until:
            raise TrackerError(
                f"expected a whole run of Weights & Biases in {path}, got no end of it after "
                f"{WAIT_S:.0f} s"
            )
        time.sleep(0.02)

"""Event file of TensorBoard that grows: reading its records, and adding others at its end.

Each record is its length (8 bytes), a checksum of that (4 bytes), an event, and the checksum of
the event (4 bytes). A killed writer may leave a part of a record, which is cut off.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

_LENGTH, _CHECK = struct.Struct("<Q"), struct.Struct("<I")
_HEAD = _LENGTH.size + _CHECK.size


def events(path: Path) -> Iterator[tuple[Event, int]]:
    """Yield the complete events of a file, with the position at which their record ends.

    Args:
        path: Path of the file, which need not exist.
    """
    data = path.read_bytes() if path.exists() else b""
    start = 0
    while start + _HEAD <= len(data):
        head = data[start : start + _LENGTH.size]
        (size,) = _LENGTH.unpack(head)
        body = data[start + _HEAD : start + _HEAD + size]
        end = start + _HEAD + size + _CHECK.size
        if end > len(data) or not _has_check(head, data, start + _LENGTH.size):
            return
        if not _has_check(body, data, end - _CHECK.size):
            return
        yield Event.FromString(body), end
        start = end


def append(path: Path, new: Iterable[Event], size: int) -> int:
    """Add events to the end of a file, after its first `size` bytes, and return the new size.

    Args:
        path: Path of the file, which need not exist; its folder must.
        new: Events to add.
        size: Size of the complete records; what follows them is cut off.
    """
    data = b"".join(map(_record, new))
    with path.open("ab") as file:
        if file.tell() > size:
            file.truncate(size)
        file.write(data)
    return size + len(data)


def first(time: float) -> Event:
    """Return the event that a file begins with: the version of the format."""
    return Event(wall_time=time, file_version="brain.Event:2")


def _has_check(part: bytes, data: bytes, position: int) -> bool:
    return _CHECK.unpack_from(data, position) == (masked_crc32c(part),)


def _record(event: Event) -> bytes:
    body = event.SerializeToString()
    head = _LENGTH.pack(len(body))
    checks = (_CHECK.pack(masked_crc32c(part)) for part in (head, body))
    return head + next(checks) + body + next(checks)

"""Files of a local or network folder that are never seen half written."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write to, whose file then takes the place of whatever had the name."""
    aside = _beside(path)
    try:
        yield aside
        _sync(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def create(path: Path, data: bytes) -> bool:
    """Writes a file only if there is none; whether it did."""
    aside = _beside(path)
    try:
        aside.write_bytes(data)
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


def _beside(path: Path) -> Path:
    """A name of nobody in the same folder, which no glob of results matches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _sync(path: Path) -> None:
    """Has the file on the disk before its name is: a power cut must not leave it empty."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

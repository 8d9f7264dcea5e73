"""Local or network files that are never seen half written."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and then move its file to the name."""
    aside = _beside(path)
    try:
        yield aside
        _sync(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def create(path: Path, data: bytes) -> bool:
    """Write a file unless it exists, and return whether it was written."""
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
    """Return a new hidden name in the same folder, which no glob of results matches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _sync(path: Path) -> None:
    """Flush the file to disk before it is renamed, or a power cut could leave it empty."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

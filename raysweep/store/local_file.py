"""Local or network files that are never seen half written."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

# Errors of file systems that have no hard links: vfat, exFAT, gcsfuse, many network mounts.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


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
    """Write a file unless it exists, and return whether it was written.

    On a file system without hard links, a reader may see the file for a moment before its content.
    """
    aside = _beside(path)
    try:
        aside.write_bytes(data)
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _create_in_place(path, data)
    finally:
        aside.unlink(missing_ok=True)
    return True


def _create_in_place(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)  # this process created it, as its name was free
        raise
    return True


@contextlib.contextmanager
def empty_folders_removed(*folders: str) -> Iterator[None]:
    """Remove folders at the end that did not exist at the beginning, if they are empty.

    Args:
        folders: Paths of the folders, the inner ones first.
    """
    absent = [folder for folder in folders if not os.path.lexists(folder)]
    try:
        yield
    finally:
        for folder in absent:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


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

"""Lock of a data folder, so that processes do not fetch or convert the same files twice."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Wait until no other process fetches or converts a data set, then keep others from it.

    The lock of a process that dies is free. Without a lock, where the folder or its file system
    has none, several processes may do the same work; each file is still written whole.

    Args:
        root: Folder of the data sets.
        name: Name of the data set.
    """
    path = root / f".{name.replace('/', '-')}.lock"
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # the work itself shows whether it matters
            root.mkdir(parents=True, exist_ok=True)
            while not _acquired(path, stack):
                pass
        yield


def _acquired(path: Path, stack: contextlib.ExitStack) -> bool:
    """Wait for the lock; return False if its file was removed meanwhile, by the last holder."""
    file = path.open("w")
    stack.callback(file.close)
    fcntl.flock(file, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            stack.callback(path.unlink, missing_ok=True)
            return True
    return False

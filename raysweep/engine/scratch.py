"""A private temporary folder for the files of a local Ray: its logs, sockets and sessions."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raysweep.errors import ClusterError

PREFIX = "raysweep-"
LOCK = "lock"
LONGEST = 43  # bytes: Ray adds up to 64 for its sockets, whose paths may have 107


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """Create a folder that only this user can enter, and remove it at the end.

    Ray makes its own folder readable and writable by everyone, so it gets one inside this folder.
    Folders of killed drivers, whose locks are free, are removed as well.
    """
    base = _base()
    _remove_abandoned(base)
    folder = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))  # mode 0700
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Under its name only now: a driver that starts would take it for abandoned without a lock.
        folder = folder.rename(folder.with_name(folder.name.removeprefix(".")))
        try:
            yield str(folder / "ray")
        finally:
            _remove(folder)


def _base() -> str:
    """Return the folder of temporary files, or `/tmp` if paths of sockets would become too long.

    Raises:
        ClusterError: If no folder with a short path can be written to.
    """
    longest = LONGEST - len(f"/{PREFIX}12345678/ray")
    bases = (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp")
    for base in bases:
        if base and len(os.fsencode(base)) <= longest and os.access(base, os.W_OK):
            return base
    raise ClusterError(
        f"cannot start Ray: its sockets need a temporary folder with a path of at most {longest} "
        f"characters, got {bases[1]} (from TMPDIR), and /tmp cannot be written to; set TMPDIR to "
        "a shorter path, or train inline, without Ray"
    )


def _remove_abandoned(base: str) -> None:
    for folder in Path(base).glob(f"{PREFIX}????????"):
        with contextlib.suppress(OSError):  # another user's, in use, or just removed
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            with (folder / LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last, so that files of a dying process can be removed later."""
    shutil.rmtree(folder / "ray", ignore_errors=True)
    if not (folder / "ray").exists():
        shutil.rmtree(folder, ignore_errors=True)

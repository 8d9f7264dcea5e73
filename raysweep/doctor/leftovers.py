"""Files that nothing reads: of killed writers, in `damaged/`, and of packs that left the file."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from raysweep.doctor.finding import Finding, named
from raysweep.results.unfinished import stale_packs, unfinished
from raysweep.store.compaction import SETTLED_S
from raysweep.store.files import Files
from raysweep.store.sweep_store import SweepStore
from raysweep.text import counted

# Files before their rename, or written to check that all nodes share the folder.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}|\.seen-[0-9a-f]{16}")


def written_aside(files: Files) -> Iterator[Finding]:
    """Yield a finding if killed writers left hidden files, which only local folders have.

    Files of the last minute and a half are left out: a worker of a killed driver may still write.
    """
    if not files.is_local:
        return
    leftover, size = [], 0
    for folder, _, names in os.walk(files.root):
        for name in names:
            path = Path(folder, name)
            if not _TEMPORARY.fullmatch(name) or path.is_symlink():
                continue
            stat = path.stat()
            if time.time() - stat.st_mtime > SETTLED_S:
                leftover.append(path.relative_to(files.root).as_posix())
                size += stat.st_size

    def mend() -> None:
        for name in leftover:
            files.remove(name)

    if leftover:
        problem = (
            f"{counted(len(leftover), 'unfinished file')} of killed writers, {size_text(size)}"
        )
        yield Finding(
            "hidden files",
            f"{problem}: {named(sorted(leftover))}",
            fixed="they are removed",
            fix=mend,
        )


def set_aside(files: Files) -> Iterator[Finding]:
    """Yield a note if `damaged/` has files."""
    folders = ["damaged"]
    names: list[str] = []
    for folder in folders:
        folders += [f"{folder}/{name}" for name in files.folders(folder)]
        names += files.names(folder)
    if names:
        yield Finding(
            "damaged",
            f"{counted(len(names), 'damaged file')}, which nothing reads: {named(names)}",
            "delete them when no result in them is of use any more",
            is_note=True,
        )


def stale(store: SweepStore) -> Iterator[Finding]:
    """Yield a note if packs are unfinished that the sweep file no longer plans."""
    if text := stale_packs(store.sweep, unfinished(store.spec(), store).stale):
        yield Finding("checkpoints", text, is_note=True)


def size_text(size: float) -> str:
    """Return a size in bytes as text with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"

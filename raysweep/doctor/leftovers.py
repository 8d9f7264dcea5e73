"""Files that nothing reads: those of killed writers, and those that were set aside."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from raysweep.doctor.finding import Finding, named
from raysweep.store.compaction import SETTLED_S
from raysweep.store.files import Files
from raysweep.text import counted

# Written aside, before a rename; or to see whether all nodes share the folder.
_ASIDE = re.compile(r"\..+\.[0-9a-f]{32}|\.seen-[0-9a-f]{16}")


def written_aside(files: Files) -> Iterator[Finding]:
    """Hidden files of writers that were killed; only folders have them.

    Those of the last minute and a half stay: a worker whose driver was killed may still write.
    """
    if not files.is_local:
        return
    found, size = [], 0
    for folder, _, names in os.walk(files.root):
        for name in names:
            path = Path(folder, name)
            if not _ASIDE.fullmatch(name) or path.is_symlink():
                continue
            about = path.stat()
            if time.time() - about.st_mtime > SETTLED_S:
                found.append(path.relative_to(files.root).as_posix())
                size += about.st_size

    def mend() -> None:
        for name in found:
            files.remove(name)

    if found:
        problem = f"{counted(len(found), 'unfinished file')} of killed writers, {size_text(size)}"
        yield Finding(
            "hidden files", f"{problem}: {named(sorted(found))}", fixed="they are removed", fix=mend
        )


def set_aside(files: Files) -> Iterator[Finding]:
    """What was set aside."""
    folders = ["damaged"]
    found: list[str] = []
    for folder in folders:
        folders += [f"{folder}/{name}" for name in files.folders(folder)]
        found += files.names(folder)
    if found:
        yield Finding(
            "damaged",
            f"{counted(len(found), 'file')} set aside, which nothing reads: {named(found)}",
            "keep them as long as a result in them may be of use",
            is_note=True,
        )


def size_text(size: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"

"""Output of the runs of a pack, printed and logged: `logs/<pack_id>.txt`, for `raysweep logs`."""

import time

from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.store.rows import utc_now
from raysweep.text import tail

EVERY_S = 10.0
LIMIT = 64 * 1024  # characters of a pack's output that are kept, the last ones


class PackLog:
    """File of a pack's output; a session adds to what earlier ones wrote.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack.
    """

    def __init__(self, files: Files, pack_id: str) -> None:
        self._files, self._name = files, sweep_paths.log(pack_id)
        self._pack_id = pack_id
        self._before: str | None = None  # what is in the file, and a line for this session
        self._next = time.monotonic() + EVERY_S

    @property
    def is_due(self) -> bool:
        """Whether the last write was long enough ago."""
        return time.monotonic() >= self._next

    def write(self, text: str) -> None:
        """Write the output of this session so far, after that of earlier ones.

        Raises:
            StoreError: If the store cannot be read or written.
        """
        if self._before is None:
            self._before = f"{read(self._files, self._pack_id)}--- {utc_now()} ---\n"
        content = tail(self._before + text, LIMIT)
        self._files.write(self._name, content.encode("utf-8", "backslashreplace"))
        self._next = time.monotonic() + EVERY_S


def read(files: Files, pack_id: str) -> str:
    """Return what the runs of a pack printed; empty if nothing was kept.

    Raises:
        StoreError: If the store cannot be read.
    """
    return (files.read(sweep_paths.log(pack_id)) or b"").decode(errors="replace")


def packs(files: Files) -> list[str]:
    """Return the ids of the packs that printed something.

    Raises:
        StoreError: If the store cannot be read.
    """
    return [sweep_paths.pack_of_log(name) for name in files.names("logs", ".txt")]


def drop_orphans(files: Files) -> None:
    """Remove the output of packs of which no run, attempt or checkpoint is left.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    orphans = set(packs(files))
    if not orphans:
        return
    orphans.difference_update(files.folders("checkpoints"))
    for name in [*files.names("runs", ".parquet"), *files.names("attempts", ".parquet")]:
        table = files.read_table(name)
        if "pack_id" in table.column_names:
            orphans.difference_update(table["pack_id"].to_pylist())
    for pack_id in sorted(orphans):
        files.remove(sweep_paths.log(pack_id))

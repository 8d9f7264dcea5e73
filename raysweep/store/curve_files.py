"""Files of curves, `curves/<pack_id>-<first step>.parquet`, and orphans among them."""

import dataclasses
import logging

from raysweep.store import compaction, parquet_files, sweep_paths
from raysweep.store.aside import set_aside
from raysweep.store.files import Files
from raysweep.text import counted

log = logging.getLogger("raysweep")


@dataclasses.dataclass(frozen=True)
class CurveFile:
    """Name of a file of curves.

    Args:
        pack_id: Id of the pack.
        first: Step of the file's first row.
    """

    pack_id: str
    first: int

    @property
    def name(self) -> str:
        """Name of the file below the sweep's folder."""
        return sweep_paths.curves(self.pack_id, self.first)


def parsed(name: str) -> CurveFile | None:
    """Return the parts of a file name; None for a name that raysweep does not give."""
    match = sweep_paths.CURVES_NAME.fullmatch(name)
    return CurveFile(match[1], int(match[2])) if match else None


def of_pack(files: Files, pack_id: str) -> list[CurveFile]:
    """Return the files of a pack's curves, in the order of their steps."""
    every_file = map(parsed, files.names("curves", ".parquet"))
    of_this_pack = [file for file in every_file if file is not None and file.pack_id == pack_id]
    return sorted(of_this_pack, key=lambda file: file.first)


def set_orphans_aside(files: Files) -> int:
    """Move the curves of packs that have neither rows nor a checkpoint to `damaged/`.

    They are kept because damaged rows may be restored. For the driver, under its lease.

    Args:
        files: The sweep's folder.

    Returns:
        The number of files.
    """
    names = orphans(files)
    for name in names:
        set_aside(files, name)
    if names:
        log.warning(
            "moved %s of packs that have neither rows nor a checkpoint to %s",
            counted(len(names), "file of curves", "files of curves"),
            files.path(sweep_paths.damaged("curves")),
        )
    return len(names)


def orphans(files: Files) -> list[str]:
    """Return the files of curves whose packs have neither rows nor a checkpoint.

    They remain if a pack was killed while it was split, or if its rows were lost: its runs train
    again, and every row of their curves would exist twice.

    Args:
        files: The sweep's folder.
    """
    packs: dict[str, list[str]] = {}
    for name in files.names("curves", ".parquet"):
        if (file := parsed(name)) is not None:
            packs.setdefault(file.pack_id, []).append(name)
    lacking = packs.keys() - files.folders("checkpoints") if packs else set()
    if not lacking:
        return []
    rows = compaction.names_of_rows(files)
    # A file of rows is named after its pack; only other files, of merged rows or of single runs,
    # must be opened.
    named = {name: sweep_paths.rows_base(name) for name in rows}
    lacking -= set(named.values())
    if not lacking:
        return []
    others = [name for name in rows if named[name] not in packs]
    lacking -= set(
        parquet_files.columns(files, others, ["pack_id"])["pack_id"].unique().to_pylist()
    )
    return [name for pack_id in sorted(lacking) for name in packs[pack_id]]

"""The files of curves: `curves/<pack_id>-<first step>.parquet`, and those that nothing owns."""

import dataclasses
import logging
import re

from raysweep.store import compaction, parquet_files
from raysweep.store.aside import set_aside
from raysweep.store.files import Files

_NAME = re.compile(r"curves/([0-9a-f]{16})-(\d+)\.parquet")

log = logging.getLogger("raysweep")


@dataclasses.dataclass(frozen=True)
class CurveFile:
    """What the name of a file of curves tells.

    Args:
        pack_id: Whose curves.
        first: Step of the first row.
    """

    pack_id: str
    first: int

    @property
    def name(self) -> str:
        """Name of the file below the sweep's folder."""
        return f"curves/{self.pack_id}-{self.first}.parquet"


def parsed(name: str) -> CurveFile | None:
    """What a name tells; None where raysweep gives no such name, such as that of a copy."""
    found = _NAME.fullmatch(name)
    return CurveFile(found[1], int(found[2])) if found else None


def of_pack(files: Files, pack_id: str) -> list[CurveFile]:
    """The files of a pack's curves, in order."""
    found = map(parsed, files.names("curves", ".parquet"))
    own = [each for each in found if each is not None and each.pack_id == pack_id]
    return sorted(own, key=lambda each: each.first)


def set_orphans_aside(files: Files) -> int:
    """Moves the curves of packs that have neither rows nor a checkpoint below `damaged/`.

    Rows that were set aside, or are not seen yet, may come back. For the driver, under its lease.

    Args:
        files: The sweep's folder.

    Returns:
        The number of files.
    """
    found = orphans(files)
    for name in found:
        set_aside(files, name)
    if found:
        log.warning(
            "%d files of curves belong to packs that have neither rows nor a checkpoint; they are "
            "kept in %s",
            *(len(found), files.path("damaged/curves")),
        )
    return len(found)


def orphans(files: Files) -> list[str]:
    """The curves of packs that have neither rows nor a checkpoint.

    They are left where a pack was killed while it was split, or where its rows were lost: its runs
    train again, and would have every row of their curves twice.

    Args:
        files: The sweep's folder.
    """
    packs: dict[str, list[str]] = {}
    for name in files.names("curves", ".parquet"):
        if (own := parsed(name)) is not None:
            packs.setdefault(own.pack_id, []).append(name)
    lacking = packs.keys() - files.folders("checkpoints") if packs else set()
    if not lacking:
        return []
    rows = compaction.names_of_rows(files)
    # A pack's file of rows has its name; only other files, which are merged or of single runs,
    # have to be opened.
    named = {name: name.removeprefix("runs/").removesuffix(".parquet") for name in rows}
    lacking -= set(named.values())
    if not lacking:
        return []
    others = [name for name in rows if named[name] not in packs]
    lacking -= set(
        parquet_files.columns(files, others, ["pack_id"])["pack_id"].unique().to_pylist()
    )
    return [name for pack_id in sorted(lacking) for name in packs[pack_id]]

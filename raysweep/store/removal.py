"""Removes runs from a sweep: rows, curves, attempts, decisions and packs in flight.

What is to go is written down first, below `removing/`: whoever drives the sweep next ends what a
killed process began. So a run is there with its row, or it is gone, and never has two rows.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import compaction, handover
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.damage import damaged
from raysweep.store.files import Files

PLAN = "removing/plan.parquet"
COLUMNS = pa.schema([("kind", pa.string()), ("id", pa.string())])
_ID = re.compile(r"[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class Removal:
    """What is to go.

    Args:
        runs: Ids of runs whose rows, curves and attempts go.
        packs: Ids of packs whose checkpoints and curves go.
        configurations: Ids of configurations that have no other row: their decisions go.
    """

    runs: frozenset[str] = frozenset()
    packs: frozenset[str] = frozenset()
    configurations: frozenset[str] = frozenset()


def remove(
    files: Files, rows: pa.Table, run_ids: Collection[str], packs: Collection[str]
) -> Removal:
    """Removes ended runs, and whole packs in flight; for one driver at a time, under its lease.

    Args:
        files: The sweep's folder, without a removal or a merge that was cut off.
        rows: Columns `run_id` and `configuration_id` of every ended run.
        run_ids: Ids of the runs.
        packs: Ids of the packs.

    Returns:
        What went.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    runs = frozenset(run_ids)
    gone = pc.is_in(rows["run_id"], pa.array(sorted(runs), pa.string()))
    left, right = (
        set(rows.filter(each)["configuration_id"].to_pylist()) for each in (gone, pc.invert(gone))
    )
    for pack_id in packs:
        manifest = Checkpoints(files, pack_id).manifest()
        left |= {run.configuration_id for run in manifest.pack.runs} if manifest else set()
    plan = Removal(runs, frozenset(packs), frozenset(left - right - {None}))
    files.write_table(PLAN, _table(plan))
    end(files)
    return plan


def end(files: Files) -> None:
    """Ends a removal that was begun; nothing if there is none.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    if not files.exists(PLAN):
        return
    plan = _read(files)
    compaction.end(files)  # merged rows that wait would bring those back that go
    for pack_id in sorted(plan.packs):
        handover.forget(files, pack_id)
    for name in files.names("attempts", ".parquet"):
        if name.removeprefix("attempts/").partition("-")[0] in plan.runs:
            files.remove(name)
    _keep_others(files, files.names("decisions", ".parquet"), "configuration_id", plan)
    _keep_others(files, files.names("curves", ".parquet"), "run_id", plan)
    _keep_others(files, files.names("runs", ".parquet"), "run_id", plan)
    files.remove(PLAN)
    files.remove_folder("removing")


def check(files: Files) -> None:
    """Reads the plan of a removal that was begun.

    Raises:
        DamagedFile: If it is not what was written.
    """
    _read(files)


def _keep_others(files: Files, names: Iterable[str], column: str, plan: Removal) -> None:
    """Writes files anew without the rows that go, and removes those that have no others."""
    ids = plan.runs if column == "run_id" else plan.configurations
    gone = pa.array(sorted(ids), pa.string())
    for name in names if len(gone) else ():
        table = files.read_table(name)
        kept = table.filter(pc.invert(pc.is_in(table[column], value_set=gone)))
        if not kept.num_rows:
            files.remove(name)
        elif kept.num_rows < table.num_rows:
            files.write_table(name, kept)


def _table(plan: Removal) -> pa.Table:
    rows = [
        {"kind": field.name, "id": each}
        for field in dataclasses.fields(plan)
        for each in sorted(getattr(plan, field.name))
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _read(files: Files) -> Removal:
    """The plan; its ids are checked, as some become names of files.

    Raises:
        DamagedFile: If it is none.
    """
    table = files.read_table(PLAN)
    kinds = {field.name for field in dataclasses.fields(Removal)}
    found: dict[str, set[str]] = {kind: set() for kind in kinds}
    rows = table.to_pylist() if table.schema.names == COLUMNS.names else [{"kind": "", "id": ""}]
    for row in rows:
        if row["kind"] not in kinds or not _ID.fullmatch(str(row["id"])):
            reason = f"expected ids of runs, packs and configurations, got {row['id']!r}"
            raise damaged(files.path(PLAN), PLAN, reason)
        found[row["kind"]].add(row["id"])
    return Removal(**{kind: frozenset(ids) for kind, ids in found.items()})

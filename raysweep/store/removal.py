"""Removal of runs from a sweep: rows, curves, attempts, decisions and packs in flight.

A plan of the removal is first written to `removing/`, and the next driver completes what a killed
process began. So a run either exists with one row, or is gone.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import compaction, handover, pack_log, sweep_paths
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.damage import damaged
from raysweep.store.files import Files

PLAN = sweep_paths.REMOVAL_PLAN
COLUMNS = pa.schema([("kind", pa.string()), ("id", pa.string())])
_ID = re.compile(r"[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class Removal:
    """Plan of a removal.

    Args:
        runs: Ids of runs whose rows, curves and attempts are removed.
        packs: Ids of packs whose checkpoints and curves are removed.
        configurations: Ids of configurations without other rows, whose decisions are removed.
    """

    runs: frozenset[str] = frozenset()
    packs: frozenset[str] = frozenset()
    configurations: frozenset[str] = frozenset()


def remove(
    files: Files, rows: pa.Table, run_ids: Collection[str], packs: Collection[str]
) -> Removal:
    """Remove ended runs, and whole packs in flight; for one driver at a time, under its lease.

    Args:
        files: The sweep's folder, without an interrupted removal or merge.
        rows: Columns `run_id` and `configuration_id` of every ended run.
        run_ids: Ids of the ended runs.
        packs: Ids of the packs in flight.

    Returns:
        The plan, which has been carried out.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    runs = frozenset(run_ids)
    gone = pc.is_in(rows["run_id"], pa.array(sorted(runs), pa.string()))
    removed, kept = (
        set(rows.filter(mask)["configuration_id"].to_pylist()) for mask in (gone, pc.invert(gone))
    )
    for pack_id in packs:
        manifest = Checkpoints(files, pack_id).manifest()
        removed |= {run.configuration_id for run in manifest.pack.runs} if manifest else set()
    plan = Removal(runs, frozenset(packs), frozenset(removed - kept - {None}))
    files.write_table(PLAN, _table(plan))
    end(files)
    return plan


def end(files: Files) -> None:
    """Complete an interrupted removal, if there is one.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    if not files.exists(PLAN):
        return
    plan = _read(files)
    compaction.end(files)  # or merged rows would bring removed ones back
    for pack_id in sorted(plan.packs):
        handover.forget(files, pack_id)
    for name in files.names("attempts", ".parquet"):
        if sweep_paths.run_of_attempt(name) in plan.runs:
            files.remove(name)
    _keep_others(files, files.names("decisions", ".parquet"), "configuration_id", plan)
    _keep_others(files, files.names("curves", ".parquet"), "run_id", plan)
    _keep_others(files, files.names("runs", ".parquet"), "run_id", plan)
    pack_log.drop_orphans(files)
    files.remove(PLAN)
    files.remove_folder("removing")


def check(files: Files) -> None:
    """Read the plan of an interrupted removal, to check it.

    Raises:
        DamagedFile: If the plan is not what was written.
    """
    _read(files)


def _keep_others(files: Files, names: Iterable[str], column: str, plan: Removal) -> None:
    """Rewrite files without the rows to remove, and remove files that have no others."""
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
        {"kind": field.name, "id": key}
        for field in dataclasses.fields(plan)
        for key in sorted(getattr(plan, field.name))
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _read(files: Files) -> Removal:
    """Return the plan, after checking its ids, because some become names of files.

    Raises:
        DamagedFile: If the content is not a plan.
    """
    table = files.read_table(PLAN)
    kinds = {field.name for field in dataclasses.fields(Removal)}
    ids: dict[str, set[str]] = {kind: set() for kind in kinds}
    rows = table.to_pylist() if table.schema.names == COLUMNS.names else [{"kind": "", "id": ""}]
    for row in rows:
        if row["kind"] not in kinds or not _ID.fullmatch(str(row["id"])):
            reason = f"expected ids of runs, packs and configurations, got {row['id']!r}"
            raise damaged(files.path(PLAN), PLAN, reason)
        ids[row["kind"]].add(row["id"])
    return Removal(**{kind: frozenset(values) for kind, values in ids.items()})

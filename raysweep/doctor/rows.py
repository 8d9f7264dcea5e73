"""Checks of rows: one for each ended run, and rows of failed runs in separate files."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from raysweep.doctor.finding import Finding, named
from raysweep.store import repair, sweep_paths
from raysweep.store.shape import STATUSES
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import one_row_each
from raysweep.text import counted

_COLUMNS = ("run_id", "pack_id", "status", "attempts", "steps")
_EVERY = "param.training.report_every"


@dataclasses.dataclass(frozen=True)
class Row:
    """Columns of a row of `runs`, with its file.

    Args:
        file: Name of the row's file.
        run_id: Id of the run.
        pack_id: Id of the pack in which the run ended.
        status: Status of the run.
        attempts: Number of attempts so far.
        curve_rows: Number of rows that the run's curve should have.
    """

    file: str
    run_id: str
    pack_id: str
    status: str
    attempts: int
    curve_rows: int


def read(store: SweepStore, damaged: Collection[str]) -> list[Row]:
    """Return every row of the undamaged files.

    Args:
        store: The sweep's folder.
        damaged: Names of damaged files.

    Raises:
        StoreError: If an interrupted merge lacks rows, or a file cannot be reached.
    """
    rows = []
    for name in store.names_of_rows():
        if name in damaged:
            continue
        table = store.files.read_table(name)
        columns = [*_COLUMNS, *({_EVERY} & {*table.column_names})]
        rows += [_row(name, row) for row in table.select(columns).to_pylist()]
    return rows


def _row(name: str, row: Mapping[str, Any]) -> Row:
    steps, every = row["steps"] or 0, row.get(_EVERY) or 0
    wanted = 0
    if row["status"] != "failed" and steps > 0:
        wanted = -(-steps // every) if every > 0 else 1
    attempts = row["attempts"] or 0
    return Row(name, str(row["run_id"]), str(row["pack_id"]), row["status"], attempts, wanted)


def kept(rows: Collection[Row]) -> list[Row]:
    """Return the row of each run that readers use, where a run has several."""
    known = [vars(row) for row in rows if row.status in STATUSES]
    return [Row(**columns) for columns in one_row_each(known)]


def findings(store: SweepStore, rows: Collection[Row]) -> Iterator[Finding]:
    """Yield findings for runs with several rows, and for failed rows in files of other runs."""
    counts = Counter(row.run_id for row in rows)
    repeated = sorted(run_id for run_id, count in counts.items() if count > 1)
    if repeated:
        yield Finding(
            "runs",
            f"more than one row of {counted(len(repeated), 'run')}: {named(repeated)}",
            fixed="the row of the last successful attempt is kept",
            fix=lambda: repair.drop_repeated(store),
        )
        return  # the next round checks the rows that remain after the fix
    failed = [row.run_id for row in rows if row.status == "failed" and _is_misplaced(row)]
    if failed:
        yield Finding(
            "runs",
            f"{counted(len(failed), 'failed run')} with a row in a file of another name, so that "
            f"the next attempt would add a second row: {named(failed)}",
            fixed="each row is moved to a separate file",
            fix=lambda: repair.separate_failed(store, failed),
        )


def _is_misplaced(row: Row) -> bool:
    return row.file != sweep_paths.rows(row.run_id)

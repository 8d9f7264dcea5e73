"""Rows of ended runs: one for each run, and those of failed runs in files of their own."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from raysweep.doctor.finding import Finding, named
from raysweep.store import repair
from raysweep.store.shape import STATUSES
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import one_row_each
from raysweep.text import counted

_COLUMNS = ("run_id", "pack_id", "status", "attempts", "steps")
_EVERY = "param.training.report_every"


@dataclasses.dataclass(frozen=True)
class Row:
    """Columns of a row of `runs`.

    Args:
        file: Name of its file.
        run_id: Id of the run.
        pack_id: Id of the pack that ended it.
        status: Its status.
        attempts: Attempts so far.
        curve_rows: Rows that the run's curve should have.
    """

    file: str
    run_id: str
    pack_id: str
    status: str
    attempts: int
    curve_rows: int


def read(store: SweepStore, damaged: Collection[str]) -> list[Row]:
    """Every row of the files that are whole.

    Args:
        store: The sweep's folder.
        damaged: Names of damaged files.

    Raises:
        StoreError: If a merge that was cut off lacks rows, or a file cannot be reached.
    """
    found = []
    for name in store.names_of_rows():
        if name in damaged:
            continue
        table = store.files.read_table(name)
        columns = [*_COLUMNS, *({_EVERY} & {*table.column_names})]
        found += [_row(name, each) for each in table.select(columns).to_pylist()]
    return found


def _row(name: str, row: Mapping[str, Any]) -> Row:
    steps, every = row["steps"] or 0, row.get(_EVERY) or 0
    wanted = 0
    if row["status"] != "failed" and steps > 0:
        wanted = -(-steps // every) if every > 0 else 1
    attempts = row["attempts"] or 0
    return Row(name, str(row["run_id"]), str(row["pack_id"]), row["status"], attempts, wanted)


def kept(rows: Collection[Row]) -> list[Row]:
    """One row for each run: the one that counts."""
    known = [vars(row) for row in rows if row.status in STATUSES]
    return [Row(**each) for each in one_row_each(known)]


def findings(store: SweepStore, rows: Collection[Row]) -> Iterator[Finding]:
    """Rows that no reader can make sense of, rows too many, and failed rows in others' files."""
    counts = Counter(row.run_id for row in rows)
    repeated = sorted(run_id for run_id, count in counts.items() if count > 1)
    if repeated:
        yield Finding(
            "runs",
            f"more than one row of {counted(len(repeated), 'run')}: {named(repeated)}",
            fixed="the row of the last good attempt is kept",
            fix=lambda: repair.drop_repeated(store),
        )
        return  # after that is mended, what remains is looked at
    failed = [row.run_id for row in rows if row.status == "failed" and _is_misplaced(row)]
    if failed:
        yield Finding(
            "runs",
            f"the row of {counted(len(failed), 'failed run')} is in a file of another name, so "
            f"that the next attempt would add a second one: {named(failed)}",
            fixed="each gets a file of its own",
            fix=lambda: repair.separate_failed(store, failed),
        )


def _is_misplaced(row: Row) -> bool:
    return row.file != f"runs/{row.run_id}.parquet"

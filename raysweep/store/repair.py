"""Removal of surplus rows of runs, and separate files for the rows of failed runs."""

import logging
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import one_row_each
from raysweep.text import counted

log = logging.getLogger("raysweep")

NAME, INDEX = "file", "index"  # keys of a row besides its columns


def separate_failed(store: SweepStore, run_ids: Iterable[str]) -> None:
    """Move rows of failed runs into files named after the run, which their next attempt replaces.

    Earlier versions named the file after the pack. For the driver, under its lease.

    Args:
        store: The sweep's folder.
        run_ids: Runs whose row says that they failed.
    """
    present = set(store.files.names("runs", ".parquet"))
    lacking = {run_id for run_id in run_ids if _name_of_failed(run_id) not in present}
    if not lacking:
        return
    for row in _rows(store):
        if row["run_id"] in lacking and row["status"] == "failed":
            table = store.files.read_table(row[NAME])
            if table.num_rows == 1:
                store.files.move(row[NAME], _name_of_failed(row["run_id"]))
                continue
            is_failed = pc.equal(table["run_id"], row["run_id"])
            store.files.write_table(_name_of_failed(row["run_id"]), table.filter(is_failed))
            store.files.write_table(row[NAME], table.filter(pc.invert(is_failed)))


def drop_failed(store: SweepStore, run_ids: Iterable[str]) -> None:
    """Remove the rows of failed runs that have since ended in a pack; the driver calls it."""
    for run_id in run_ids:
        store.files.remove(_name_of_failed(run_id))


def drop_repeated(store: SweepStore) -> int:
    """Remove surplus rows of runs that have several, and return their number.

    A run that did not fail keeps that row, any other run the row of its last attempt. For the
    driver, under its lease.
    """
    rows = _rows(store)
    kept = {id(row) for row in one_row_each(rows)}
    surplus: dict[str, list[int]] = {}
    for row in rows:
        if id(row) not in kept:
            surplus.setdefault(row[NAME], []).append(row[INDEX])
    for name, indices in surplus.items():
        _remove_rows(store.files, name, indices)
    count = sum(len(indices) for indices in surplus.values())
    if count:
        log.warning(
            "%s removed, as each run has one row only; an earlier version or a killed driver left "
            "several",
            counted(count, "row"),
        )
    return count


def _remove_rows(files: Files, name: str, indices: Iterable[int]) -> None:
    table = files.read_table(name)
    gone = set(indices)
    rest = table.filter(pa.array([index not in gone for index in range(table.num_rows)]))
    if rest.num_rows:
        files.write_table(name, rest)
    else:
        files.remove(name)


def _rows(store: SweepStore) -> list[dict[str, Any]]:
    """Return identity and outcome of every row, with its file and its index in the file."""
    rows = []
    for name in store.names_of_rows():
        table = store.files.read_table(name).select(["run_id", "status", "attempts"])
        for index, row in enumerate(table.to_pylist()):
            rows.append({**row, NAME: name, INDEX: index})
    return rows


def _name_of_failed(run_id: str) -> str:
    return sweep_paths.rows(run_id)

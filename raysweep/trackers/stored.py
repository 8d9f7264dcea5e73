"""Stored runs for trackers: those that ended, with their curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.store.sweep_store import SweepStore
from raysweep.trackers.runs import STAMPED, Point, by_run, ended, stamp
from raysweep.trackers.tracker import Tracker

if TYPE_CHECKING:
    from raysweep.results.sweep_results import SweepResults

AT_ONCE = 500  # runs whose curves are in memory together


def export(results: "SweepResults", tracker: Tracker) -> int:
    """Write every run that ended and that the tracker lacks; return the number of ended runs.

    Args:
        results: Results of the sweep.
        tracker: Tracker to write to.

    Raises:
        TrackerError: If the tracker does not take a run.
        StoreError: If the store cannot be read.
    """
    rows = results.runs()
    write_ended(results.store, rows, tracker)
    return rows.num_rows


def write_ended(store: SweepStore, rows: pa.Table, tracker: Tracker) -> None:
    """Write those of these ended runs that the tracker lacks, arm by arm.

    Args:
        store: The sweep's folder.
        rows: Rows of `runs`.
        tracker: Tracker to write to.

    Raises:
        TrackerError: If the tracker does not take a run.
        StoreError: If the store cannot be read.
    """
    marks = zip(*(rows[name].to_pylist() for name in ("run_id", *STAMPED)), strict=True)
    lacking = [not tracker.has(run_id, stamp(*known)) for run_id, *known in marks]
    rows = rows.filter(pa.array(lacking, pa.bool_()))
    rows = rows.sort_by([(name, "ascending") for name in ("estimator", "task", "run_id")])
    for first in range(0, rows.num_rows, AT_ONCE):
        runs = ended(rows.slice(first, AT_ONCE))
        points = _points(store, [run.run_id for run in runs])
        for run in runs:
            tracker.write(run, points.get(run.run_id, ()))
    tracker.flush()


def _points(store: SweepStore, run_ids: Sequence[str]) -> dict[str, list[Point]]:
    ids = pa.array(run_ids, pa.string())
    return by_run(
        store.read(store.curves_of(ids.to_pylist()), where=pads.field("run_id").isin(ids))
    )

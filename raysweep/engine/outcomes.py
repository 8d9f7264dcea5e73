"""Rows and curves of packs that have ended, and their way to the store."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from raysweep.engine.curves import CurveWriter
from raysweep.engine.worker_store import WorkerStore
from raysweep.store.checkpoints import Checkpoints, Manifest

WRITERS = 8  # files that are flushed to disk at the same time


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """Rows and curves of a pack that has ended.

    Args:
        rows: Rows of its runs.
        curves: Writer of its curves, with rows that are not written.
        checkpoints: Checkpoint of the pack.
        unwritten: Manifest of its begin, if that is not in the store; None if it is.
    """

    rows: Sequence[Mapping[str, Any]]
    curves: CurveWriter
    checkpoints: Checkpoints
    unwritten: Manifest | None = None


def write_outcomes(store: WorkerStore, name: str, outcomes: Sequence[Outcome]) -> None:
    """Write the curves of packs, then all their rows to one file, and remove their checkpoints.

    Curves never are in the store without rows or a manifest of their pack.

    Args:
        store: The sweep's folder.
        name: Base name of the file of rows.
        outcomes: Rows and curves of the packs.

    Raises:
        DriverGone: If the driver was replaced or has been silent for too long.
        StoreError: If the store cannot be written.
    """
    store.files.patiently(store.watch.check)
    curved = [outcome for outcome in outcomes if not outcome.curves.is_empty]
    unmarked = [outcome for outcome in curved if outcome.unwritten is not None]
    _at_once(_write_begin, unmarked)
    _at_once(lambda outcome: outcome.curves.flush(), curved)
    rows = [row for outcome in outcomes for row in outcome.rows]
    store.sweep.write_runs(name, rows, store.run_columns)
    marked = [outcome for outcome in outcomes if outcome.unwritten is None]
    _at_once(lambda outcome: outcome.checkpoints.remove(), [*marked, *unmarked])


def _write_begin(outcome: Outcome) -> None:
    if outcome.unwritten is not None:
        outcome.checkpoints.write(outcome.unwritten, None)


def _at_once(action: Callable[[Outcome], None], outcomes: Iterable[Outcome]) -> None:
    """Call an action for each pack, several at the same time, as most of it is waiting."""
    several = list(outcomes)
    if len(several) == 1:
        action(several[0])
    elif several:
        with ThreadPoolExecutor(min(WRITERS, len(several))) as pool:
            for _ in pool.map(action, several):
                pass

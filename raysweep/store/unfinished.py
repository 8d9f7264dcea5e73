"""Rows of runs that no worker finished: runs that failed, or never started."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raysweep.store.rows import run_row, timed, utc_now
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.packs import Pack


class UnfinishedRows:
    """Writer of rows for runs that no worker finished; used by the driver.

    Args:
        store: The sweep's folder.
        columns: Schema of `runs` that the spec asks for.
        origin: Columns about the code and software of the driver.
    """

    def __init__(self, store: SweepStore, columns: pa.Schema, origin: Mapping[str, Any]) -> None:
        self.store, self.columns, self.origin = store, columns, origin

    def write_failed(
        self, pack: Pack, error: str, executed: int, about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the failed attempt of a pack's only run, and its row.

        Args:
            pack: Pack with that run alone.
            error: Error to show to the user.
            executed: Steps executed in all attempts.
            about: Other known columns of the attempt, and its `traceback`.

        Returns:
            The row.
        """
        run = pack.runs[0]
        attempt = run.failures + 1
        known = dict(about)
        traceback = known.pop("traceback", None)
        self.store.write_attempt(
            run.run_id, attempt, error, traceback=traceback, pack_id=pack.pack_id
        )
        outcome = {
            **known,
            "status": "failed",
            "steps": 0,
            "steps_executed": executed,
            "attempts": attempt,
            "error": error,
        }
        (row,) = self._write(pack, run.run_id, outcome)
        return row

    def write_never_ran(self, pack: Pack) -> None:
        """Write rows of runs that were stopped before their first step."""
        outcome = {
            "status": "stopped",
            "steps": 0,
            "steps_executed": 0,
            "seconds": 0.0,
            "attempts": 0,
        }
        self._write(pack, pack.rows_name, outcome)

    def _write(self, pack: Pack, name: str, outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
        columns = self.store.schema("runs", self.columns)
        moment = utc_now()
        known = {**self.origin, "started_at": moment, "ended_at": moment, **outcome}
        rows = [run_row(self.store.sweep, pack, run, columns, **known) for run in pack.runs]
        self.store.write_runs(name, [timed(row) for row in rows], columns)
        return rows

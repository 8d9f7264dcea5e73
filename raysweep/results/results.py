"""The results of one sweep: Arrow tables, SQL, and the table. Needs neither torch nor Ray."""

from pathlib import Path

import duckdb
import pyarrow as pa

from raysweep.errors import SpecError, nearest
from raysweep.results.select import cells
from raysweep.results.table import ResultTable
from raysweep.store import schema
from raysweep.store.store import SweepStore


class Results:
    """A sweep in a store.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.

    Raises:
        SpecError: If the store has no such sweep.
    """

    def __init__(self, store: str | Path, sweep: str) -> None:
        self.store = SweepStore(str(store), sweep)
        self.sweep = sweep
        self.spec = self.store.spec()

    def runs(self) -> pa.Table:
        """Every ended run, one row each."""
        return self.store.runs()

    def curves(self) -> pa.Table:
        """Metrics over steps, one row per run and step."""
        return self.store.curves()

    def attempts(self) -> pa.Table:
        """Every failed attempt of a run."""
        return self.store.attempts()

    def table(self, *, select: str | None = None, report: str | None = None) -> ResultTable:
        """The result table.

        Args:
            select: The metric whose mean over seeds selects a cell's configuration; the sweep
                file's if None.
            report: The metric shown; the one that selects if None.

        Raises:
            SpecError: If the sweep has no such metric.
        """
        select = self._metric(select or self.spec.select.metric, "--select")
        report = self._metric(report or select, "--report")
        about = self.spec.metrics
        mode = about[select]["direction"]
        found = self.store.read(self.store.dataset("runs"), self._columns(select, report))
        rows = []
        for row in found.to_pylist():
            rows.append({**row, "settings": schema.decode_settings(row, found.schema)})
        return ResultTable(
            self.sweep,
            self.spec.task_labels,
            self.spec.estimator_labels,
            tuple(cells(self.spec, rows, select, mode, report)),
            select,
            mode,
            report,
            about[report]["direction"],
            about[report]["unit"],
        )

    def _columns(self, select: str, report: str) -> list[str]:
        needed = {
            "run_id",
            "status",
            "task_name",
            "estimator_name",
            "configuration_id",
            f"metric.{select}",
            f"metric.{report}",
        }
        present = self.store.dataset("runs").schema.names
        return [name for name in present if name in needed or name.startswith("param.")]

    def sql(self, query: str) -> pa.Table:
        """DuckDB's answer to a query over `runs`, `curves` and `attempts`.

        Raises:
            SpecError: If DuckDB refuses the query.
        """
        connection = duckdb.connect()
        connection.register("runs", self.store.dataset("runs"))
        connection.register("curves", self.store.dataset("curves"))
        connection.register("attempts", self.store.dataset("attempts", schema.ATTEMPTS))
        try:
            answer = connection.sql(query)
            if answer is None:
                raise duckdb.Error("a statement without an answer")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            reason = " ".join(str(error).split())
            raise SpecError(
                f"sql: expected a query over runs, curves and attempts, got: {reason}"
            ) from error

    def _metric(self, name: str, option: str) -> str:
        if name not in self.spec.metrics:
            raise SpecError(
                f"{option}: expected a metric of the sweep, got {name!r}"
                f"{nearest(name, self.spec.metrics)}"
            )
        return name


def open_results(store: str | Path, sweep: str) -> Results:
    """The results of a sweep in a store.

    Raises:
        SpecError: If the store has no such sweep.
    """
    return Results(store, sweep)

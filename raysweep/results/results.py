"""The results of one sweep: Arrow tables, SQL, and the table. Needs neither torch nor Ray."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from raysweep.errors import SpecError, nearest
from raysweep.results.front import fronts
from raysweep.results.select import candidates, cells
from raysweep.results.table import ResultTable
from raysweep.store import schema
from raysweep.store.decisions import DECISIONS
from raysweep.store.store import SweepStore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from raysweep.search.export import Export


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
        own = select is None  # the sweep file's choice, which may be of two metrics
        select = self.metric(select or self.spec.select.metric, "--select")
        report = self.metric(report or select, "--report")
        about = self.spec.metrics
        mode = about[select]["direction"]
        both = self.spec.select.all if own and self.spec.select.second else ()
        rows = self.rows(select, report, *(each.metric for each in both))
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
            len(self.spec.report_seeds),
            tuple(fronts(self.spec, candidates(self.spec, rows))) if both else (),
            both,
        )

    def plot(self, kind: str = "curves", **options: Any) -> "Figure":
        """A figure, to be saved with its `savefig`.

        Args:
            kind: `curves`, `time`, `heatmap`, `parallel`, `search`, `seeds` or `paths`.
            options: As `raysweep plot` takes them: `select`, `tasks` and `estimators` (labels)
                and `size` (`screen`, `column` or `page`) for every kind; `metric` for all but
                search and paths, several names for curves and time; `log` for curves, time and
                search; `band` (`sem`, `std` or `ci`) for curves and time; `over` (a setting or
                two) for a heatmap; `x` and `y` (metrics, pair by pair) for paths.

        Raises:
            SpecError: If an option names what the sweep lacks, or there is nothing to draw yet.
        """
        from raysweep.results.figures.figure import figure

        return figure(self, kind, options)

    def importance(
        self, metric: str | None = None, evaluator: str = "ped-anova"
    ) -> list[dict[str, Any]]:
        """How much each searched setting matters, by one of Optuna's evaluators.

        Args:
            metric: What settings may matter to, as its mean over seeds; the first that the sweep
                selects by if None.
            evaluator: `ped-anova`, `fanova` or `mdi`.

        Returns:
            A record per arm, in the file's order: `task`, `estimator`, `metric`, `evaluator`,
            `configurations` (how many finished), `importances` (a share of 1 for each setting,
            the largest first), `left_out` (settings without one, and why), and `reason`: why
            there are none, or None.

        Raises:
            SpecError: If the sweep has no such metric, or there is no such evaluator.
        """
        from raysweep.search.importance import importance

        return importance(self, metric, evaluator)

    def export_optuna(self, path: str | Path, metric: str | None = None) -> "Export":
        """Writes the sweep's studies, one per arm, into a new file that Optuna opens.

        Args:
            path: A journal if it ends in `.log` or `.jsonl`, SQLite otherwise.
            metric: The objective; what the sweep selects by if None.

        Raises:
            SpecError: If the sweep has no such metric, or the file cannot be written or is there.
        """
        from raysweep.search.export import export

        return export(self, path, metric)

    def rows(self, *metrics: str, about: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """Every ended run with these final metrics and its decoded `settings`, for selection.

        Args:
            metrics: Their names.
            about: Other columns of `runs` to have.
        """
        found = self.store.read(self.store.dataset("runs"), self._columns(metrics, about))
        return [
            {**row, "settings": schema.decode_settings(row, found.schema)}
            for row in found.to_pylist()
        ]

    def _columns(self, metrics: Sequence[str], about: Sequence[str]) -> list[str]:
        needed = {
            "run_id",
            "status",
            "task_name",
            "estimator_name",
            "configuration_id",
            *about,
            *(f"metric.{each}" for each in metrics),
        }
        present = self.store.dataset("runs").schema.names
        return [name for name in present if name in needed or name.startswith("param.")]

    def sql(self, query: str) -> pa.Table:
        """DuckDB's answer to a query over `runs`, `curves`, `attempts` and `decisions`.

        Raises:
            SpecError: If DuckDB refuses the query.
        """
        connection = duckdb.connect()
        connection.register("runs", self.store.dataset("runs"))
        connection.register("curves", self.store.dataset("curves"))
        connection.register("attempts", self.store.dataset("attempts", schema.ATTEMPTS))
        connection.register("decisions", self.store.dataset("decisions", DECISIONS))
        try:
            answer = connection.sql(query)
            if answer is None:
                raise duckdb.Error("a statement without an answer")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            reason = " ".join(str(error).split())
            raise SpecError(
                f"sql: expected a query over runs, curves, attempts and decisions, got: {reason}"
            ) from error

    def metric(self, name: str, option: str) -> str:
        """The metric's name, which the option gave.

        Raises:
            SpecError: If the sweep has no such metric.
        """
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

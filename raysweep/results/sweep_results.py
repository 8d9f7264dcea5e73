"""The results of one sweep as Arrow tables, SQL and the table."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import SpecError, nearest
from raysweep.results.aggregates import Statistics, statistics_of
from raysweep.results.frame import RunFrame
from raysweep.results.labels import chosen
from raysweep.results.pareto import fronts
from raysweep.results.reader import read_ended
from raysweep.results.selection import candidates, cells, selections
from raysweep.results.sensitivity import Sensitivity, sensitivities
from raysweep.results.table import ResultTable, Style
from raysweep.store import schema
from raysweep.store.decisions import DECISIONS
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep import defaults
from raysweep.sweep.spec import Spec

if TYPE_CHECKING:
    import pandas
    import polars

TABLES = ("runs", "curves", "attempts", "decisions")
WITHOUT_SPEC = {"attempts": schema.ATTEMPTS, "decisions": DECISIONS}  # the same in every sweep


class SweepResults:
    """What is stored of a sweep: rows, and the tables and statistics made of them.

    `raysweep.Results` adds figures, reports and files. Needs neither torch nor Ray.

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

    def table(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        rows: str | Sequence[str] = (),
        columns: str | Sequence[str] = (),
        where: str | None = None,
        **style: Any,
    ) -> ResultTable:
        """The result table; the arguments are those of `raysweep.Results.table`.

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
        """
        own = select is None  # the sweep file's choice, which may be of two metrics
        select = self.metric(select or self.spec.select.metric, "select")
        report = self.metric(report or select, "report")
        shown = Style(**style)
        both = self.spec.select.all if own and self.spec.select.second else ()
        runs = self.ended(select, report, *(each.metric for each in both), where=where)
        spec = self._part(runs, rows, columns)
        about = self.spec.metrics
        mode = about[select]["direction"]
        return ResultTable(
            self.sweep,
            spec.task_labels,
            spec.estimator_labels,
            tuple(cells(spec, runs, select, mode, report)),
            select,
            mode,
            report,
            about[report]["direction"],
            about[report]["unit"],
            len(spec.report_seeds),
            tuple(fronts(spec, candidates(spec, runs))) if both else (),
            both,
            shown,
            _condition(where, spec, self.spec),
            tuple(defaults.texts(runs.outdated)),
        )

    def _part(
        self, runs: RunFrame, rows: str | Sequence[str], columns: str | Sequence[str]
    ) -> Spec:
        """The sweep cut down to these estimators and tasks, and to the seeds that are left."""
        spec = self.spec
        estimators = chosen(rows, spec.estimator_labels, "rows")
        tasks = chosen(columns, spec.task_labels, "columns")
        return dataclasses.replace(
            spec,
            arms=tuple(
                arm
                for arm in spec.arms
                if arm.task_label in tasks and arm.estimator_label in estimators
            ),
            task_labels=tasks,
            estimator_labels=estimators,
            seeds=runs.without_left_out(spec.seeds),
            report_seeds=runs.without_left_out(spec.report_seeds),
        )

    def statistics(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        rows: str | Sequence[str] = (),
        columns: str | Sequence[str] = (),
        where: str | None = None,
    ) -> Statistics:
        """Statistics of what a table shows, arm by arm and over tasks; see docs/statistics.md.

        Args:
            select: As `table` takes it, like the others.
            report: The metric shown.
            rows: Labels of estimators.
            columns: Labels of tasks.
            where: A condition on runs.

        Raises:
            SpecError: As `table` does.
        """
        return statistics_of(
            self.table(select=select, report=report, rows=rows, columns=columns, where=where)
        )

    def sensitivity(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        rows: str | Sequence[str] = (),
        columns: str | Sequence[str] = (),
        where: str | None = None,
    ) -> list[Sensitivity]:
        """How a metric moves with each searched setting around the selected configuration.

        Means are over the seeds of the search, also where the table reports fresh ones.

        Args:
            select: As `table` takes it, like the others.
            report: The metric shown.
            rows: Labels of estimators.
            columns: Labels of tasks.
            where: A condition on runs.

        Raises:
            SpecError: As `table` does.
        """
        select = self.metric(select or self.spec.select.metric, "select")
        report = self.metric(report or select, "report")
        mode = self.spec.metrics[select]["direction"]
        runs = self.ended(select, report, where=where)
        spec = self._part(runs, rows, columns)
        arms = zip(selections(spec, runs, select, mode), candidates(spec, runs), strict=True)
        return [
            each for one, found in arms for each in sensitivities(one, found, select, mode, report)
        ]

    def to_pandas(self, table: str = "runs") -> "pandas.DataFrame":
        """A table of the store as a pandas frame.

        Args:
            table: `runs`, `curves`, `attempts` or `decisions`.

        Raises:
            SpecError: If there is no such table, or pandas is not installed.
        """
        _need("pandas")
        return self.store.read(self.dataset(table)).to_pandas()

    def to_polars(self, table: str = "runs") -> "polars.DataFrame":
        """A table of the store as a Polars frame; the arguments are those of `to_pandas`.

        Raises:
            SpecError: If there is no such table, or Polars is not installed.
        """
        _need("polars")
        import polars

        return polars.DataFrame(polars.from_arrow(self.store.read(self.dataset(table))))

    def dataset(self, name: str) -> pads.Dataset:
        """The files of a table, listed now.

        Raises:
            SpecError: If there is no such table.
        """
        if name not in TABLES:
            raise SpecError(
                f"expected {', '.join(TABLES[:-1])} or {TABLES[-1]}, got {name!r}"
                f"{nearest(name, TABLES)}",
                field="table",
            )
        return self.store.dataset(name, WITHOUT_SPEC.get(name))

    def ended(self, *metrics: str, about: Sequence[str] = (), where: str | None = None) -> RunFrame:
        """Every ended run with these final metrics, for selection.

        Runs with values of a default that has changed since are left out, and counted.

        Args:
            metrics: Their names.
            about: Other columns of `runs` to have.
            where: A condition in SQL that they meet.

        Raises:
            SpecError: If no run meets the condition, or it is none.
        """
        return read_ended(self.store, self.spec, metrics, about, where)

    def sql(self, query: str) -> pa.Table:
        """DuckDB's answer to a query over `runs`, `curves`, `attempts` and `decisions`.

        Raises:
            SpecError: If DuckDB refuses the query.
            StoreError: If a file of theirs cannot be read.
        """
        from raysweep.results.sql import ask

        tables = {name: self.dataset(name) for name in TABLES}
        with self.store.reading(*tables.values()):
            return ask(query, tables)

    def metric(self, name: str, field: str) -> str:
        """The metric's name, which the option gave.

        Raises:
            SpecError: If the sweep has no such metric.
        """
        if name not in self.spec.metrics:
            raise SpecError(
                f"expected a metric of the sweep, got {name!r}{nearest(name, self.spec.metrics)}",
                field=field,
            )
        return name


def _condition(where: str | None, part: Spec, whole: Spec) -> str:
    """The condition in the title, and what it does to fresh seeds."""
    if where and whole.report_seeds and not part.report_seeds:
        return f"{where} (which leaves no fresh seed: these seeds have selected)"
    return where or ""


def _need(module: str) -> None:
    """Refuses what an optional package is needed for."""
    if importlib.util.find_spec(module) is None:
        raise SpecError(f"expected {module} to be installed; `pip install {module}` does it")

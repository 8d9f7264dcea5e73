"""Results of one sweep: Arrow tables, SQL, the result table and statistics."""

import dataclasses
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import SpecError, nearest, one_of
from raysweep.results.aggregates import Statistics, statistics_of
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.frame import RunFrame
from raysweep.results.labels import Filters, TableOptions, check_filters, chosen
from raysweep.results.lacking import lacking, without_value
from raysweep.results.membership import Membership
from raysweep.results.pareto import fronts
from raysweep.results.reader import read_ended, read_labels, with_labels
from raysweep.results.selection import Selection, candidates, cells, selections
from raysweep.results.sensitivity import Sensitivity, sensitivities
from raysweep.results.table import ResultTable, Style
from raysweep.results.top import TopConfigurations, best_of
from raysweep.store import schema
from raysweep.store.decisions import DECISIONS
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep import defaults
from raysweep.sweep.metrics import excluded
from raysweep.sweep.spec import Spec

if TYPE_CHECKING:
    import pandas
    import polars
    from typing_extensions import Unpack

    from raysweep.results.sql_limits import Limits

PLANNED = "planned"
TABLES = ("runs", PLANNED, "curves", "attempts", "decisions")
WITHOUT_SPEC = {"attempts": schema.ATTEMPTS, "decisions": DECISIONS}  # the same in every sweep


class SweepResults:
    """Results of a stored sweep: rows, and the tables and statistics computed from them.

    `raysweep.Results` adds figures, reports and files. Needs neither torch nor Ray.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.

    Raises:
        SpecError: If the store has no such sweep.
    """

    def __init__(self, store: str | Path, sweep: str) -> None:
        self.store = SweepStore(str(store), sweep)
        self.sweep = sweep
        self.spec = self.store.spec()

    def runs(self) -> pa.Table:
        """Return every ended run, one row each, with the stored columns and its present labels."""
        return with_labels(self.store, self.spec, self.store.runs())

    def curves(self) -> pa.Table:
        """Return the metrics over steps, one row per run and step."""
        return self.store.curves()

    def attempts(self) -> pa.Table:
        """Return every failed attempt, one row each."""
        return self.store.attempts()

    def table(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        **options: "Unpack[TableOptions]",
    ) -> ResultTable:
        """Return the result table; for the arguments see `raysweep.Results.table`.

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
        """
        from_file = select is None  # the sweep file may select by two metrics
        select = self.metric(select or self.spec.select.metric, "select")
        report = self.metric(report or select, "report")
        style: dict[str, Any] = {**options}
        filters = {name: style.pop(name) for name in Filters.__annotations__ if name in style}
        shown = Style(**style)
        both = self.spec.select.all if from_file and self.spec.select.second else ()
        where = options.get("where")
        runs = self.ended(select, report, *(one.metric for one in both), where=where)
        spec = self._part(runs, filters)
        about = self.spec.metrics
        mode = about[select]["direction"]
        entries = tuple(cells(spec, runs, select, mode, report))
        return ResultTable(
            self.sweep,
            spec.task_labels,
            spec.estimator_labels,
            entries,
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
            len({arm.task for arm in spec.arms}) == 1,
            self._lacking(spec, without_value(entries), report, where),
            row_kind=spec.row_kind,
        )

    def _lacking(
        self, spec: Spec, tasks: Sequence[str], metric: str, where: str | None
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the metrics of those tasks of which no run has a metric."""
        if not tasks:
            return {}
        return lacking(spec, self.ended(*spec.metrics, where=where), tasks, metric)

    def _part(self, runs: RunFrame, filters: Mapping[str, Any]) -> Spec:
        """Return the sweep restricted to the chosen estimators and tasks, and to the seeds left."""
        check_filters(filters)
        spec = self.spec
        estimators = chosen(filters, "estimators", spec.estimator_labels)
        tasks = chosen(filters, "tasks", spec.task_labels)
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
        **filters: "Unpack[Filters]",
    ) -> Statistics:
        """Return the statistics of each arm and over tasks; see docs/statistics.md.

        Args:
            select: The metric that selects configurations, as in `table`.
            report: The metric to show.
            filters: `estimators`, `tasks` and `where`, as in `table`.

        Raises:
            SpecError: As `table` does.
        """
        check_filters(filters)
        return statistics_of(self.table(select=select, report=report, **filters))

    def sensitivity(
        self,
        *,
        select: str | None = None,
        report: str | None = None,
        **filters: "Unpack[Filters]",
    ) -> list[Sensitivity]:
        """Return the sensitivity of a metric to each searched setting around the selected values.

        Means are over the seeds of the search, even where the table reports fresh seeds.

        Args:
            select: The metric that selects configurations, as in `table`.
            report: The metric to show.
            filters: `estimators`, `tasks` and `where`, as in `table`.

        Raises:
            SpecError: As `table` does.
        """
        select = self.metric(select or self.spec.select.metric, "select")
        report = self.metric(report or select, "report")
        mode = self.spec.metrics[select]["direction"]
        runs = self.ended(select, report, where=filters.get("where"))
        spec = self._part(runs, filters)
        arms = zip(selections(spec, runs, select, mode), candidates(spec, runs), strict=True)
        return [
            sensitivity
            for selection, tried in arms
            for sensitivity in sensitivities(selection, tried, select, mode, report)
        ]

    def top(
        self,
        n: int = 5,
        *,
        metric: str | None = None,
        **filters: "Unpack[Filters]",
    ) -> TopConfigurations:
        """Return the best configurations of each arm; see `raysweep.Results.top`.

        Raises:
            SpecError: If `n` is not positive, or as `table` does.
        """
        if n < 1:
            raise SpecError(f"expected a number of at least 1, got {n}", field="n")
        metric = self.metric(metric or self.spec.select.metric, "metric")
        runs = self.ended(metric, where=filters.get("where"))
        spec = self._part(runs, filters)
        stats = ConfigurationStats(runs, spec)
        about = self.spec.metrics[metric]
        mode = about["direction"]
        ranked = [best_of(arm, stats, metric, mode, n) for arm in spec.arms]
        return TopConfigurations(
            self.sweep,
            metric,
            mode,
            about["unit"],
            len(spec.seeds),
            n,
            sum(len(stats.of(arm)) for arm in spec.arms),
            tuple(row for arm in ranked for row in arm),
            spec.row_kind,
        )

    def to_pandas(self, table: str = "runs") -> "pandas.DataFrame":
        """Return a table of the store as a pandas data frame.

        Args:
            table: `runs`, `planned`, `curves`, `attempts` or `decisions`.

        Raises:
            SpecError: If there is no such table, or pandas is not installed.
        """
        _need("pandas")
        return self.rows(table).to_pandas()

    def to_polars(self, table: str = "runs") -> "polars.DataFrame":
        """Return a table of the store as a Polars data frame; for `table` see `to_pandas`.

        Raises:
            SpecError: If there is no such table, or Polars is not installed.
        """
        _need("polars")
        import polars

        return polars.DataFrame(polars.from_arrow(self.rows(table)))

    def rows(self, table: str) -> pa.Table:
        """Return a table of the store; for `table` see `to_pandas`.

        Besides the stored columns, `runs` and `planned` have `in_plan` (whether the file plans the
        run) and `selected` (whether the number in a cell of the table is made of it).

        Raises:
            SpecError: If there is no such table.
        """
        schema, batches = self.batches(table)
        return pa.concat_tables([schema.empty_table(), *batches])

    def batches(self, table: str) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """Return the schema of a table of the store, and its rows as parts to read one by one.

        Raises:
            SpecError: If there is no such table.
        """
        if table not in TABLES:
            raise SpecError(one_of(table, TABLES), field="table")
        if table not in ("runs", PLANNED):
            dataset = self.store.dataset(table, WITHOUT_SPEC.get(table))
            return dataset.schema, self._parts(dataset)
        labels, dataset = self.labels(), self.store.dataset("runs")
        present = labels.planned if table == PLANNED else labels.labelled
        schema = present(dataset.schema.empty_table()).schema
        return schema, map(present, self._parts(dataset))

    def _parts(self, dataset: pads.Dataset) -> Iterator[pa.Table]:
        with self.store.reading(dataset):
            for batch in dataset.to_batches():
                yield pa.Table.from_batches([batch])

    def labels(self, *, selected: bool = True) -> Membership:
        """Return the arms of the present file that stored runs belong to.

        Args:
            selected: Whether to find the selected configurations; otherwise none is marked.
        """
        return read_labels(self.store, self.spec, selected=selected)

    def ended(self, *metrics: str, about: Sequence[str] = (), where: str | None = None) -> RunFrame:
        """Return every ended run with these final metrics, for selection.

        Runs with outdated defaults are left out and counted.

        Args:
            metrics: Names of the final metrics.
            about: Further columns of `runs` to read.
            where: Condition in SQL that the runs must meet.

        Raises:
            SpecError: If no run meets the condition, or it is not valid SQL.
        """
        return read_ended(self.store, self.spec, metrics, about, where)

    def configurations(self, *metrics: str, about: Sequence[str] = ()) -> ConfigurationStats:
        """Return the statistics of every configuration; for the arguments see `ended`."""
        return ConfigurationStats(self.ended(*metrics, about=about), self.spec)

    def selections(self, select: str, *metrics: str) -> list[Selection]:
        """Return the selection of each arm.

        Args:
            select: The metric whose mean over seeds selects the configuration.
            metrics: Names of further metrics that its cells may show.
        """
        mode = self.spec.metrics[select]["direction"]
        return selections(self.spec, self.ended(select, *metrics), select, mode)

    def sql(self, query: str, *, limits: "Limits | None" = None) -> pa.Table:
        """Return the result of a query in SQL, which DuckDB runs: of the last statement with rows.

        Tables are `planned`, `runs`, `curves`, `attempts` and `decisions`.

        Runs have their present labels and the columns `in_plan` and `selected`, as in `rows`;
        `planned` has the planned ones alone, with a row for each arm that plans a run.

        Args:
            query: Query in SQL.
            limits: Limits of a query of another user, as the service has them; None for none.

        Raises:
            SpecError: If DuckDB refuses the query, or it exceeds the limits.
            StoreError: If a file of these tables cannot be read.
        """
        from raysweep.results.sql import ask, names_labels, needs_plan

        labels = None
        if needs_plan(query) or (names_labels(query) and not self.store.labels_hold(self.spec)):
            labels = self.labels(selected=needs_plan(query))
        tables = {
            name: self.store.dataset(name, WITHOUT_SPEC.get(name))
            for name in TABLES
            if name != PLANNED
        }
        with self.store.reading(*tables.values()):
            return ask(query, tables, labels, limits)

    def metric(self, name: str, field: str) -> str:
        """Check that the sweep has this metric, and return its name.

        Args:
            name: Name of the metric.
            field: Name of the argument, for the error.

        Raises:
            SpecError: If the sweep has no such metric, or its settings exclude it.
        """
        if name not in self.spec.metrics:
            raise SpecError(
                f"expected a metric of the sweep, got {name!r}{nearest(name, self.spec.metrics)}",
                field=field,
            )
        if (exclusion := excluded(self.spec, name)) is not None:
            raise SpecError(
                f"{name} has no value in this sweep {exclusion.reason}, or name another metric",
                field=field,
            )
        return name


def _condition(where: str | None, part: Spec, whole: Spec) -> str:
    """Return the condition for the title, with a note if it leaves no fresh seed."""
    if where and whole.report_seeds and not part.report_seeds:
        return f"{where} (which leaves no fresh seed: means are over the seeds of the search)"
    return where or ""


def _need(module: str) -> None:
    """Check that an optional package is installed."""
    if importlib.util.find_spec(module) is None:
        raise SpecError(f"{module} is not installed; run `pip install {module}`")

"""The results of one sweep: Arrow tables, SQL, and the table. Needs neither torch nor Ray."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import SpecError, nearest
from raysweep.results.ended import NEEDED, EndedRuns
from raysweep.results.front import fronts
from raysweep.results.labels import chosen
from raysweep.results.query import ask, matching
from raysweep.results.select import candidates, cells
from raysweep.results.table import ResultTable, Style
from raysweep.store import schema
from raysweep.store.constants import constants
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
        """The result table.

        Args:
            select: The metric whose mean over seeds selects a cell's configuration; the sweep
                file's if None.
            report: The metric shown; the one that selects if None.
            rows: Labels of the estimators to show; all if there are none.
            columns: Labels of the tasks to show; likewise.
            where: A condition in SQL over the columns of `runs`; what does not meet it is left
                out, seeds that are all left out too are no longer waited for.
            style: `spread` (`std`, `sem` or `ci`), `test` (`welch` or `mann-whitney`) and `level`
                (of significance, 0.05).

        Raises:
            SpecError: If the sweep has no such metric or label, or no run meets the condition.
        """
        own = select is None  # the sweep file's choice, which may be of two metrics
        select = self.metric(select or self.spec.select.metric, "--select")
        report = self.metric(report or select, "--report")
        shown = Style(**style)
        estimators = chosen(rows, self.spec.estimator_labels, "--rows")
        tasks = chosen(columns, self.spec.task_labels, "--columns")
        both = self.spec.select.all if own and self.spec.select.second else ()
        runs = self.ended(select, report, *(each.metric for each in both), where=where)
        spec = dataclasses.replace(
            self.spec,
            arms=tuple(
                arm
                for arm in self.spec.arms
                if arm.task_label in tasks and arm.estimator_label in estimators
            ),
            seeds=runs.without_left_out(self.spec.seeds),
            report_seeds=runs.without_left_out(self.spec.report_seeds),
        )
        about = self.spec.metrics
        mode = about[select]["direction"]
        return ResultTable(
            self.sweep,
            tasks,
            estimators,
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
            where or "",
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

    def report(self, path: str | Path | None = None, *, select: str | None = None) -> Path:
        """Writes tables, figures, statistics and provenance into one HTML file without a network.

        Args:
            path: The file, which ends in `.html`; None for `<sweep>.html` in the working directory.
            select: The metric whose mean over seeds selects a configuration; the sweep file's if
                None.

        Returns:
            The file.

        Raises:
            SpecError: If the sweep has no such metric, or the file cannot be written.
        """
        from raysweep.report.write import save

        return save(self, path, select)

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

    def ended(
        self, *metrics: str, about: Sequence[str] = (), where: str | None = None
    ) -> EndedRuns:
        """Every ended run with these final metrics, for selection.

        Args:
            metrics: Their names.
            about: Other columns of `runs` to have.
            where: A condition in SQL that they meet.

        Raises:
            SpecError: If no run meets the condition, or it is none.
        """
        dataset = self.store.dataset("runs", encoded=True)
        wanted = {*NEEDED, *about, *(f"metric.{each}" for each in metrics)}
        names = [
            name for name in dataset.schema.names if name in wanted or name.startswith("param.")
        ]
        same = constants(dataset, names)
        fields = [dataset.schema.field(name) for name in same]
        fields = [field.with_type(same[field.name].type) for field in fields]
        one_row = pa.table([[each] for each in same.values()], schema=pa.schema(fields))
        table = self.store.read(dataset, [name for name in names if name not in same])
        if where is None:
            return EndedRuns(table, same=one_row)
        kept = table.filter(pc.is_in(table["run_id"], matching(dataset, where)))
        left_out: set[int] = set(pc.unique(table["seed"]).to_pylist())
        left_out -= set(pc.unique(kept["seed"]).to_pylist())
        return EndedRuns(kept, frozenset(left_out), one_row)

    def sql(self, query: str) -> pa.Table:
        """DuckDB's answer to a query over `runs`, `curves`, `attempts` and `decisions`.

        Raises:
            SpecError: If DuckDB refuses the query.
        """
        tables = {
            "runs": self.store.dataset("runs"),
            "curves": self.store.dataset("curves"),
            "attempts": self.store.dataset("attempts", schema.ATTEMPTS),
            "decisions": self.store.dataset("decisions", DECISIONS),
        }
        return ask(query, tables)

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

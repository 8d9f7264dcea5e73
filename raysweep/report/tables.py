"""The result table of every metric with every statistic: the cells of `raysweep table`."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from raysweep.figures.plotly_backend.parts import Control, choices
from raysweep.formats.captions import SPREADS, mark, notes, title
from raysweep.formats.parts import entry_text, front_rows, front_title, texts
from raysweep.report.parts import Table, Text, Views
from raysweep.results.selection import Selection, selections
from raysweep.results.snapshot import Snapshot
from raysweep.results.table import Column, Entry, ResultTable, Style

MOST_CELLS = 4000  # of all metrics together: each has a dozen numbers in the page
STATISTICS = {
    "std": "mean ± standard deviation",
    "sem": "mean ± standard error",
    "ci": "mean, 95 % interval",
    "median": "median",
}


@dataclasses.dataclass(frozen=True)
class Tables:
    """The result tables of a sweep.

    Args:
        by_metric: With the standard deviation, the metrics that select first, the rest by name;
            those of which no cell has a value are left out.
        left_out: Metrics that the page has no room for.
        selections: What each arm's cell shows, arm by arm.
    """

    by_metric: Mapping[str, ResultTable]
    left_out: tuple[str, ...]
    selections: Sequence[Selection]

    @property
    def first(self) -> ResultTable:
        """Of the metric that selects."""
        return next(iter(self.by_metric.values()))

    def control(self, name: str) -> Control:
        """The choice of a metric."""
        labels = [
            f"{metric} [{table.unit}]" if table.unit else metric
            for metric, table in self.by_metric.items()
        ]
        return choices(name, "Metric", labels)


def result_tables(results: Snapshot, select: str | None) -> Tables:
    """The result tables of every metric, from one reading and one selection.

    Args:
        results: Of the sweep.
        select: The metric that selects; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric.
    """
    base = results.table(select=select)
    chosen = selections(results.spec, results.ended(), base.select, base.select_mode)
    leading = dict.fromkeys([base.select, *(each.metric for each in base.front_metrics)])
    found = {}
    for metric in [*leading, *sorted(set(results.spec.metrics) - set(leading))]:
        cells = tuple(each.cell(metric) for each in chosen)
        if metric in leading or any(cell.mean is not None for cell in cells):
            about = results.spec.metrics[metric]
            found[metric] = dataclasses.replace(
                base,
                cells=cells,
                report=metric,
                report_direction=about["direction"],
                unit=about["unit"],
            )
    most = max(len(leading), MOST_CELLS // max(1, len(chosen)))
    kept = dict(list(found.items())[:most])
    return Tables(kept, tuple(each for each in found if each not in kept), chosen)


def table_views(tables: Tables) -> Views:
    """Every metric's table with every statistic."""
    views = {}
    for place, table in enumerate(tables.by_metric.values()):
        for spread in SPREADS:
            styled = dataclasses.replace(table, style=Style(spread=spread))
            views[f"{place} {spread}"] = (_with_means(styled),)
        views[f"{place} median"] = (_with_medians(table),)
    statistic = Control("table-statistic", "Statistic", tuple(STATISTICS.items()))
    return Views((tables.control("table-metric"), statistic), views)


def front_table(table: ResultTable) -> Table | None:
    """The Pareto fronts, as below the table; None where one metric selects."""
    if not table.front_metrics:
        return None
    head, *rows = front_rows(table)
    return Table(front_title(table), tuple(head), tuple(tuple(map(Text, each)) for each in rows))


def _with_means(table: ResultTable) -> Table:
    found = texts(table)
    bold = {column: table.judgement(column).bold for column in table.columns}
    rows = tuple(
        (
            Text(estimator),
            *(
                Text(found[estimator, column], estimator in bold[column])
                for column in table.columns
            ),
        )
        for estimator in table.estimators
    )
    marked = mark(table)
    below = (*([f"Bold: {marked}."] if marked else []), *notes(table))
    return _table(title(table), table.columns, rows, below)


def _with_medians(table: ResultTable) -> Table:
    columns = [column for column in table.columns if column.kind == "task"]
    rows = tuple(
        (Text(estimator), *(Text(_median(table, estimator, column)) for column in columns))
        for estimator in table.estimators
    )
    caption = title(table).replace(SPREADS["std"], "median", 1)
    standings = [each for each in notes(table) if each.startswith("?")]
    below = ("nothing is marked: the tests compare means", *standings)
    return _table(caption, columns, rows, below)


def _median(table: ResultTable, estimator: str, column: Column) -> str:
    entry = table.entry(estimator, column)
    cell = table.cell(estimator, column.label)
    if cell is None or entry.mean is None:
        return entry_text(entry)
    middle = statistics.median(cell.values.values())
    return entry_text(Entry(middle, n=entry.n, provisional=entry.provisional))


def _table(
    caption: str,
    columns: Sequence[Column],
    rows: tuple[tuple[Text, ...], ...],
    below: Sequence[str],
) -> Table:
    head = ("estimator", *(column.label for column in columns))
    return Table(caption, head, rows, tuple(below), frozenset(range(1, len(head))))

"""Section of result tables: every metric with every statistic, as in `raysweep table`."""

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

MAX_CELLS = 4000  # of all metrics together; a cell has a dozen numbers in the page
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
        by_metric: Table with standard deviations of each metric, the metrics that select first,
            the rest by name; metrics without a value in any cell are left out.
        left_out: Metrics that the page has no room for.
        selections: Selection of each arm.
    """

    by_metric: Mapping[str, ResultTable]
    left_out: tuple[str, ...]
    selections: Sequence[Selection]

    @property
    def first(self) -> ResultTable:
        """Table of the metric that selects."""
        return next(iter(self.by_metric.values()))

    def control(self, name: str) -> Control:
        """Return the control that chooses a metric."""
        labels = [
            f"{metric} [{table.unit}]" if table.unit else metric
            for metric, table in self.by_metric.items()
        ]
        return choices(name, "Metric", labels)


def result_tables(results: Snapshot, select: str | None) -> Tables:
    """Return the result tables of every metric, from one reading and one selection.

    Args:
        results: Results of the sweep.
        select: The metric that selects; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric.
    """
    base = results.table(select=select)
    chosen = selections(results.spec, results.ended(), base.select, base.select_mode)
    leading = dict.fromkeys([base.select, *(select.metric for select in base.front_metrics)])
    by_metric = {}
    for metric in [*leading, *sorted(set(results.spec.metrics) - set(leading))]:
        cells = tuple(selection.cell(metric) for selection in chosen)
        if metric in leading or any(cell.mean is not None for cell in cells):
            about = results.spec.metrics[metric]
            by_metric[metric] = dataclasses.replace(
                base,
                cells=cells,
                report=metric,
                report_direction=about["direction"],
                unit=about["unit"],
            )
    limit = max(len(leading), MAX_CELLS // max(1, len(chosen)))
    kept = dict(list(by_metric.items())[:limit])
    return Tables(kept, tuple(metric for metric in by_metric if metric not in kept), chosen)


def table_views(tables: Tables) -> Views:
    """Return the table of every metric with every statistic."""
    views = {}
    for index, table in enumerate(tables.by_metric.values()):
        for spread in SPREADS:
            styled = dataclasses.replace(table, style=Style(spread=spread))
            views[f"{index} {spread}"] = (_with_means(styled),)
        views[f"{index} median"] = (_with_medians(table),)
    statistic = Control("table-statistic", "Statistic", tuple(STATISTICS.items()))
    return Views((tables.control("table-metric"), statistic), views)


def front_table(table: ResultTable) -> Table | None:
    """Return the Pareto fronts; None if one metric selects."""
    if not table.front_metrics:
        return None
    head, *rows = front_rows(table)
    return Table(front_title(table), tuple(head), tuple(tuple(map(Text, line)) for line in rows))


def _with_means(table: ResultTable) -> Table:
    cells = texts(table)
    bold = {column: table.judgement(column).bold for column in table.columns}
    rows = tuple(
        (
            Text(estimator),
            *(
                Text(cells[estimator, column], estimator in bold[column])
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
    provisional = [note for note in notes(table) if note.startswith("?")]
    below = ("no marks: the tests compare means", *provisional)
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

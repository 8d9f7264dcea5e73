"""Section of result tables: every metric with every statistic, as in `raysweep table`."""

import dataclasses
from collections.abc import Mapping, Sequence

from raysweep.formats.tables import median_grid, result_grid
from raysweep.report.parts import Control, Views, choices
from raysweep.results.selection import Selection
from raysweep.results.snapshot import Snapshot
from raysweep.results.table import SPREADS, ResultTable, Style

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
    chosen = results.selections(base.select)
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
            views[f"{index} {spread}"] = (result_grid(styled),)
        views[f"{index} median"] = (median_grid(table),)
    statistic = Control("table-statistic", "Statistic", tuple(STATISTICS.items()))
    return Views((tables.control("table-metric"), statistic), views)

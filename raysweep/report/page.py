"""The content of a sweep's report, apart from its layout."""

import dataclasses

from raysweep.formats.grid import Grid
from raysweep.formats.tables import front_grid
from raysweep.formats.top import top_grid
from raysweep.report.configurations import configurations_section
from raysweep.report.failures import failures_section
from raysweep.report.figures import report_figures
from raysweep.report.origin import Origin, origin_section
from raysweep.report.parts import Figure, Views
from raysweep.report.statistics import statistics_section
from raysweep.report.tables import result_tables, table_views
from raysweep.results.snapshot import Snapshot
from raysweep.results.sweep_results import SweepResults
from raysweep.store import sweep_paths
from raysweep.text import counted

TOP = 10  # configurations of each arm in the list of the best
MAX_TOP = 2000  # of all arms together, as far as each has one


@dataclasses.dataclass(frozen=True)
class Page:
    """The content of a report.

    Args:
        sweep: Name of the sweep.
        summary: Size of the sweep, in one sentence.
        row_kind: The file's word for a row of the tables: `estimator` or `method`.
        origin: Provenance of the numbers.
        table: Result tables of every metric.
        left_out: Metrics that the page has no room for.
        front: The Pareto fronts; None if one metric selects.
        top: The best configurations of each arm.
        figures: Figures in the order of the page.
        statistics: Statistics of each arm and over tasks.
        configurations: Tables of the selected configurations.
        failures: Tables of diverged and failed runs; empty if there are none.
        file: Text of the sweep file.
    """

    sweep: str
    summary: str
    row_kind: str
    origin: Origin
    table: Views
    left_out: tuple[str, ...]
    front: Grid | None
    top: Grid
    figures: tuple[Figure, ...]
    statistics: Views
    configurations: Views
    failures: tuple[Grid, ...]
    file: str


def page(results: SweepResults, select: str | None = None) -> Page:
    """Return the content of a sweep's report.

    Args:
        results: Results of the sweep.
        select: The metric that selects configurations; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric.
    """
    snapshot = Snapshot(results)
    tables = result_tables(snapshot, select)
    return Page(
        results.sweep,
        _summary(snapshot),
        snapshot.spec.row_kind,
        origin_section(snapshot),
        table_views(tables),
        tables.left_out,
        front_grid(tables.first) if tables.first.front_metrics else None,
        top_grid(snapshot.top(_size_of_top(snapshot), metric=tables.first.select)),
        report_figures(snapshot, tables.first.select, list(tables.by_metric), tables.selections),
        statistics_section(tables),
        configurations_section(tables),
        tuple(failures_section(snapshot)),
        (results.store.files.read(sweep_paths.FILE) or b"").decode(errors="replace"),
    )


def _size_of_top(results: Snapshot) -> int:
    return max(1, min(TOP, MAX_TOP // max(1, len(results.spec.arms))))


def _summary(results: Snapshot) -> str:
    spec = results.spec
    fresh = len(spec.report_seeds)
    reported = f", reported on {counted(fresh, 'fresh one')}" if fresh else ""
    parts = [
        counted(len(spec.estimator_labels), spec.row_kind),
        counted(len(spec.task_labels), "task"),
        counted(len(spec.seeds), "seed"),
    ]
    return f"{parts[0]} on {parts[1]}, {parts[2]}{reported}."

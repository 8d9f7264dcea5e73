"""The content of a sweep's report, apart from its layout."""

import dataclasses
import functools

from raysweep.formats.grid import Grid
from raysweep.formats.tables import front_grid
from raysweep.formats.top import top_grid
from raysweep.report.configurations import configurations_section
from raysweep.report.failures import failures_section
from raysweep.report.figures import report_figures
from raysweep.report.origin import Origin, origin_section
from raysweep.report.parts import Figure, Views
from raysweep.report.statistics import statistics_section
from raysweep.report.tables import Tables, result_tables, table_views
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


class Sections:
    """Sections of a sweep's report, computed when they are asked for, from results read once.

    Args:
        results: Results of the sweep.
        select: The metric that selects configurations; the sweep file's if None.
    """

    def __init__(self, results: SweepResults, select: str | None = None) -> None:
        self.snapshot = Snapshot(results)
        self.sweep, self.row_kind = results.sweep, results.spec.row_kind
        self._select = select

    @functools.cached_property
    def tables(self) -> Tables:
        """Result tables of every metric.

        Raises:
            SpecError: If the sweep has no such metric.
        """
        return result_tables(self.snapshot, self._select)

    @property
    def summary(self) -> str:
        """Size of the sweep, in one sentence."""
        return _summary(self.snapshot)

    @functools.cached_property
    def origin(self) -> Origin:
        """Provenance of the numbers."""
        return origin_section(self.snapshot)

    @functools.cached_property
    def table(self) -> Views:
        """Result tables of every metric with every statistic."""
        return table_views(self.tables)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Metrics that a page has no room for."""
        return self.tables.left_out

    @property
    def front(self) -> Grid | None:
        """Pareto fronts; None if one metric selects."""
        first = self.tables.first
        return front_grid(first) if first.front_metrics else None

    @functools.cached_property
    def top(self) -> Grid:
        """Best configurations of each arm."""
        size = _size_of_top(self.snapshot)
        return top_grid(self.snapshot.top(size, metric=self.tables.first.select))

    @functools.cached_property
    def figures(self) -> tuple[Figure, ...]:
        """Figures in the order of a page."""
        tables = self.tables
        metrics = list(tables.by_metric)
        return report_figures(self.snapshot, tables.first.select, metrics, tables.selections)

    @functools.cached_property
    def statistics(self) -> Views:
        """Statistics of each arm and over tasks."""
        return statistics_section(self.tables)

    @functools.cached_property
    def configurations(self) -> Views:
        """Tables of the selected configurations."""
        return configurations_section(self.tables)

    @functools.cached_property
    def failures(self) -> tuple[Grid, ...]:
        """Tables of diverged and failed runs; empty if there are none."""
        return tuple(failures_section(self.snapshot))

    @property
    def file(self) -> str:
        """Text of the sweep file."""
        data = self.snapshot.store.files.read(sweep_paths.FILE)
        return (data or b"").decode(errors="replace")


def page(results: SweepResults, select: str | None = None) -> Page:
    """Return the content of a sweep's report.

    Args:
        results: Results of the sweep.
        select: The metric that selects configurations; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric.
    """
    sections = Sections(results, select)
    return Page(*(getattr(sections, field.name) for field in dataclasses.fields(Page)))


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

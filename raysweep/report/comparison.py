"""Sections of several sweeps side by side: one table of all, and the differences between two."""

import dataclasses
from collections.abc import Sequence

from raysweep.errors import SpecError
from raysweep.formats.diff import diff_grids
from raysweep.formats.grid import Grid
from raysweep.report.parts import Views, choices
from raysweep.report.tables import Tables, result_tables, table_views
from raysweep.results.compare import combined, difference
from raysweep.results.snapshot import Snapshot
from raysweep.results.sweep_results import SweepResults
from raysweep.text import some


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several sweeps side by side.

    Args:
        sweeps: Names of the sweeps.
        select: Metric that selects configurations in all of them.
        metrics: Metrics that all sweeps have, which may select, too.
        table: One table of all sweeps, of every metric that they share.
        settings: Settings and selected configurations that differ; None unless there are two
            sweeps.
        means: Differences of the means, of every metric; None unless there are two sweeps.
        notes: Metrics that are not compared, with the reason.
    """

    sweeps: tuple[str, ...]
    select: str
    metrics: tuple[str, ...]
    table: Views
    settings: tuple[Grid, ...]
    means: Views | None
    notes: tuple[str, ...]


def shared_metrics(sweeps: Sequence[SweepResults]) -> tuple[str, ...]:
    """Return the metrics that all sweeps have, in the order of the first.

    Raises:
        SpecError: If there is none.
    """
    first, *others = sweeps
    shared = [
        metric for metric in first.spec.metrics if all(metric in one.spec.metrics for one in others)
    ]
    if not shared:
        known = "; ".join(f"{one.sweep} has {some(list(one.spec.metrics), 5)}" for one in sweeps)
        raise SpecError(f"expected sweeps that share a metric, got none: {known}")
    return tuple(shared)


def comparison(sweeps: Sequence[SweepResults], select: str | None = None) -> Comparison:
    """Return several sweeps side by side.

    Args:
        sweeps: Results of two sweeps or more.
        select: Metric that selects configurations; that of the sweep files if None.

    Raises:
        SpecError: If the sweeps share no metric, or select by different ones and none is given.
    """
    metrics = shared_metrics(sweeps)
    snapshots = [Snapshot(one) for one in sweeps]
    by_sweep = [result_tables(snapshot, select) for snapshot in snapshots]
    tables, notes = _combined(snapshots, by_sweep)
    settings, means = ((), None) if len(sweeps) != 2 else _differences(snapshots, tables)
    return Comparison(
        tuple(one.sweep for one in sweeps),
        by_sweep[0].first.select,
        metrics,
        table_views(tables),
        settings,
        means,
        notes,
    )


def _combined(
    sweeps: Sequence[Snapshot], by_sweep: Sequence[Tables]
) -> tuple[Tables, tuple[str, ...]]:
    """Return the tables of all sweeps by metric, and the reasons why metrics are left out."""
    specs = [one.spec for one in sweeps]
    tables, problems = {}, []
    first, *others = by_sweep
    for metric in first.by_metric:
        if not all(metric in other.by_metric for other in others):
            continue
        try:
            tables[metric] = combined([one.by_metric[metric] for one in by_sweep], specs)
        except SpecError as error:
            problems.append(error)
    if not tables:
        raise (
            problems[0]
            if problems
            else SpecError("no metric that these sweeps share has values in all of them yet")
        )
    return Tables(tables, (), ()), tuple(map(str, problems))


def _differences(sweeps: Sequence[Snapshot], tables: Tables) -> tuple[tuple[Grid, ...], Views]:
    """Return what differs between two sweeps: settings and configurations, and means by metric."""
    first, second = sweeps
    grids = [diff_grids(difference(first, second, metric)) for metric in tables.by_metric]
    means = {str(index): (every[-1],) for index, every in enumerate(grids)}
    control = choices("difference-metric", "Metric", list(tables.by_metric))
    return tuple(grids[0][:-1]), Views((control,), means)

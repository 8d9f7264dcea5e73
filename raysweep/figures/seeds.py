"""Seeds: the final metric of every seed at the selected configuration, its mean and interval."""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from raysweep.figures.scope import (
    MetricRequest,
    Numbers,
    SweepView,
    read_finals,
    without_fresh,
    without_values,
)
from raysweep.figures.statistics import interval
from raysweep.results.selection import Cell, Status
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults

MANY = 30  # seeds: of more, a box tells more than their dots


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedsRequest(MetricRequest):
    """What the seeds may be asked for: one metric; the one that selects if none."""


@dataclasses.dataclass(frozen=True)
class SeedsRow:
    """One estimator on one task.

    Args:
        estimator: Label.
        place: The estimator's in the sweep file.
        status: What is known of the cell, as in the table; `empty` where no seed has the metric.
        seeds: `R`, increasing.
        values: `R`, the final metric.
        mean: Over the seeds; NaN where the table has none.
        low: The low end of the mean's 95 % interval; NaN for fewer than two seeds.
        high: Likewise.
        box: 5th, 25th, 50th, 75th and 95th percentile where there are more than `MANY` seeds.
    """

    estimator: str
    place: int
    status: Status
    seeds: NDArray[np.int64]
    values: Numbers
    mean: float
    low: float
    high: float
    box: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SeedsPanel:
    """One task; rows estimator by estimator."""

    task: str
    rows: tuple[SeedsRow, ...]


@dataclasses.dataclass(frozen=True)
class SeedsFigure:
    """Panels of seeds.

    Args:
        sweep: Its name.
        metric: The one shown.
        unit: Its unit.
        estimators: Labels: the rows of every panel.
        panels: Task by task.
        selection: How configurations were selected, in words.
    """

    sweep: str
    metric: str
    unit: str
    estimators: tuple[str, ...]
    panels: tuple[SeedsPanel, ...]
    selection: str


def prepare(results: SweepResults, request: SeedsRequest) -> SeedsFigure:
    """The seeds of a sweep's selected configurations.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    request.check_single("a figure of seeds")
    scope = SweepView.of(results, request)
    metric = results.metric((*request.metrics, scope.select)[0], "metric")
    cells = scope.cells()
    run_ids = [run_id for cell in cells for run_id in cell.run_ids]
    if not run_ids and results.spec.report_seeds:
        raise without_fresh(results.sweep)
    finals = read_finals(results, run_ids, metric)
    panels = tuple(
        SeedsPanel(
            task,
            tuple(
                sorted(
                    (_row(cell, scope, finals) for cell in cells if cell.task == task),
                    key=lambda row: row.place,
                )
            ),
        )
        for task in scope.tasks
    )
    if not any(len(row.values) for panel in panels for row in panel.rows):
        raise without_values(results, metric)
    unit = results.spec.metrics[metric]["unit"]
    return SeedsFigure(results.sweep, metric, unit, scope.estimators, panels, scope.selection)


def _row(cell: Cell, scope: SweepView, finals: dict[str, tuple[int, float]]) -> SeedsRow:
    found = sorted(finals[run_id] for run_id in cell.run_ids if run_id in finals)
    seeds = np.array([seed for seed, _ in found], np.int64)
    values = np.array([value for _, value in found], np.float64)
    mean = low = high = math.nan
    status: Status = cell.status
    if not len(values) and status in ("selected", "provisional"):
        status = "empty"
    if status in ("selected", "provisional"):
        mean = mean_of(values.tolist())
        low, high = (float(end) for end in interval(values))
    many = len(values) > MANY
    box = tuple(np.percentile(values, [5, 25, 50, 75, 95]).tolist()) if many else ()
    place = scope.place(cell.estimator)
    return SeedsRow(cell.estimator, place, status, seeds, values, mean, low, high, box)

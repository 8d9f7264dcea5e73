"""Final metric of every seed of the selected configurations, with the mean and its interval."""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from raysweep.figures.scope import (
    MetricRequest,
    Numbers,
    SweepView,
    without_fresh,
    without_values,
)
from raysweep.figures.statistics import interval
from raysweep.results.selection import Selection, Status
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults

MANY = 30  # more seeds than this get a box, as their dots overlap

ROOM = 1.0  # beside the dots, as a share of their range, which intervals may take
BEYOND = "intervals with an arrow reach beyond the axis"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedsRequest(MetricRequest):
    """Options of a figure of seeds: one metric, by default the one that selects."""


@dataclasses.dataclass(frozen=True)
class SeedsRow:
    """Seeds of one estimator on one task.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        status: Status of the cell, as in the table; `empty` where no seed has the metric.
        seeds: Seeds with a value, `R`, increasing.
        values: Final metric of each seed, `R`.
        mean: Mean over the seeds; NaN where the table has none.
        low: Low end of the mean's 95 % interval; NaN for fewer than five seeds.
        high: High end of the mean's 95 % interval; NaN for fewer than five seeds.
        box: 5th, 25th, 50th, 75th and 95th percentile where there are more than `MANY` seeds.
    """

    estimator: str
    index: int
    status: Status
    seeds: NDArray[np.int64]
    values: Numbers
    mean: float
    low: float
    high: float
    box: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SeedsPanel:
    """Seeds of one task, a row for each estimator."""

    task: str
    rows: tuple[SeedsRow, ...]

    @property
    def limits(self) -> tuple[float, float] | None:
        """Limits of the axis, past which some interval reaches; None if all of it fits.

        One seed far from the others makes intervals so wide that all dots would be one.
        """
        dots = np.concatenate([np.zeros(0), *(row.values for row in self.rows)])
        dots = dots[np.isfinite(dots)]
        ends = np.array([end for row in self.rows for end in (row.low, row.high)])
        ends = ends[np.isfinite(ends)]
        if not len(dots) or not len(ends):
            return None
        room = ROOM * (dots.max() - dots.min())
        low, high = dots.min() - room, dots.max() + room
        if low <= ends.min() and ends.max() <= high:
            return None
        margin = 0.05 * (dots.max() - dots.min())
        ends = np.clip(ends, low, high)
        return min(ends.min(), dots.min() - margin), max(ends.max(), dots.max() + margin)


@dataclasses.dataclass(frozen=True)
class SeedsFigure:
    """Panels of seeds.

    Args:
        sweep: Name of the sweep.
        metric: Metric that is shown.
        unit: Unit of the metric.
        estimators: Labels of the estimators, the rows of every panel.
        panels: Panels, one for each task.
        selection: Caption text on how configurations were selected.
    """

    sweep: str
    metric: str
    unit: str
    estimators: tuple[str, ...]
    panels: tuple[SeedsPanel, ...]
    selection: str


def prepare(results: SweepResults, request: SeedsRequest) -> SeedsFigure:
    """Return the seeds of a sweep's selected configurations.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    request.check_single("a figure of seeds")
    return read_seeds(results, request)


def read_seeds(results: SweepResults, request: MetricRequest) -> SeedsFigure:
    """Return the seeds of a sweep's selected configurations, for one metric.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    chosen = view.selections(metric)
    if not any(one.rows for one in chosen) and results.spec.report_seeds:
        raise without_fresh(results.sweep)
    panels = tuple(
        SeedsPanel(
            task,
            tuple(
                sorted(
                    (_row(one, view, metric) for one in chosen if one.arm.task_label == task),
                    key=lambda row: row.index,
                )
            ),
        )
        for task in view.tasks
    )
    if not any(len(row.values) for panel in panels for row in panel.rows):
        raise without_values(results, metric)
    unit = results.spec.metrics[metric]["unit"]
    return SeedsFigure(results.sweep, metric, unit, view.estimators, panels, view.selection)


def _row(chosen: Selection, view: SweepView, metric: str) -> SeedsRow:
    finals = chosen.finals(metric)
    seeds = np.array(list(finals), np.int64)
    values = np.array(list(finals.values()), np.float64)
    mean = low = high = math.nan
    status: Status = chosen.status
    if not len(values) and status in ("selected", "provisional"):
        status = "empty"
    if status in ("selected", "provisional"):
        mean = mean_of(values.tolist())
        low, high = (float(end) for end in interval(values))
    many = len(values) > MANY
    box = tuple(np.percentile(values, [5, 25, 50, 75, 95]).tolist()) if many else ()
    estimator = chosen.arm.estimator_label
    index = view.estimator_index(estimator)
    return SeedsRow(estimator, index, status, seeds, values, mean, low, high, box)

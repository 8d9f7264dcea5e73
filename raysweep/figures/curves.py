"""Learning curves: for each task and estimator, the mean over seeds and a band around it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures.scope import (
    Curve,
    MetricRequest,
    Numbers,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
)
from raysweep.figures.statistics import check_band, over_seeds
from raysweep.results.selection import Cell
from raysweep.results.sweep_results import SweepResults

MAX_POINTS = 2000  # of a line; no screen or page shows more
FEW = 20  # points: no start is left out of lines that have fewer
START = 0.1  # of the steps: where curves fall steeply
CROP = 2.5  # a start that makes an axis so many times longer is left outside it


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurvesRequest(MetricRequest):
    """What curves may be asked for, besides what every figure may.

    Args:
        log: Whether the y axes are logarithmic.
        band: What the bands are: `sem`, one standard error to each side, `std`, one standard
            deviation, or `ci`, the 95 % interval of the mean.
    """

    log: bool = False
    band: str = "sem"


@dataclasses.dataclass(frozen=True)
class Line:
    """One estimator on one task.

    Args:
        estimator: Label.
        place: The estimator's in the sweep file.
        steps: `T`, increasing.
        mean: `T`, over the seeds that have a finite value.
        low: `T`, the low end of the band; the mean where there is one seed.
        high: `T`, likewise.
        seeds: How many the mean is over.
        provisional: Whether planned seeds of the configuration have yet to end.
        run_ids: Of the seeds.
    """

    estimator: str
    place: int
    steps: NDArray[np.int64]
    mean: Numbers
    low: Numbers
    high: Numbers
    seeds: int
    provisional: bool
    run_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One metric on one task."""

    metric: str
    task: str
    lines: tuple[Line, ...]

    @property
    def limits(self) -> tuple[float, float] | None:
        """The y axis where the start would flatten the rest; None if all of it can be shown."""
        if not any(len(line.steps) >= FEW for line in self.lines):
            return None
        last = max(line.steps[-1] for line in self.lines)
        first = min(line.steps[0] for line in self.lines)
        whole, later = _Span(), _Span()
        for line in self.lines:
            after = line.steps >= first + START * (last - first)
            whole.add(line.low, line.high)
            later.add(line.low[after], line.high[after])
        if not 0 < CROP * later.size < whole.size:
            return None
        return later.low - 0.05 * later.size, later.high + 0.05 * later.size


@dataclasses.dataclass(frozen=True)
class CurvesFigure:
    """Panels of curves.

    Args:
        sweep: Its name.
        panels: Metric by metric, then task by task.
        tasks: How many there are.
        units: Of each metric.
        selection: How configurations were selected, in words.
        log: Whether the y axes are logarithmic.
        band: What the bands are: `sem`, `std` or `ci`.
        runs: Number of runs that the lines should be over.
        lacking: Number of those that have no curves, as their files were lost.
    """

    sweep: str
    panels: tuple[Panel, ...]
    tasks: int
    units: dict[str, str]
    selection: str
    log: bool
    band: str
    runs: int
    lacking: int

    @property
    def cropped(self) -> bool:
        """Whether a panel leaves out the start of its curves."""
        return not self.log and any(panel.limits for panel in self.panels)

    @property
    def seeds(self) -> list[int]:
        """The numbers of seeds that means are over, where they are final."""
        lines = [line for panel in self.panels for line in panel.lines]
        return sorted({line.seeds for line in lines if not line.provisional})

    @property
    def labels(self) -> dict[str, tuple[int, str]]:
        """Each estimator's place and its text in the legend, in the file's order."""
        found: dict[str, list[tuple[str, Line]]] = {}
        for panel in self.panels:
            for line in panel.lines:
                found.setdefault(line.estimator, []).append((panel.task, line))
        ordered = sorted(found.items(), key=lambda each: each[1][0][1].place)
        return {name: (own[0][1].place, f"{name}{_standing(own)}") for name, own in ordered}


class _Span:
    """From the lowest to the highest of all numbers taken in."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def add(self, low: Numbers, high: Numbers) -> None:
        self.low = float(min([self.low, *low]))
        self.high = float(max([self.high, *high]))

    @property
    def size(self) -> float:
        return self.high - self.low if self.high >= self.low else 0.0


def prepare(results: SweepResults, request: CurvesRequest) -> CurvesFigure:
    """The curves of a sweep.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    for name in request.metrics:
        results.metric(name, "metric")
    band = check_band(request.band)
    scope = SweepView.of(results, request)
    cells = [cell for cell in scope.cells() if cell.run_ids]
    run_ids = [run_id for cell in cells for run_id in cell.run_ids]
    metrics = request.metrics or _default(scope, run_ids)
    curves = read_curves(results, run_ids, metrics)
    panels = tuple(
        Panel(
            metric,
            task,
            _lines(scope, [cell for cell in cells if cell.task == task], metric, curves, band),
        )
        for metric in metrics
        for task in scope.tasks
    )
    empty = [
        metric
        for metric in metrics
        if not any(panel.lines for panel in panels if panel.metric == metric)
    ]
    if empty:
        raise without_curves(scope, empty, run_ids)
    if request.log:
        _check_positive(panels)
    units = {metric: results.spec.metrics[metric]["unit"] for metric in metrics}
    return CurvesFigure(
        results.sweep,
        panels,
        len(scope.tasks),
        units,
        scope.selection,
        request.log,
        band,
        runs=len(set(run_ids)),
        lacking=len(set(run_ids) - curves.keys()),
    )


def _default(scope: SweepView, run_ids: Sequence[str]) -> tuple[str, ...]:
    """The metric that selects if it has curves, else the training loss, else any that has."""
    usual = [name for name in (scope.select, "train_loss") if name in scope.results.spec.metrics]
    for names in (*([name] for name in usual), sorted(scope.results.spec.metrics)):
        known = curve_metrics(scope.results, run_ids, names)
        if known:
            return (known[0],)
    raise without_curves(scope, [scope.select], run_ids)


def _lines(
    scope: SweepView, cells: Sequence[Cell], metric: str, curves: dict[str, Curve], band: str
) -> tuple[Line, ...]:
    found = []
    for cell in cells:
        own = [curves[run_id] for run_id in cell.run_ids if run_id in curves]
        steps, values = stacked(own, metric)
        if not len(steps):
            continue
        mean, low, high, seeds = over_seeds(values, band)
        shown = _thinned(len(steps))
        found.append(
            Line(
                cell.estimator,
                scope.place(cell.estimator),
                steps[shown],
                mean[shown],
                low[shown],
                high[shown],
                seeds,
                cell.status == "provisional",
                cell.run_ids,
            )
        )
    return tuple(sorted(found, key=lambda line: line.place))


def stacked(curves: Sequence[Curve], metric: str) -> tuple[NDArray[np.int64], Numbers]:
    """The steps `T` at which a run has a finite value, and the values `R T`, NaN where none."""
    having = [curve for curve in curves if metric in curve.values]
    if not having:
        return np.empty(0, np.int64), np.empty((0, 0))
    steps = np.unique(np.concatenate([curve.steps for curve in having]))
    values = np.full((len(having), len(steps)), np.nan)
    for row, curve in zip(values, having, strict=True):
        row[np.searchsorted(steps, curve.steps)] = curve.values[metric]
    known = np.isfinite(values).any(axis=0)
    return steps[known], values[:, known]


def _thinned(length: int) -> NDArray[np.int64]:
    """Places of at most `MAX_POINTS` points, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, MAX_POINTS)).round().astype(np.int64))


def _check_positive(panels: Sequence[Panel]) -> None:
    for panel in panels:
        if panel.lines and not any((line.mean > 0).any() for line in panel.lines):
            raise SpecError(
                f"expected positive values of {panel.metric}, got none on {panel.task}; "
                "leave log out",
                field="log",
            )


def _standing(own: Sequence[tuple[str, Line]]) -> str:
    """What the legend says of an estimator's provisional lines."""
    begun = {task: line.seeds for task, line in own if line.provisional}
    if not begun:
        return ""
    counts = sorted(set(begun.values()))
    if len(counts) == 1 and all(line.provisional for _, line in own):
        return f" (? n = {counts[0]})"
    if len(begun) <= 2:
        return f" (? {', '.join(f'n = {seeds} on {task}' for task, seeds in begun.items())})"
    low, high = counts[0], counts[-1]
    return f" (? n = {low if low == high else f'{low}–{high}'} on {len(begun)} tasks)"

"""Learning curves: the mean over seeds and a band, for each task and estimator."""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from raysweep.figures.configurations import (
    ConfigurationRuns,
    OtherConfigurations,
    other_configurations,
)
from raysweep.figures.scope import (
    Curve,
    MetricRequest,
    Numbers,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
    without_ended,
    without_positive,
)
from raysweep.figures.statistics import check_band, over_seeds
from raysweep.figures.thinning import evenly
from raysweep.figures.training import TrainingRuns, training_runs
from raysweep.results.selection import Cell
from raysweep.results.sweep_results import SweepResults
from raysweep.results.unfinished import unfinished
from raysweep.text import counted

Source: TypeAlias = Cell | TrainingRuns | ConfigurationRuns

MAX_POINTS = 1000  # of a line; no panel shows more
MAX_INTERVALS = 500  # of a line, as each is resampled
MIN_CROPPED_POINTS = 20  # axes of panels whose lines all have fewer points are not cropped
START = 0.1  # fraction of the steps in which curves are steep
CROP = 2.5  # a start that makes the axis longer by this factor is cropped


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurvesRequest(MetricRequest):
    """Options of a figure of curves.

    Args:
        log: Whether the y axes are logarithmic.
        band: Kind of the bands: `sem`, one standard error to each side, `std`, one standard
            deviation, or `ci`, the 95 % interval of the mean.
        all: Whether every configuration has a line, besides the selected one of each cell.
    """

    log: bool = False
    band: str = "sem"
    all: bool = False


@dataclasses.dataclass(frozen=True)
class Line:
    """Curve of one estimator on one task.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        steps: Steps of the points, `T`, increasing.
        mean: Means over the seeds that have a finite value, `T`.
        low: Low ends of the band, `T`; the mean where there is one seed.
        high: High ends of the band, `T`; the mean where there is one seed.
        seeds: Number of seeds that the mean is over.
        provisional: Whether some planned seeds of the configuration have not ended yet.
        run_ids: Ids of the seeds' runs.
        is_training: Whether the seeds' runs still train; those of other lines have ended.
        other: Id of the configuration if the cell shows another one; empty if it is the selected.
        is_stopped: Whether early stopping ended some of the runs.
    """

    estimator: str
    index: int
    steps: NDArray[np.int64]
    mean: Numbers
    low: Numbers
    high: Numbers
    seeds: int
    provisional: bool
    run_ids: tuple[str, ...]
    is_training: bool = False
    other: str = ""
    is_stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """Curves of one metric on one task."""

    metric: str
    task: str
    lines: tuple[Line, ...]

    @property
    def limits(self) -> tuple[float, float] | None:
        """Limits of the y axis if the start would flatten the rest; None if all of it fits."""
        if not any(len(line.steps) >= MIN_CROPPED_POINTS for line in self.lines):
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
        sweep: Name of the sweep.
        panels: Panels, metric by metric, then task by task.
        tasks: Number of tasks shown.
        units: Unit of each metric.
        selection: Caption text on how configurations were selected.
        log: Whether the y axes are logarithmic.
        band: Kind of the bands: `sem`, `std` or `ci`.
        runs: Number of runs that the lines should be over.
        lacking: Number of these runs without curves, as their files were lost.
        training: Number of drawn runs that still train.
        reached: Last step of these runs' curves.
        is_windowed: Whether final training metrics are means over a run's last steps.
        others: Number of configurations drawn besides the selected ones.
        left_out: Number of further configurations, for which there is no room.
        row_kind: The sweep file's word for a row: `estimator` or `method`.
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
    training: int = 0
    reached: int = 0
    is_windowed: bool = False
    others: int = 0
    left_out: int = 0
    row_kind: str = "estimator"

    @property
    def cropped(self) -> bool:
        """Whether the axis of some panel leaves out the start of its curves."""
        return not self.log and any(panel.limits for panel in self.panels)

    @property
    def seeds(self) -> list[int]:
        """Numbers of seeds that the means of final lines are over."""
        lines = [line for panel in self.panels for line in panel.lines if not line.other]
        return sorted({i.seeds for i in lines if not (i.provisional or i.is_training)})

    @property
    def labels(self) -> dict[str, tuple[int, str]]:
        """Index and legend text of each estimator, in the order of the sweep file."""
        by_estimator: dict[str, list[tuple[str, Line]]] = {}
        for panel in self.panels:
            for line in panel.lines:
                if line.other:
                    continue
                by_estimator.setdefault(line.estimator, []).append((panel.task, line))
        texts = {
            name: (lines[0][1].index, f"{name}{_note(lines)}")
            for name, lines in by_estimator.items()
        }
        return dict(sorted(texts.items(), key=lambda item: item[1][0]))


class _Span:
    """Span from the lowest to the highest of all numbers added."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def add(self, low: Numbers, high: Numbers) -> None:
        self.low = float(min([self.low, *low]))
        self.high = float(max([self.high, *high]))

    @property
    def size(self) -> float:
        return self.high - self.low if self.high >= self.low else 0.0


def prepare(results: SweepResults, request: CurvesRequest) -> CurvesFigure:
    """Return the curves of a sweep.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    for name in request.metrics:
        results.metric(name, "metric")
    band = check_band(request.band)
    view = SweepView.of(results, request, needs_ended=False)
    every_cell = view.cells()
    cells = [cell for cell in every_cell if cell.run_ids]
    training = training_runs(view, every_cell)
    ended = [run_id for cell in cells for run_id in cell.run_ids]
    others = other_configurations(view, set(ended)) if request.all else OtherConfigurations()
    ended += [run_id for group in others.groups for run_id in group.run_ids]
    run_ids = [*ended, *(run_id for runs in training for run_id in runs.run_ids)]
    sources: list[Source] = [*cells, *others.groups, *training]
    if not run_ids and not results.store.count("runs"):
        raise without_ended(results.sweep, _waiting(results))
    metrics = request.metrics or _default(view, run_ids)
    curves = read_curves(results, run_ids, metrics)
    panels = _panels(view, sources, metrics, curves, band)
    empty = [
        metric
        for metric in metrics
        if not any(panel.lines for panel in panels if panel.metric == metric)
    ]
    if empty:
        raise without_curves(view, empty, run_ids)
    if request.log:
        check_positive(panels)
    units = {metric: results.spec.metrics[metric]["unit"] for metric in metrics}
    return CurvesFigure(
        results.sweep,
        panels,
        len(view.tasks),
        units,
        view.selection,
        request.log,
        band,
        runs=len(set(ended)),
        lacking=len(set(ended) - curves.keys()),
        training=len(set(run_ids) - set(ended)),
        reached=max([int(curves[key].steps[-1]) for key in set(run_ids) - set(ended)], default=0),
        is_windowed=any("training.window" in arm.space for arm in results.spec.arms),
        others=len(others.groups),
        left_out=others.left_out,
        row_kind=results.spec.row_kind,
    )


def _panels(
    view: SweepView,
    sources: Sequence[Source],
    metrics: Sequence[str],
    curves: dict[str, Curve],
    band: str,
) -> tuple[Panel, ...]:
    """Return the panels, metric by metric, then task by task."""
    panels = []
    for metric in metrics:
        for task in view.tasks:
            of_task = [source for source in sources if source.task == task]
            panels.append(Panel(metric, task, _lines(view, of_task, metric, curves, band)))
    return tuple(panels)


def _waiting(results: SweepResults) -> str:
    """Return a note on packs in training that have not written any curve yet."""
    begun = unfinished(results.spec, results.store).manifests
    return f", and {counted(len(begun), 'pack')} in training wrote no curves yet" if begun else ""


def _default(view: SweepView, run_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the metric that selects if it has curves, else the training loss, else any with some.

    Raises:
        SpecError: If no metric has curves.
    """
    preferred = [name for name in (view.select, "train_loss") if name in view.results.spec.metrics]
    for names in (*([name] for name in preferred), sorted(view.results.spec.metrics)):
        known = curve_metrics(view.results, run_ids, names)
        if known:
            return (known[0],)
    raise without_curves(view, [view.select], run_ids)


def _lines(
    view: SweepView,
    sources: Sequence[Source],
    metric: str,
    curves: dict[str, Curve],
    band: str,
) -> tuple[Line, ...]:
    lines = []
    for cell in sources:
        is_training = isinstance(cell, TrainingRuns)
        known = [curves[run_id] for run_id in cell.run_ids if run_id in curves]
        steps, values = stacked(known, metric)
        if is_training and len(steps):  # a mean over fewer runs from some step on would jump
            common = steps <= min(curve.steps[-1] for curve in known)
            steps, values = steps[common], values[:, common]
        if not len(steps):
            continue
        shown = evenly(len(steps), MAX_INTERVALS if band == "ci" else MAX_POINTS)
        mean, low, high, seeds = over_seeds(values[:, shown], band)
        lines.append(
            Line(
                cell.estimator,
                view.estimator_index(cell.estimator),
                steps[shown],
                mean,
                low,
                high,
                seeds,
                isinstance(cell, Cell) and cell.status == "provisional",
                cell.run_ids,
                is_training,
                cell.configuration_id if isinstance(cell, ConfigurationRuns) else "",
                isinstance(cell, ConfigurationRuns) and cell.is_stopped,
            )
        )
    return tuple(sorted(lines, key=lambda line: (line.index, line.is_training)))


def stacked(curves: Sequence[Curve], metric: str) -> tuple[NDArray[np.int64], Numbers]:
    """Return the steps `T` at which some run has a finite value, and the values `R T`."""
    having = [curve for curve in curves if metric in curve.values]
    if not having:
        return np.empty(0, np.int64), np.empty((0, 0))
    steps = np.unique(np.concatenate([curve.steps for curve in having]))
    values = np.full((len(having), len(steps)), np.nan)
    for row, curve in zip(values, having, strict=True):
        row[np.searchsorted(steps, curve.steps)] = curve.values[metric]
    known = np.isfinite(values).any(axis=0)
    return steps[known], values[:, known]


def check_positive(panels: Sequence[Panel]) -> None:
    """Check that each panel with lines has a positive value, for a logarithmic axis.

    Raises:
        SpecError: If one has none.
    """
    for panel in panels:
        if panel.lines and not any((line.mean > 0).any() for line in panel.lines):
            raise without_positive(panel.metric, panel.task)


def _note(lines: Sequence[tuple[str, Line]]) -> str:
    """Return the legend's note on an estimator's lines; empty if all are final."""
    ended = [(task, line) for task, line in lines if not line.is_training]
    return _provisional_note(ended) if ended else " (in training)"


def _provisional_note(lines: Sequence[tuple[str, Line]]) -> str:
    """Return the legend's note on an estimator's provisional lines; empty if all are final."""
    begun = {task: line.seeds for task, line in lines if line.provisional}
    if not begun:
        return ""
    counts = sorted(set(begun.values()))
    if len(counts) == 1 and all(line.provisional for _, line in lines):
        return f" (? n = {counts[0]})"
    if len(begun) <= 2:
        return f" (? {', '.join(f'n = {seeds} on {task}' for task, seeds in begun.items())})"
    low, high = counts[0], counts[-1]
    return f" (? n = {low if low == high else f'{low}–{high}'} on {len(begun)} tasks)"

"""Learning curves over steps or seconds: the mean over seeds and a band, by task and estimator."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures.drawing import Numbers, axis_label, sentence
from raysweep.figures.line_charts import Axis, Line, LineFigure, Look, Panel
from raysweep.figures.line_runs import LineRuns, footnotes, other_runs, training_runs
from raysweep.figures.scope import (
    Curve,
    MetricRequest,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
    without_ended,
    without_positive,
)
from raysweep.figures.scope import Numbers as Values
from raysweep.figures.statistics import BANDS, check_band, over_seeds
from raysweep.figures.thinning import evenly
from raysweep.results.sweep_results import SweepResults
from raysweep.results.unfinished import unfinished
from raysweep.text import counted

MAX_POINTS = 1000  # of a line; no panel shows more
MAX_INTERVALS = 500  # of a line, as each is resampled
MIN_CROPPED_POINTS = 20  # axes of panels whose lines all have fewer points are not cropped
START = 0.1  # fraction of the steps in which curves are steep
CROP = 2.5  # a start that makes the axis longer by this factor is cropped

STEPS = Axis(title="step", tip="step", format=",d", is_whole=True)
SECONDS = Axis(
    title="seconds of training",
    tip="seconds of training",
    format=".4g",
    options={"format": "~g", "tickCount": 5},
)
PROVISIONAL = "pale (?): provisional, n seeds so far"
CROPPED = "y axes are cut to what follows the first tenth of the steps"
SHARE = "over a run's mean share of its pack's time"


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


def prepare(
    results: SweepResults, request: CurvesRequest, *, over_seconds: bool = False
) -> LineFigure:
    """Return the curves of a sweep.

    Args:
        results: Results of the sweep.
        request: Options of the figure.
        over_seconds: Whether the x axis has seconds of training instead of steps: the mean over
            seeds of a run's share of its pack's time up to each step.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    for name in request.metrics:
        results.metric(name, "metric")
    check_band(request.band)
    view = SweepView.of(results, request, needs_ended=False)
    cells = view.cells()
    selected = [
        LineRuns(cell.task, cell.estimator, cell.run_ids, cell.status)
        for cell in cells
        if cell.run_ids
    ]
    others, left_out = other_runs(view, cells) if request.all else ([], 0)
    sources = [*selected, *others, *training_runs(view, cells)]
    run_ids = [run_id for runs in sources for run_id in runs.run_ids]
    if not run_ids and not results.store.count("runs"):
        raise without_ended(results.sweep, _waiting(results))
    metrics = request.metrics or _default(view, run_ids)
    curves = read_curves(results, run_ids, metrics)
    panels = [
        _panel(view, (metric, task), sources, curves, request)
        for metric in metrics
        for task in view.tasks
    ]
    empty = [m for m in metrics if not any(p.lines for p in panels if p.metric == m)]
    if empty:
        raise without_curves(view, empty, run_ids)
    check_positive(panels)
    if over_seconds:
        panels = _over_seconds(results, panels)
    before = [SHARE if over_seconds else "", view.selection]
    after = footnotes(view, sources, curves, left_out)
    return figure_of(view, panels, request.band, (before, after))


def prepare_time(results: SweepResults, request: CurvesRequest) -> LineFigure:
    """Return the curves of a sweep over seconds of training; see `prepare`."""
    return prepare(results, request, over_seconds=True)


def figure_of(
    view: SweepView,
    panels: Sequence[Panel],
    band: str,
    notes: tuple[Sequence[str], Sequence[str]],
) -> LineFigure:
    """Return the figure of lines that are means over seeds.

    Args:
        view: Part of the sweep that is shown.
        panels: Panels, metric by metric, then task by task.
        band: Kind of the bands.
        notes: Parts of the caption before and after those on the lines.
    """
    lines = [line for panel in panels for line in panel.lines]
    counts = sorted({line.count for line in lines if line.state == "selected"})
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    over = "1 seed" if seeds == "1" else f"{seeds} seeds".strip()
    has_bands = any(line.count > 1 for line in lines if not line.is_other)
    parts = [
        f"{view.results.sweep}: mean over {over}" + (f", {BANDS[band]}" if has_bands else ""),
        *notes[0],
        PROVISIONAL if any(line.state == "provisional" for line in lines) else "",
        CROPPED if any(panel.y.limits for panel in panels) else "",
        outside(panels),
        *notes[1],
    ]
    return LineFigure(
        panels=tuple(panels),
        rows=_labels(panels),
        caption=sentence(parts),
        numbers=_numbers(view.results.spec.row_kind, panels),
        look=Look(count="seeds"),
        columns=len(view.tasks),
    )


def metric_axis(view: SweepView, metric: str, *, log: bool) -> Axis:
    """Return the vertical axis of means of a metric."""
    unit = view.results.spec.metrics[metric]["unit"]
    return Axis(title=axis_label(metric, unit), tip="mean", log=log, is_nice=True)


def check_positive(panels: Sequence[Panel]) -> None:
    """Check that each panel of lines with a logarithmic y axis has a positive value.

    Raises:
        SpecError: If one has none.
    """
    for panel in panels:
        lines = (*panel.lines, *panel.dots)
        if panel.y.log and lines and not any((line.y > 0).any() for line in lines):
            raise without_positive(panel.metric, panel.title)


def _panel(
    view: SweepView,
    about: tuple[str, str],
    sources: Sequence[LineRuns],
    curves: dict[str, Curve],
    request: CurvesRequest,
) -> Panel:
    """Return the curves of a metric on a task over steps."""
    metric, task = about
    made = [_line(view, i, curves, (metric, request.band)) for i in sources if i.task == task]
    lines = sorted(filter(None, made), key=lambda line: (line.index, line.state == "training"))
    y = metric_axis(view, metric, log=request.log)
    if not request.log:
        y = dataclasses.replace(y, limits=_limits(lines))
    return Panel(title=task, metric=metric, lines=tuple(lines), x=STEPS, y=y)


def _line(
    view: SweepView, runs: LineRuns, curves: dict[str, Curve], about: tuple[str, str]
) -> Line | None:
    """Return the curve of runs with a metric and a kind of band; None if none has the metric."""
    metric, band = about
    known = [curves[run_id] for run_id in runs.run_ids if run_id in curves]
    steps, values = stacked(known, metric)
    if runs.state == "training" and len(steps):  # a mean over fewer runs from a step on would jump
        common = steps <= min(curve.steps[-1] for curve in known)
        steps, values = steps[common], values[:, common]
    if not len(steps):
        return None
    shown = evenly(len(steps), MAX_INTERVALS if band == "ci" else MAX_POINTS)
    mean, low, high, seeds = over_seeds(values[:, shown], band)
    return Line(
        estimator=runs.estimator,
        index=view.estimator_index(runs.estimator),
        x=steps[shown],
        y=mean,
        band=None if runs.configuration_id else (low, high),
        count=seeds,
        state=runs.state,
        run_ids=runs.run_ids,
        label=runs.configuration_id,
        end="circle" if runs.state in ("training", "stopped early") else "",
    )


def stacked(curves: Sequence[Curve], metric: str) -> tuple[NDArray[np.int64], Values]:
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


def _limits(lines: Sequence[Line]) -> tuple[float, float] | None:
    """Return the limits of a y axis if the start would flatten the rest; None if all of it fits."""
    if not any(len(line.x) >= MIN_CROPPED_POINTS for line in lines):
        return None
    first, last = min(line.x[0] for line in lines), max(line.x[-1] for line in lines)
    ends = [(line.x, *(line.band or (line.y, line.y))) for line in lines]
    x, low, high = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    after = x >= first + START * (last - first)
    if not after.any():
        return None
    bottom, top = float(low[after].min()), float(high[after].max())
    if not 0 < CROP * (top - bottom) < high.max() - low.min():
        return None
    return bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom)


def _over_seconds(results: SweepResults, panels: Sequence[Panel]) -> list[Panel]:
    """Return the panels with seconds along x instead of steps; NaN where none are recorded.

    Raises:
        SpecError: If no run has recorded seconds.
    """
    run_ids = [key for panel in panels for line in panel.lines for key in line.run_ids]
    times = read_curves(results, run_ids, ["seconds"])
    timed = []
    for panel in panels:
        lines = [dataclasses.replace(line, x=_seconds(line, times)) for line in panel.lines]
        timed.append(dataclasses.replace(panel, lines=tuple(lines), x=SECONDS))
    if not any(np.isfinite(line.x).any() for panel in timed for line in panel.lines):
        raise SpecError(
            f"time needs the seconds of curves, but those of {results.sweep} have none; "
            f"`raysweep plot {results.sweep}` draws them over steps",
            field="kind",
        )
    return timed


def _seconds(line: Line, times: dict[str, Curve]) -> Values:
    """Return the seconds at the line's steps: the mean over the runs that have recorded them."""
    rows = np.full((len(line.run_ids), len(line.x)), np.nan)
    for row, run_id in zip(rows, line.run_ids, strict=True):
        curve = times.get(run_id)
        if curve is None:
            continue
        indices = np.minimum(np.searchsorted(curve.steps, line.x), len(curve.steps) - 1)
        recorded = curve.steps[indices] == line.x
        row[recorded] = curve.values["seconds"][indices][recorded]
    count = np.isfinite(rows).sum(axis=0)
    return np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)


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


def _labels(panels: Sequence[Panel]) -> dict[int, str]:
    """Return the legend text of each row: its label, and how many of its seeds have ended."""
    lines = [(p.title, line) for p in panels for line in p.lines if not line.is_other]
    names = {line.index: line.estimator for _, line in sorted(lines, key=lambda i: i[1].index)}
    return {
        index: f"{name}{_note([pair for pair in lines if pair[1].index == index])}"
        for index, name in names.items()
    }


def _note(lines: Sequence[tuple[str, Line]]) -> str:
    """Return the legend's note on a row's lines, by their tasks; empty if all are final."""
    ended = [(task, line) for task, line in lines if line.state != "training"]
    if not ended:
        return " (in training)"
    begun = {task: line.count for task, line in ended if line.state == "provisional"}
    if not begun:
        return ""
    counts = sorted(set(begun.values()))
    if len(counts) == 1 and all(line.state == "provisional" for _, line in ended):
        return f" (? n = {counts[0]})"
    if len(begun) <= 2:
        return f" (? {', '.join(f'n = {seeds} on {task}' for task, seeds in begun.items())})"
    low, high = counts[0], counts[-1]
    return f" (? n = {low if low == high else f'{low}–{high}'} on {len(begun)} tasks)"


def outside(panels: Sequence[Panel]) -> str:
    """Return the part of a caption that names the lines outside the axes; empty without any.

    Args:
        panels: Panels of the figure.
    """
    hidden = [
        f"{line.estimator} on {panel.title}"
        for panel in panels
        if panel.y.limits
        for line in panel.lines
        if not line.is_other
        if (line.y > panel.y.limits[1]).all() or (line.y < panel.y.limits[0]).all()
    ]
    return f"outside the axes: {', '.join(hidden)}" if hidden else ""


def _numbers(row_kind: str, panels: Sequence[Panel]) -> Numbers:
    """Return the last point of every line as a table."""
    head = (row_kind, "task", "metric", panels[0].x.tip, "mean", "band", "seeds")
    rows = []
    for panel in panels:
        for line in panel.lines:
            known = np.flatnonzero(np.isfinite(np.asarray(line.x, np.float64)))
            if line.band is None or not len(known):
                continue
            last = known[-1]
            low, high = (end[last] for end in line.band)
            rows.append(
                (
                    *(line.estimator, panel.title, panel.metric),
                    *(f"{line.x[last]:,.6g}", f"{line.y[last]:.6g}", f"{low:.6g} to {high:.6g}"),
                    f"{line.count}{', in training' if line.state == 'training' else ''}",
                )
            )
    return Numbers.of(head, rows)

"""Lines of metrics in the report: over steps, and over seconds of training."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures import curves, style, time
from raysweep.figures.curves import CurvesFigure, CurvesRequest, Line, Panel
from raysweep.figures.matplotlib_backend.curves import footnotes, summary
from raysweep.figures.plotly_backend.common import (
    FEWEST,
    HEIGHT,
    POINTS,
    axis,
    empty,
    label,
    limited,
    numbers,
    reason,
    symbol,
    thinned,
)
from raysweep.figures.plotly_backend.parts import Control, Figure, Plot, choices
from raysweep.figures.scope import Numbers, curve_metrics
from raysweep.results.selection import Selection
from raysweep.results.snapshot import Snapshot

XValues = Sequence[Sequence[NDArray[Any]]]


def curves_figure(
    results: Snapshot, select: str, metrics: Sequence[str], selections: Sequence[Selection]
) -> Figure:
    """Return the learning curves of every metric that has some, a drawing for each task.

    Args:
        results: Results of the sweep.
        select: Metric that selects.
        metrics: Metrics in the order in which the page offers them.
        selections: Selected configurations, whose runs are drawn.
    """
    title = "Training curves"
    run_ids = [run_id for chosen in selections for run_id in chosen.cell(select).run_ids]
    known = curve_metrics(results, run_ids, list(metrics)) if run_ids else []
    most = max(1, 2 * POINTS // (FEWEST * len(selections)))
    try:
        prepared = curves.prepare(results, CurvesRequest(select=select, metric=known[:most]))
    except SpecError as error:
        return Figure("curves", title, missing=reason(error))
    steps = [[line.steps for line in panel.lines] for panel in prepared.panels]
    options = [style.axis_label(metric, unit) for metric, unit in prepared.units.items()]
    control = choices("curves-metric", "Metric", options)
    figure = _figure("curves", title, prepared, steps, control)
    if len(known) <= most:
        return figure
    left = f"{figure.caption}; {most} of {len(known)} metrics with curves"
    return dataclasses.replace(figure, caption=left)


def time_figure(results: Snapshot, select: str) -> Figure:
    """Return the metric that selects, or the training loss, over seconds of training."""
    title = "Time against quality"
    try:
        prepared = time.prepare(results, CurvesRequest(select=select))
    except SpecError as error:
        return Figure("time", title, missing=reason(error))
    (metric,) = prepared.curves.units
    control = choices("time-metric", "Metric", [metric])
    return _figure("time", title, prepared.curves, prepared.seconds, control)


def _figure(
    name: str, title: str, prepared: CurvesFigure, x_values: XValues, control: Control
) -> Figure:
    lines = sum(len(panel.lines) for panel in prepared.panels)
    by_task: dict[str, dict[str, Any]] = {}
    metrics = list(prepared.units)
    for panel, of_panel in zip(prepared.panels, x_values, strict=True):
        key = str(metrics.index(panel.metric))
        views = by_task.setdefault(panel.task, {})
        views[key] = _drawing(prepared, panel, of_panel, lines, over=name)
    plots = tuple(
        Plot(f"{name}-{index}", task, HEIGHT, views)
        for index, (task, views) in enumerate(by_task.items())
    )
    thin = any(len(x) > len(thinned(len(x), lines)) for of_panel in x_values for x in of_panel)
    caption = style.sentence(
        [
            f"{prepared.sweep}: {summary(prepared)}",
            "seconds are a run's share of its pack's time" if name == "time" else "",
            *footnotes(prepared),
            f"lines are thinned to {POINTS:,} points in all" if thin else "",
        ]
    )
    legend = tuple((index, text) for index, text in prepared.labels.values())
    return Figure(name, title, caption, plots, (control,), legend, log=True)


def _drawing(
    prepared: CurvesFigure, panel: Panel, x_values: Sequence[Numbers], lines: int, *, over: str
) -> Mapping[str, Any]:
    if not panel.lines:
        return empty("no curve")
    data: list[dict[str, Any]] = []
    for line, x in zip(panel.lines, x_values, strict=True):
        known = np.flatnonzero(np.isfinite(x))
        shown = known[thinned(len(known), lines)] if len(known) else known
        data += _traces(line, x[shown], shown, over)
    name = style.axis_label(panel.metric, prepared.units[panel.metric])
    x_axis = axis("seconds of training" if over == "time" else "step")
    y_axis = axis(name, **limited(panel.limits))
    return {"data": data, "layout": {"xaxis": x_axis, "yaxis": y_axis}}


def _traces(line: Line, x_values: Numbers, shown: Any, over: str) -> list[dict[str, Any]]:
    """Return the trace of a line's mean, and of its band as a closed outline below it."""
    x, mean = numbers(x_values), numbers(line.mean[shown])
    low, high = numbers(line.low[shown]), numbers(line.high[shown])
    meta = {"index": line.index}
    mark = style.marker(line.index)
    where = "%{x:.4g} s" if over == "time" else "step %{x}"
    band = {
        "type": "scatter",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "mode": "lines",
        "fill": "toself",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "meta": meta,
    }
    mean_line = {
        "type": "scatter",
        "x": x,
        "y": mean,
        "customdata": numbers((line.high - line.mean)[shown]),
        "mode": "lines+markers" if mark or len(x) == 1 else "lines",
        "line": {"width": 2, "dash": _dash(line)},
        "marker": {"symbol": symbol(mark), "size": 7, "maxdisplayed": 8},
        "name": label(line.estimator),
        "hovertemplate": f"<b>{label(line.estimator)}</b><br>{where}<br>"
        f"%{{y:.6g}} ± %{{customdata:.3g}} (n = {line.seeds}"
        f"{', in training' * line.is_training})<extra></extra>",
        "meta": meta,
    }
    return [band, mean_line] if line.seeds > 1 else [mean_line]


def _dash(line: Line) -> str:
    """Return Plotly's name of the style of a line."""
    return "dot" if line.is_training else "dash" if line.provisional else "solid"

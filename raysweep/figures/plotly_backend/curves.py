"""The report's lines of metrics: over steps, and over seconds of training."""

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

Places = Sequence[Sequence[NDArray[Any]]]


def curves_figure(
    results: Snapshot, select: str, metrics: Sequence[str], selections: Sequence[Selection]
) -> Figure:
    """Learning curves of every metric that has some, a drawing for each task.

    Args:
        results: Of the sweep.
        select: The metric that selects.
        metrics: In the order in which they are offered.
        selections: Whose runs are drawn.
    """
    title = "Training curves"
    run_ids = [each for own in selections for each in own.cell(select).run_ids]
    known = curve_metrics(results, run_ids, list(metrics)) if run_ids else []
    most = max(1, 2 * POINTS // (FEWEST * len(selections)))
    try:
        what = curves.prepare(results, CurvesRequest(select=select, metric=known[:most]))
    except SpecError as error:
        return Figure("curves", title, missing=reason(error))
    steps = [[line.steps for line in panel.lines] for panel in what.panels]
    options = [style.axis_label(metric, unit) for metric, unit in what.units.items()]
    control = choices("curves-metric", "Metric", options)
    figure = _figure("curves", title, what, steps, control)
    if len(known) <= most:
        return figure
    left = f"{figure.caption}; {most} of {len(known)} metrics with curves"
    return dataclasses.replace(figure, caption=left)


def time_figure(results: Snapshot, select: str) -> Figure:
    """The selecting metric, or the training loss, over seconds of training."""
    title = "Time against quality"
    try:
        what = time.prepare(results, CurvesRequest(select=select))
    except SpecError as error:
        return Figure("time", title, missing=reason(error))
    (metric,) = what.curves.units
    control = choices("time-metric", "Metric", [metric])
    return _figure("time", title, what.curves, what.seconds, control)


def _figure(name: str, title: str, what: CurvesFigure, places: Places, control: Control) -> Figure:
    lines = sum(len(panel.lines) for panel in what.panels)
    by_task: dict[str, dict[str, Any]] = {}
    metrics = list(what.units)
    for panel, own in zip(what.panels, places, strict=True):
        key = str(metrics.index(panel.metric))
        views = by_task.setdefault(panel.task, {})
        views[key] = _drawing(what, panel, own, lines, over=name)
    plots = tuple(
        Plot(f"{name}-{place}", task, HEIGHT, views)
        for place, (task, views) in enumerate(by_task.items())
    )
    thin = any(len(own) > len(thinned(len(own), lines)) for panel in places for own in panel)
    caption = style.sentence(
        [
            f"{what.sweep}: {summary(what)}",
            "seconds are a run's share of its pack's time" if name == "time" else "",
            *footnotes(what),
            f"lines are thinned to {POINTS:,} points in all" if thin else "",
        ]
    )
    legend = tuple((place, text) for place, text in what.labels.values())
    return Figure(name, title, caption, plots, (control,), legend, log=True)


def _drawing(
    what: CurvesFigure, panel: Panel, places: Sequence[Numbers], lines: int, *, over: str
) -> Mapping[str, Any]:
    if not panel.lines:
        return empty("no curve")
    data: list[dict[str, Any]] = []
    for line, own in zip(panel.lines, places, strict=True):
        known = np.flatnonzero(np.isfinite(own))
        shown = known[thinned(len(known), lines)] if len(known) else known
        data += _traces(line, own[shown], shown, over)
    name = style.axis_label(panel.metric, what.units[panel.metric])
    x = axis("seconds of training" if over == "time" else "step")
    return {"data": data, "layout": {"xaxis": x, "yaxis": axis(name, **limited(panel.limits))}}


def _traces(line: Line, at: Numbers, shown: Any, over: str) -> list[dict[str, Any]]:
    """A line's mean, and its band as a closed outline below it."""
    x, mean = numbers(at), numbers(line.mean[shown])
    low, high = numbers(line.low[shown]), numbers(line.high[shown])
    meta = {"place": line.place}
    mark = style.marker(line.place)
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
        "line": {"width": 2, "dash": "dash" if line.provisional else "solid"},
        "marker": {"symbol": symbol(mark), "size": 7, "maxdisplayed": 8},
        "name": label(line.estimator),
        "hovertemplate": f"<b>{label(line.estimator)}</b><br>{where}<br>"
        f"%{{y:.6g}} ± %{{customdata:.3g}} (n = {line.seeds})<extra></extra>",
        "meta": meta,
    }
    return [band, mean_line] if line.seeds > 1 else [mean_line]

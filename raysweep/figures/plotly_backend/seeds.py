"""Distribution over seeds in the report: final value of each seed, mean and interval."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import seeds, style
from raysweep.figures.plotly_backend.common import axis, empty, label, numbers, reason, short
from raysweep.figures.plotly_backend.parts import Figure, Plot, choices
from raysweep.figures.seeds import SeedsFigure, SeedsPanel, SeedsRequest, SeedsRow
from raysweep.figures.statistics import INTERVAL
from raysweep.results.snapshot import Snapshot

DOTS = 60_000  # of all rows together: about 2 MB
FEWEST_DOTS = 20  # of a row, even if all rows together then have more
SPREAD = 0.28  # largest shift of dots up or down, in rows, so that none hides another
ROW = 42  # height of a row, in pixels


def seeds_figure(results: Snapshot, select: str, metrics: Sequence[str]) -> Figure:
    """Return the final metrics of the seeds shown in the table, a drawing for each task."""
    name, title = "seeds", "Distribution over seeds"
    figures: list[SeedsFigure] = []
    problem = ""
    for metric in metrics:
        try:
            figures.append(seeds.prepare(results, SeedsRequest(select=select, metric=metric)))
        except SpecError as error:
            problem = problem or reason(error)
    if not figures:
        return Figure(name, title, missing=problem)
    rows = sum(len(panel.rows) for prepared in figures for panel in prepared.panels)
    most = max(FEWEST_DOTS, DOTS // max(1, rows))
    plots = []
    for index, panel in enumerate(figures[0].panels):
        views = {
            str(key): _panel(prepared, prepared.panels[index], most)
            for key, prepared in enumerate(figures)
        }
        plots.append(Plot(f"{name}-{index}", panel.task, 90 + ROW * len(panel.rows), views))
    labels = [style.axis_label(prepared.metric, prepared.unit) for prepared in figures]
    control = choices("seeds-metric", "Metric", labels)
    return Figure(name, title, _caption(figures, most), tuple(plots), (control,))


def _caption(figures: Sequence[SeedsFigure], most: int) -> str:
    rows = [row for prepared in figures for panel in prepared.panels for row in panel.rows]
    has_intervals = any(math.isfinite(row.low) for row in rows)
    return style.sentence(
        [
            f"{figures[0].sweep}: a dot for each seed, a diamond at the mean"
            + (f" with its {INTERVAL}" if has_intervals else ""),
            "boxes: the middle half with the median, whiskers from the 5th to the 95th percentile"
            if any(row.box for row in rows)
            else "",
            "axes are cut where intervals reach far beyond the seeds"
            if any(panel.limits for prepared in figures for panel in prepared.panels)
            else "",
            figures[0].selection,
            "hollow: provisional, seeds are missing"
            if any(row.status == "provisional" for row in rows)
            else "",
            f"at most {most:,} dots a row" if any(len(row.values) > most for row in rows) else "",
        ]
    )


def _panel(prepared: SeedsFigure, panel: SeedsPanel, most: int) -> dict[str, Any]:
    if not panel.rows:
        return empty("nothing has ended")
    data = [
        trace
        for height, row in enumerate(panel.rows)
        for trace in _traces(row, float(height), most)
    ]
    names = [f"{short(row.estimator)}{_status_note(row)}" for row in panel.rows]
    y = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
    }
    limits = {"range": list(panel.limits)} if panel.limits else {}
    x = axis(style.axis_label(prepared.metric, prepared.unit), **limits)
    return {"data": data, "layout": {"xaxis": x, "yaxis": y}}


def _status_note(row: SeedsRow) -> str:
    if row.status == "selected":
        return ""
    if row.status == "provisional":
        return f" (? n = {len(row.values)})"
    return f" ({'no value' if row.status == 'empty' else row.status})"


def _traces(row: SeedsRow, height: float, most: int) -> list[dict[str, Any]]:
    if not len(row.values):
        return []
    hollow = "-open" if row.status == "provisional" else ""
    traces = [_dots(row, height, hollow, most)]
    if row.box:
        traces.insert(0, _box(row, height))
    if math.isfinite(row.mean):
        traces.append(_mean(row, height, hollow))
    return traces


def _dots(row: SeedsRow, height: float, hollow: str, most: int) -> dict[str, Any]:
    count = min(len(row.values), most)
    order = np.argsort(row.values, kind="stable")
    shown = np.sort(order[np.linspace(0, len(order) - 1, count).round().astype(int)])
    moved = height + SPREAD * (np.arange(count) % 5 - 2) / 2
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(row.values[shown]),
        "y": numbers(moved),
        "customdata": row.seeds[shown].tolist(),
        "marker": {"size": 7, "opacity": 0.55, "symbol": f"circle{hollow}"},
        "hovertemplate": f"<b>{label(row.estimator)}</b><br>seed %{{customdata}}<br>%{{x:.6g}}"
        "<extra></extra>",
        "meta": {"index": row.index},
    }


def _mean(row: SeedsRow, height: float, hollow: str) -> dict[str, Any]:
    known = math.isfinite(row.low)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": numbers([row.mean]),
        "y": [height],
        "marker": {"size": 11, "symbol": f"diamond{hollow}"},
        "hovertemplate": f"<b>{label(row.estimator)}</b><br>mean %{{x:.6g}}"
        + (f"<br>95 % [{row.low:.6g}, {row.high:.6g}]" if known else "")
        + "<extra></extra>",
        "meta": {"index": row.index},
    }
    if known:
        trace["error_x"] = {
            "type": "data",
            "array": numbers([row.high - row.mean]),
            "arrayminus": numbers([row.mean - row.low]),
            "thickness": 2,
        }
    return trace


def _box(row: SeedsRow, height: float) -> dict[str, Any]:
    low, first, middle, third, high = numbers(row.box)
    return {
        "type": "box",
        "orientation": "h",
        "y": [height],
        "lowerfence": [low],
        "q1": [first],
        "median": [middle],
        "q3": [third],
        "upperfence": [high],
        "width": 0.7,
        "hoverinfo": "x",
        "meta": {"index": row.index},
    }

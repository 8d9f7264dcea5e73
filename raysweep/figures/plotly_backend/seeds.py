"""The report's distribution over seeds: each seed's final value, their mean and interval."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import seeds, style
from raysweep.figures.plotly_backend.common import axis, empty, label, numbers, short
from raysweep.figures.plotly_backend.parts import Figure, Plot, choices
from raysweep.figures.seeds import SeedsFigure, SeedsPanel, SeedsRequest, SeedsRow
from raysweep.results.snapshot import Snapshot

DOTS = 60_000  # of all rows together: some 2 MB
FEWEST_DOTS = 20  # of a row
SPREAD = 0.28  # of a row, that dots are moved up and down so that none hides another
ROW = 42  # pixels


def seeds_figure(results: Snapshot, select: str, metrics: Sequence[str]) -> Figure:
    """The final metrics of the seeds shown in the table, a drawing for each task."""
    name, title = "seeds", "Distribution over seeds"
    found: list[SeedsFigure] = []
    problem = ""
    for metric in metrics:
        try:
            found.append(seeds.prepare(results, SeedsRequest(select=select, metric=metric)))
        except SpecError as error:
            problem = problem or str(error)
    if not found:
        return Figure(name, title, missing=problem)
    rows = sum(len(panel.rows) for what in found for panel in what.panels)
    most = max(FEWEST_DOTS, DOTS // max(1, rows))
    plots = []
    for place, panel in enumerate(found[0].panels):
        views = {str(key): _panel(what, what.panels[place], most) for key, what in enumerate(found)}
        plots.append(Plot(f"{name}-{place}", panel.task, 90 + ROW * len(panel.rows), views))
    control = choices(
        "seeds-metric", "Metric", [style.axis_label(each.metric, each.unit) for each in found]
    )
    return Figure(name, title, _caption(found, most), tuple(plots), (control,))


def _caption(found: Sequence[SeedsFigure], most: int) -> str:
    rows = [row for what in found for panel in what.panels for row in panel.rows]
    return style.sentence(
        [
            f"{found[0].sweep}: a dot for each seed, a diamond at the mean with its 95 % interval "
            "(Student's t)",
            "boxes: the middle half with the median, whiskers from the 5th to the 95th percentile"
            if any(row.box for row in rows)
            else "",
            found[0].selection,
            "hollow: provisional, seeds are missing"
            if any(row.status == "provisional" for row in rows)
            else "",
            f"at most {most:,} dots a row" if any(len(row.values) > most for row in rows) else "",
        ]
    )


def _panel(what: SeedsFigure, panel: SeedsPanel, most: int) -> dict[str, Any]:
    if not panel.rows:
        return empty("nothing has ended")
    data = [
        trace
        for height, row in enumerate(panel.rows)
        for trace in _traces(row, float(height), most)
    ]
    names = [f"{short(row.estimator)}{_standing(row)}" for row in panel.rows]
    y = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
    }
    return {
        "data": data,
        "layout": {"xaxis": axis(style.axis_label(what.metric, what.unit)), "yaxis": y},
    }


def _standing(row: SeedsRow) -> str:
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
        "meta": {"place": row.place},
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
        "meta": {"place": row.place},
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
        "meta": {"place": row.place},
    }

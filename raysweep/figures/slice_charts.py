"""Charts of slices of a search."""

from typing import Any

import altair as alt

from raysweep.figures.drawing import (
    PALE,
    ROW,
    Drawing,
    Layers,
    Numbers,
    PanelChart,
    Records,
    Rows,
    axis_label,
    opacity,
    placeholder,
    records,
    row_tip,
    scale_type,
    sentence,
    zoom,
)
from raysweep.figures.size import COLOURS
from raysweep.figures.slices import SliceFigure, SlicePanel, SlicePoints
from raysweep.figures.ticks import log_ticks, ticks_below
from raysweep.text import counted

NARROWEST = 60.0  # points of a panel
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")  # of rows with the same colour
STOPPED = "stopped early"
OPACITIES = {"provisional": PALE, STOPPED: 0.4}


def slice_drawing(prepared: SliceFigure) -> Drawing:
    """Return the drawing of slices: a panel for each task and setting, a point for each result."""
    points = [points for panel in prepared.panels for points in panel.points]
    rows = Rows({of_row.index: of_row.estimator for of_row in points})
    return Drawing(
        tuple(_panel(prepared, index, rows) for index in range(len(prepared.panels))),
        _caption(prepared),
        _numbers(prepared),
        columns=len(prepared.panels) // prepared.tasks,
        rows=rows.entries,
        narrowest=NARROWEST,
    )


def _panel(prepared: SliceFigure, index: int, rows: Rows) -> PanelChart:
    panel, name = prepared.panels[index], f"slice-{index}"
    title = f"{panel.setting} · {panel.task}" if prepared.tasks > 1 else panel.setting
    data = [record for points in panel.points for record in _records(points)]
    if prepared.log:
        data = [record for record in data if record["y"] > 0]
    if not data:
        return PanelChart(title, placeholder("no configuration"), {})
    label = axis_label(prepared.metric, prepared.unit)

    def draw(x_title: bool, y_title: bool) -> Layers:
        scale = alt.Scale(type=scale_type(log=prepared.log), zero=False, nice=False)
        if panel.limits:
            scale.domain = list(panel.limits)
        left = alt.Axis(title=label if y_title else None, tickCount=4)
        return _chart(name, (panel, prepared.metric), rows, alt.Y("y:Q", axis=left, scale=scale))

    return PanelChart(title, draw, {name: data})


def _records(points: SlicePoints) -> Records:
    return records(
        x=points.x,
        y=points.means,
        value=points.values,
        state=points.states,
        row=points.estimator,
        opacity=[OPACITIES.get(state, 0.75) for state in points.states],
    )


def _across(panel: SlicePanel) -> alt.X:
    """Return the horizontal axis: numbers, or the values of a choice side by side."""
    if panel.choices:
        last = len(panel.choices) - 0.5
        axis = {**ticks_below(panel.choices, len(panel.choices)), "domain": True}
        axis["values"] = list(range(len(panel.choices)))
        scale = alt.Scale(domain=[-0.5, last], nice=False, zero=False)
    else:
        kind = scale_type(log=panel.log)
        scale = alt.Scale(type=kind, domain=list(panel.ends), nice=False, padding=6)
        axis = {"format": "~g", "tickCount": 4}
        if panel.log:
            axis["values"] = log_ticks(*panel.ends)
            axis["labelExpr"] = "format(datum.value, '~g')"
    return alt.X("x:Q", title=None, scale=scale, axis=alt.Axis(**axis))


def _chart(name: str, shown: tuple[SlicePanel, str], rows: Rows, y: alt.Y) -> Layers:
    panel, metric = shown
    tips = [
        row_tip(),
        alt.Tooltip("value:N", title=panel.setting),
        alt.Tooltip("y:Q", title=metric, format=".6g"),
        alt.Tooltip("state:N", title="state"),
    ]
    # Rows are points here, not lines, in the legend too.
    symbols = rows.legend.copy()
    symbols.symbolSize, symbols.symbolStrokeWidth = 50, 0
    color = alt.Color(f"{ROW}:N", scale=alt.Scale(domain=rows.domain), legend=symbols)
    shapes = [SHAPES[index // len(COLOURS) % len(SHAPES)] for index in range(len(rows.domain))]
    shape_scale = alt.Scale(domain=rows.domain, range=shapes)
    shape = alt.Shape(f"{ROW}:N", scale=shape_scale, legend=symbols)
    base = alt.Chart(alt.NamedData(name)).encode(
        x=_across(panel), y=y, opacity=opacity(), tooltip=tips
    )
    dot: dict[str, Any] = {"clip": True, "filled": True, "strokeWidth": 0}
    stopped = base.mark_point(style="soft", size=10, **dot)
    points = base.mark_point(size=22, **dot).encode(color=color, shape=shape)
    ring = base.mark_point(style="ink", clip=True, filled=False, size=70, strokeWidth=1.2)
    layers = [
        stopped.transform_filter(f"datum.state === '{STOPPED}'"),
        points.transform_filter(f"datum.state !== '{STOPPED}'"),
        ring.transform_filter("datum.state === 'selected'"),
    ]
    return Layers(layers, [zoom(name, "y") if panel.choices else zoom(name)])


def _caption(prepared: SliceFigure) -> str:
    points = [points for panel in prepared.panels for points in panel.points]
    states = {state for of_row in points for state in of_row.states}
    outside = counted(prepared.outside, "configuration")
    total, drawn = prepared.configurations
    chosen = f" by {prepared.select}" if prepared.select != prepared.metric else ""
    panels = len(prepared.panels) // prepared.tasks
    name = axis_label(prepared.metric, prepared.unit)
    return sentence(
        [
            f"{prepared.sweep}: a point for each configuration, its mean {name} over seeds",
            f"ringed: selected{chosen}" if "selected" in states else "",
            f"grey: {STOPPED}, its mean where it stopped" if STOPPED in states else "",
            "pale (?): provisional, seeds are missing" if "provisional" in states else "",
            f"{outside} outside the y axes, which end at three times as far from the best as the "
            "median is"
            if prepared.outside
            else "",
            f"{drawn:,} of {counted(total, 'configuration')}" if drawn < total else "",
            f"{panels} of {prepared.settings} searched settings"
            if panels < prepared.settings
            else "",
            _left_out(prepared),
        ]
    )


def _left_out(prepared: SliceFigure) -> str:
    """Return the part of a caption on points that have no place; empty if all have one."""
    parts = []
    if prepared.unplaced:
        parts.append(f"{counted(prepared.unplaced, 'point')} whose value is no number")
    if prepared.unknown:
        parts.append(f"{counted(prepared.unknown, 'configuration')} stopped without a value")
    return f"not shown: {' and '.join(parts)}" if parts else ""


def _numbers(prepared: SliceFigure) -> Numbers:
    """Return the points as a table, the selected ones first."""
    rows = [
        (points.estimator, panel.task, panel.setting, value, f"{mean:.6g}", state)
        for panel in prepared.panels
        for points in panel.points
        for value, mean, state in zip(
            points.values, points.means.tolist(), points.states, strict=True
        )
    ]
    rows.sort(key=lambda row: row[-1] != "selected")
    return Numbers.of(("row", "task", "setting", "value", prepared.metric, "state"), rows)

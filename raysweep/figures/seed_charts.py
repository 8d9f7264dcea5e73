"""Charts of seeds: dots, means with their intervals, and boxes, a band for each row."""

import math
import textwrap
from collections.abc import Callable
from typing import Any, TypeAlias

import altair as alt
import numpy as np

from raysweep.figures.drawing import (
    ROW,
    Drawing,
    Layers,
    Numbers,
    PanelChart,
    Records,
    Rows,
    axis_label,
    records,
    sentence,
    zoom,
)
from raysweep.figures.seeds import BEYOND, SeedsFigure, SeedsRow
from raysweep.figures.size import BESIDE, LETTER, SCREEN
from raysweep.figures.statistics import INTERVAL
from raysweep.figures.ticks import middle_of
from raysweep.text import counted

Along: TypeAlias = Callable[[str], alt.X]  # the horizontal position by a column

GOLDEN = 0.6180339887498949  # fractions of its multiples are evenly spread, however many there are
HALF = 0.25  # largest distance of dots from the middle of their row, in rows
NARROWEST = 60.0  # points of a panel if labels are short
LETTERS = 22  # in a line of a row's label, of which narrow figures have room for some
LINES = "split(datum.label, '\\n')"  # lines of a label, as Vega's expression
LINE, LEAST = 10.0, 26.0  # points of a line of a label, and of the height of a row
NOTE = 8.0  # further points of the height of a row, for notes above its dots


def seeds_drawing(prepared: SeedsFigure) -> Drawing:
    """Return the drawing of the seeds: a panel for each task, a band for each row."""
    panels = [_panel(prepared, index) for index in range(len(prepared.panels))]
    letters = max(min(len(row), LETTERS) for row in prepared.estimators)
    beside = max(0.0, letters * LETTER * SCREEN.font - BESIDE)  # more than an axis' numbers take
    narrowest = NARROWEST + beside / 2
    return Drawing(tuple(panels), _caption(prepared), _numbers(prepared), narrowest=narrowest)


def _panel(prepared: SeedsFigure, index: int) -> PanelChart:
    panel, name = prepared.panels[index], f"seeds-{index}"
    same = _same_number(prepared)
    labels = {row: "\n".join(textwrap.wrap(row, LETTERS)) for row in prepared.estimators}
    data: dict[str, Records] = {
        name: [record for row in panel.rows for record in _dots(row, labels[row.estimator])],
        f"{name}-means": [_mean(row, labels[row.estimator], panel.limits) for row in panel.rows],
        f"{name}-notes": [
            {"label": labels[row.estimator], "note": note}
            for row in panel.rows
            if (note := _note(row, same))
        ],
    }
    most = max(label.count("\n") + 1 for label in labels.values())
    has_notes = any(_note(row, same) for p in prepared.panels for row in p.rows)
    height = max(LEAST + NOTE * has_notes, LINE * most + 6)
    title = axis_label(prepared.metric, prepared.unit)
    rows = Rows({row.index: row.estimator for p in prepared.panels for row in p.rows})

    def draw(x_title: bool, y_title: bool) -> Layers:
        axis = alt.Axis(
            labelExpr=LINES,
            labelLineHeight=LINE,
            labelOffset=middle_of(LINES, LINE),
            labelPadding=5,
            domain=False,
            ticks=False,
            title=None,
        )
        y = alt.Y("label:N", scale=alt.Scale(domain=list(labels.values())))
        y = y.axis(axis if y_title else None)
        scale = alt.Scale(zero=False, nice=False, padding=8)
        if limits := panel.limits or _around({record["value"] for record in data[name]}):
            scale = alt.Scale(domain=list(limits), nice=False)

        def along(column: str) -> alt.X:
            bottom = alt.Axis(tickCount=4, title=title if x_title else None)
            return alt.X(f"{column}:Q", axis=bottom, scale=scale)

        return _chart(name, rows, along, y, height)

    return PanelChart(panel.task, draw, data, height * len(labels))


def _around(values: set[float]) -> tuple[float, float] | None:
    """Return the limits around a single value, whose only tick would be rounded; else None."""
    if len(values) != 1:
        return None
    (value,) = values
    room = 0.1 * abs(value) or 1.0
    return value - room, value + room


def _dots(row: SeedsRow, label: str) -> Records:
    """Return the dots of a row, evenly spread over its height."""
    count = len(row.values)
    spread = (np.arange(1, count + 1) * GOLDEN % 1 - 0.5) * 2 * HALF
    return records(
        value=row.values,
        seed=row.seeds,
        spread=spread if count > 1 else np.zeros(count),
        row=row.estimator,
        label=label,
        size=10 if row.box else 20,
        opacity=0.3 if row.box else 0.55,
    )


def _mean(row: SeedsRow, label: str, limits: tuple[float, float] | None) -> dict[str, object]:
    """Return the mean of a row, its interval and box, and the ends at which arrows are drawn."""
    low, high = limits or (-math.inf, math.inf)
    names = ("least", "first", "middle", "third", "most")
    (record,) = records(
        row=[row.estimator],
        label=label,
        state=row.status,
        n=len(row.values),
        mean=row.mean,
        low=row.low,
        high=row.high,
        interval=_interval(row),
        median=f"{row.box[2]:.6g}" if row.box else "–",
        left=low if row.low < low else math.nan,
        right=high if row.high > high else math.nan,
        **dict(zip(names, row.box, strict=False)),
    )
    return record


def _chart(name: str, rows: Rows, x: Along, y: alt.Y, height: float) -> Layers:
    """Return the layers of a panel: boxes below dots below means, with notes above each band.

    Args:
        name: Name of the data of the dots; those of means and notes begin with it.
        rows: Colours of the rows.
        x: Function that returns the horizontal position by a column.
        y: Vertical position of a row.
        height: Height of a band in points.
    """
    color = rows.color.legend(None)
    tip = alt.Tooltip(f"{ROW}:N", title=" ")
    value, seed = alt.Tooltip("value:Q", format=".6g"), alt.Tooltip("seed:Q", format="d")
    dots = (
        alt.Chart(alt.NamedData(name))
        .mark_point(clip=True, filled=True)
        .encode(
            x=x("value"),
            y=y,
            yOffset=alt.YOffset("spread:Q", scale=alt.Scale(domain=[-0.5, 0.5])),
            color=color,
            size=alt.Size("size:Q", scale=None, legend=None),
            opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            tooltip=[tip, value, seed],
        )
    )
    means = alt.Chart(alt.NamedData(f"{name}-means")).encode(y=y, color=color)
    box = means.mark_rule(clip=True, opacity=0.2, strokeWidth=2 * HALF * height)
    whiskers = means.mark_rule(clip=True, strokeWidth=0.7)
    median = means.mark_tick(clip=True, thickness=1, size=2 * HALF * height)
    notes = alt.Chart(alt.NamedData(f"{name}-notes")).mark_text(
        style="note", align="right", baseline="middle", dy=3 - height / 2
    )
    layers = [
        box.encode(x=x("first"), x2=alt.X2("third")),
        whiskers.encode(x=x("least"), x2=alt.X2("most")),
        median.encode(x=x("middle")),
        dots,
        *_intervals(f"{name}-means", x, y, tip),
        notes.encode(x=alt.XValue("width"), y=y, text=alt.Text("note:N")),
    ]
    return Layers(layers, [zoom(name, "x")])


def _intervals(name: str, x: Along, y: alt.Y, tip: alt.Tooltip) -> list[alt.Chart]:
    """Return the layers of means, intervals, and arrows where these reach beyond the axis."""
    tips = [
        tip,
        alt.Tooltip("mean:Q", format=".6g"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("median:N", title="median"),
        alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("state:N"),
    ]
    means = alt.Chart(alt.NamedData(name)).encode(y=y, tooltip=tips)
    arrow: dict[str, Any] = {"filled": True, "size": 40, "opacity": 1, "style": "ink"}
    diamond: dict[str, Any] = {"shape": "diamond", "filled": True, "opacity": 1, "clip": True}
    hollow = means.mark_point(style="paper", size=14, **diamond).encode(x=x("mean"))
    return [
        means.mark_rule(clip=True, strokeWidth=1.4, style="ink").encode(
            x=x("low"), x2=alt.X2("high")
        ),
        means.mark_point(shape="triangle-left", xOffset=3, **arrow).encode(x=x("left")),
        means.mark_point(shape="triangle-right", xOffset=-3, **arrow).encode(x=x("right")),
        means.mark_point(style="ink", size=42, **diamond).encode(x=x("mean")),
        hollow.transform_filter("datum.state == 'provisional'"),
    ]


def _same_number(prepared: SeedsFigure) -> int | None:
    """Return the number of seeds of the final rows if all have the same number, else None."""
    counts = {
        len(row.values)
        for panel in prepared.panels
        for row in panel.rows
        if row.status == "selected"
    }
    return counts.pop() if len(counts) == 1 else None


def _note(row: SeedsRow, same: int | None) -> str:
    if row.status == "provisional":
        return f"? n = {len(row.values)}"
    if row.status == "selected":
        return "" if same is not None else f"n = {len(row.values)}"
    return f"{row.status}, n = {len(row.values)}" if len(row.values) else row.status


def _interval(row: SeedsRow) -> str:
    return f"{row.low:.6g} to {row.high:.6g}" if math.isfinite(row.low) else "–"


def _numbers(prepared: SeedsFigure) -> Numbers:
    head = ("row", "task", "mean", "95 % interval", "seeds", "state")
    rows = [
        (
            row.estimator,
            panel.task,
            f"{row.mean:.6g}" if math.isfinite(row.mean) else "",
            _interval(row),
            str(len(row.values)),
            row.status,
        )
        for panel in prepared.panels
        for row in panel.rows
    ]
    return Numbers.of(head, rows)


def _caption(prepared: SeedsFigure) -> str:
    rows = [row for panel in prepared.panels for row in panel.rows]
    same = _same_number(prepared)
    seeds = f"of {counted(same, 'seed')}" if same is not None else "seed"
    has_intervals = any(np.isfinite(row.low) for row in rows)
    return sentence(
        [
            f"{prepared.sweep}: a dot for each {seeds}, a diamond at the mean"
            + (f" with its {INTERVAL}" if has_intervals else ""),
            "boxes: the middle half with the median, whiskers from the 5th to the 95th percentile"
            if any(row.box for row in rows)
            else "",
            BEYOND if any(panel.limits for panel in prepared.panels) else "",
            prepared.selection,
            "hollow (?): provisional, n seeds so far"
            if any(row.status == "provisional" for row in rows)
            else "",
        ]
    )

"""Charts of heatmaps over one setting or two."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from raysweep.figures.drawing import (
    Drawing,
    Layers,
    Numbers,
    PanelChart,
    Records,
    axis_label,
    sentence,
)
from raysweep.figures.heatmaps import HeatmapFigure, HeatmapPanel
from raysweep.figures.ticks import LETTER, lines_beside, ticks_below

WIDEST = 44.0  # points of a cell on a screen
NARROWEST = 11.0  # points of a cell, with or without a number
HEIGHT = 20.0  # points of a cell
LINE = 10.0  # points of each further line of a row's label
GAP = 0.05  # fraction of a cell between two of them
LARGEST, SMALLEST = 8.0, 5.0  # points of the numbers in cells; smaller ones are left out
TITLE = 9.0  # points of the titles of axes
DIGITS = (4, 3)  # significant digits of a number; the smaller number of them if more do not fit
LABEL = 18  # letters of a row's label in a line
SHADES = (0.08, 1.0)  # part of viridis that is used
IS_LIGHT = 0.58  # score from which a cell is so light that its number is dark
GREY = 0.3  # opacity of cells that early stopping left
CELL = "item.mark.group"  # of Vega's scene: the panel that a mark is in

STATES = {
    "provisional": "?: provisional, seeds are missing",
    "stopped": "grey: stopped early",
    "lost": "×: diverged or failed",
    "empty": "–: no value",
}


def heatmap_drawing(prepared: HeatmapFigure) -> Drawing:
    """Return the drawing of a heatmap over one setting or two."""
    texts = [
        _number(float(mean), digits)
        for panel in prepared.panels
        for mean in panel.cells.means[np.isfinite(panel.cells.means)]
        for digits in DIGITS
    ]
    mark = 2 * any(panel.cells.provisional.any() for panel in prepared.panels)
    letters = tuple(max(map(len, texts[start::2])) + mark for start in range(len(DIGITS)))
    panels = [_panel(prepared, index, letters) for index in range(len(prepared.panels))]
    fits = LETTER * SMALLEST * letters[-1] + 3
    most = max(len(panel.x) for panel in prepared.panels)
    return Drawing(
        tuple(panels),
        _caption(prepared),
        _numbers(prepared),
        narrowest=fits if most * fits < 400 else NARROWEST,
        widest=max(WIDEST, LETTER * LARGEST * letters[0] + 6),
    )


def _panel(prepared: HeatmapFigure, index: int, letters: Sequence[int]) -> PanelChart:
    panel = prepared.panels[index]
    name = f"cells-{index}"
    is_single = len(prepared.settings) == 1
    title = panel.estimator
    if not is_single and len(prepared.tasks) > 1:
        title = f"{panel.estimator} · {panel.task}"
    labels = [textwrap.wrap(row.label, LABEL) or [""] for row in panel.y]
    lines = max(map(len, labels)) - 1 if is_single else 0
    height = len(panel.y) * (HEIGHT + LINE * lines)

    def draw(x_title: bool, y_title: bool) -> Layers:
        x: dict[str, Any] = ticks_below([column.label for column in panel.x], len(panel.x))
        x["title"] = _name(prepared.settings[0]) if x_title else None
        y: dict[str, Any] = {**x, **lines_beside(labels, LINE), "labelPadding": 4}
        for rotation in ("labelAngle", "labelAlign", "labelBaseline"):
            del y[rotation]
        up = _name(prepared.settings[-1])
        is_named = not is_single and y_title and len(up) * LETTER * TITLE < height
        y["title"] = up if is_named else None
        y["labels"] = y_title or not is_single
        return _chart(name, (panel, prepared), (x, y), letters)

    data = {name: _records(prepared, panel)}
    return PanelChart(title, draw, data, height, float(len(panel.x)))


def _name(setting: str) -> str:
    return setting.partition(".")[2]


def _records(prepared: HeatmapFigure, panel: HeatmapPanel) -> Records:
    """Return the cells in which something ran."""
    cells = panel.cells
    rows: Records = []
    for y, x in zip(*np.nonzero(cells.tried), strict=True):
        mean, state = float(cells.means[y, x]), _state(panel, (y, x))
        reached = float(cells.reached[y, x])
        rows.append(
            {
                "x": int(x),
                "y": int(y),
                "along": panel.x[x].label,
                "up": panel.y[y].label,
                "state": {"stopped": "stopped early", "lost": "diverged or failed"}.get(
                    state, state
                ),
                "score": None if math.isnan(mean) else round(float(panel.scores[y, x]), 4),
                "mean": None if math.isnan(mean) else f"{mean:.6g}",
                "reached": "not known" if math.isnan(reached) else f"{reached:.6g}",
                "runs": _counts(panel, (y, x)),
                **_texts(mean, state),
            }
        )
    return rows


def _state(panel: HeatmapPanel, cell: tuple[Any, Any]) -> str:
    cells = panel.cells
    if not math.isnan(cells.means[cell]):
        return "provisional" if cells.provisional[cell] else "final"
    if cells.stopped[cell]:
        return "stopped"
    return "lost" if cells.lost[cell] else "empty"


def _counts(panel: HeatmapPanel, cell: tuple[Any, Any]) -> str:
    """Return the number of a cell's configurations, and how some of them ended."""
    cells = panel.cells
    counts = {"stopped early": cells.stopped[cell], "diverged or failed": cells.lost[cell]}
    parts = [f"{count:,} {text}" for text, count in counts.items() if count]
    return ", ".join([f"{cells.tried[cell]:,}", *parts])


def _texts(mean: float, state: str) -> dict[str, str]:
    """Return the text of a cell with as many digits as there is room for."""
    mark = {"provisional": "?", "lost": "×", "empty": "–"}.get(state, "")
    if math.isnan(mean):
        return {"long": mark, "short": mark, "mark": mark}
    long, short = (f"{_number(mean, digits)} {mark}".rstrip() for digits in DIGITS)
    return {"long": long, "short": short, "mark": mark}


def _number(mean: float, digits: int) -> str:
    """Return a cell's number; all numbers of a figure have as many digits."""
    return f"{mean:#.{digits}g}".rstrip(".")


def _chart(
    name: str,
    shown: tuple[HeatmapPanel, HeatmapFigure],
    axes: tuple[dict[str, Any], dict[str, Any]],
    letters: Sequence[int],
) -> Layers:
    panel, prepared = shown
    columns, rows = list(range(len(panel.x))), list(range(len(panel.y)))
    if len(prepared.settings) > 1:
        rows.reverse()  # a setting increases upwards, unlike the rows of tasks
    x_scale, y_scale = (
        alt.Scale(domain=domain, paddingInner=GAP, paddingOuter=GAP / 2)
        for domain in (columns, rows)
    )
    base = alt.Chart(alt.NamedData(name)).encode(
        x=alt.X("x:O", scale=x_scale, axis=alt.Axis(**axes[0])),
        y=alt.Y("y:O", scale=y_scale, axis=alt.Axis(**axes[1])),
    )
    tips = {state: _tips(prepared, state) for state in ("final", "stopped", "other")}
    shades = alt.Scale(domain=[0, 1], scheme=alt.SchemeParams("viridis", extent=list(SHADES)))
    color = alt.Color("score:Q", scale=shades, legend=None)
    layers = [
        base.mark_rect(style="soft", opacity=GREY)
        .encode(tooltip=tips["stopped"])
        .transform_filter("datum.state === 'stopped early'"),
        base.mark_rect()
        .encode(color=color, tooltip=tips["final"])
        .transform_filter("isValid(datum.score)"),
        *_numbers_in(base, (tips["final"], tips["other"]), letters, len(columns)),
    ]
    if panel.selected is not None:
        layers += _outline(base, panel.selected)
    whole = alt.Chart(alt.sequence(0, 1)).mark_rect(style="blank")
    blank = whole.encode(
        x=alt.XValue(0), y=alt.YValue(0), x2=alt.X2Value("width"), y2=alt.Y2Value("height")
    )
    return Layers([blank, *layers])


def _numbers_in(
    base: alt.Chart,
    tips: tuple[list[alt.Tooltip], list[alt.Tooltip]],
    letters: Sequence[int],
    columns: int,
) -> list[alt.Chart]:
    """Return the layers of the numbers, as large as fits; too small ones are left out.

    Args:
        base: Chart of the cells.
        tips: Tips of cells with a number, and of others.
        letters: Letters of the longest number by the digits that it has.
        columns: Number of cells across.
    """
    room = f"({CELL}.width / {columns} - 3)"
    sizes = [f"{room} / {LETTER * count:.4g}" for count in letters]
    text = (
        f"{sizes[0]} >= {SMALLEST} ? datum.long : {sizes[1]} >= {SMALLEST} ? datum.short "
        ": datum.mark"
    )
    size = (
        f"{sizes[0]} >= {SMALLEST} ? min({LARGEST}, {sizes[0]}) : {sizes[1]} >= {SMALLEST} "
        f"? min({LARGEST}, {sizes[1]}) : {LARGEST}"
    )
    dark = {"test": f"datum.score >= {IS_LIGHT}", "value": "black"}
    ink = alt.ColorValue("white", condition=dark)
    texts = base.mark_text(text=alt.ExprRef(text), fontSize=alt.ExprRef(size))
    with_score = texts.encode(color=ink, tooltip=tips[0])
    without = base.mark_text(style="ink", text=alt.ExprRef(text), fontSize=alt.ExprRef(size))
    without = without.encode(tooltip=tips[1])
    return [
        with_score.transform_filter("isValid(datum.score)"),
        without.transform_filter("!isValid(datum.score) && datum.mark"),
    ]


def _outline(base: alt.Chart, selected: tuple[int, int]) -> list[alt.Chart]:
    """Return the outline of the selected configuration's cell: a red line on a white one."""
    chosen = base.transform_filter(f"datum.y === {selected[0]} && datum.x === {selected[1]}")
    return [
        chosen.mark_rect(fillOpacity=0, stroke=stroke, strokeWidth=width, strokeOpacity=1)
        for stroke, width in (("white", 3.4), ("#D00000", 1.6))
    ]


def _tips(prepared: HeatmapFigure, state: str) -> list[alt.Tooltip]:
    names = [_name(setting) for setting in prepared.settings]
    up = names[1] if len(names) > 1 else "task"
    value = {
        "final": [alt.Tooltip("mean:N", title=prepared.metric)],
        "stopped": [alt.Tooltip("reached:N", title=f"best {prepared.metric} reached")],
    }
    return [
        alt.Tooltip("along:N", title=names[0]),
        alt.Tooltip("up:N", title=up),
        *value.get(state, []),
        alt.Tooltip("state:N", title="state"),
        alt.Tooltip("runs:N", title="configurations"),
    ]


def _caption(prepared: HeatmapFigure) -> str:
    chosen = f" by {prepared.select}" if prepared.select != prepared.metric else ""
    shown = axis_label(prepared.metric, prepared.unit)
    states = {
        _state(panel, cell)
        for panel in prepared.panels
        for cell in zip(*np.nonzero(panel.cells.tried), strict=True)
    }
    blank = any((panel.cells.tried == 0).any() for panel in prepared.panels)
    return sentence(
        [
            f"{prepared.sweep}: {shown}, mean over seeds of the best configuration{chosen} at each "
            f"{' and '.join(prepared.settings)}",
            "lighter is better, on a scale for each task",
            "outlined: selected" if any(panel.selected for panel in prepared.panels) else "",
            *(text for state, text in STATES.items() if state in states),
            "blank: no runs" if blank else "",
            prepared.lacking,
        ]
    )


def _numbers(prepared: HeatmapFigure) -> Numbers:
    """Return the cells as a table, the task's best first."""
    names = [_name(setting) for setting in prepared.settings]
    head = ("panel", *names, *(["task"] if len(names) == 1 else []), prepared.metric, "state")
    rows = []
    for panel in prepared.panels:
        label = " · ".join(filter(None, (panel.estimator, panel.task)))
        for y, x in zip(*np.nonzero(panel.cells.tried), strict=True):
            mean, state = panel.cells.means[y, x], _state(panel, (y, x))
            text = "" if math.isnan(mean) else f"{mean:.6g}"
            rows.append((label, panel.x[x].label, panel.y[y].label, text, state))
    return Numbers.of(head, rows)

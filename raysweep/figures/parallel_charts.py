"""Charts of parallel coordinates."""

from typing import Any

import altair as alt
import numpy as np

from raysweep.figures.drawing import (
    OPACITY,
    Drawing,
    Layers,
    Numbers,
    PanelChart,
    Records,
    axis_label,
    number,
    sentence,
)
from raysweep.figures.parallel import Lines, ParallelFigure, ParallelPanel
from raysweep.figures.ticks import ticks_below
from raysweep.results.bins import ABSENT

LOWEST = -0.14  # position on an axis of lines whose configuration lacks the setting
BETWEEN = 36.0  # least points between two axes
BESIDE = 0.35  # room beside the first and the last axis, in distances between two axes
SHADES = (0.0, 0.92)  # part of viridis that is used: its last yellow is lost on white
STRIPS = 32  # colours along the metric's axis
PROVISIONAL = "?: provisional, seeds are missing"
LISTED = 10  # best configurations of a panel in the table of numbers


def parallel_drawing(prepared: ParallelFigure) -> Drawing:
    """Return the drawing of parallel coordinates."""
    most = max(len(panel.axes) for panel in prepared.panels)
    return Drawing(
        tuple(_panel(prepared, index) for index in range(len(prepared.panels))),
        _caption(prepared),
        _numbers(prepared),
        narrowest=BETWEEN * (most - 1 + 2 * BESIDE),
    )


def _panel(prepared: ParallelFigure, index: int) -> PanelChart:
    panel = prepared.panels[index]
    title = _title(prepared, panel)
    lines, ticks = f"lines-{index}", f"ticks-{index}"
    data = {lines: _records(panel), ticks: _ticks(panel)}

    def draw(x_title: bool, y_title: bool) -> Layers:
        return _chart(prepared.metric, panel, (lines, ticks))

    return PanelChart(title + (" ?" if panel.provisional else ""), draw, data)


def _title(prepared: ParallelFigure, panel: ParallelPanel) -> str:
    return f"{panel.estimator} · {panel.task}" if prepared.tasks > 1 else panel.estimator


def _is_absent(panel: ParallelPanel) -> bool:
    """Return whether some line's configuration lacks a setting."""
    return any(
        bool(np.isnan(lines.positions[:, :-1]).any()) for lines in (panel.lines, panel.stopped)
    )


def _records(panel: ParallelPanel) -> Records:
    """Return the lines, those of stopped configurations first and the best last."""
    count = len(panel.lines.scores)
    opacities = [_opacity(index, count) for index in range(count)]
    state = "provisional" if panel.provisional else "ended well"
    final = _of(panel.lines, opacities, state, 0)
    if panel.selected is not None and not panel.provisional:
        final[panel.selected]["state"] = "selected"
    stopped = _of(panel.stopped, [0.3] * len(panel.stopped.scores), "stopped early", count)
    return [*stopped, *final]


def _of(lines: Lines, opacities: list[float], state: str, first: int) -> Records:
    rows: Records = []
    for index, positions in enumerate(lines.positions.tolist()):
        mean = lines.means[index]
        *settings, last = [number(position) for position in positions]
        heights = [LOWEST if position is None else position for position in settings]
        rows.append(
            {
                "line": first + index,
                "state": state,
                "score": last,
                "mean": f"{mean:.6g}" if np.isfinite(mean) else "not known",
                OPACITY: round(opacities[index], 3),
                **{f"p{axis}": height for axis, height in enumerate([*heights, last])},
                **{f"t{axis}": text for axis, text in enumerate(lines.values[index])},
            }
        )
    return rows


def _opacity(index: int, count: int) -> float:
    """Return the opacity of a line among `count`, the worst first.

    The more lines there are, the fewer are prominent.
    """
    rank = (index + 1) / count
    return 0.25 + 0.65 * rank**2 if count <= 50 else 0.1 + 0.8 * rank**8


def _ticks(panel: ParallelPanel) -> Records:
    """Return the labels beside the axes."""
    positions = np.concatenate([panel.lines.positions, panel.stopped.positions])
    if not len(positions):
        return []
    rows: Records = []
    for index, axis in enumerate(panel.axes):
        ticks = list(axis.ticks)
        if index < len(panel.axes) - 1 and np.isnan(positions[:, index]).any():
            ticks.append((LOWEST, ABSENT))
        rows += [{"at": index, "height": number(at), "text": text} for at, text in ticks]
    return rows


def _chart(metric: str, panel: ParallelPanel, names: tuple[str, str]) -> Layers:
    last = len(panel.axes) - 1
    axis = ticks_below([axis.name for axis in panel.axes], last + 2 * BESIDE)
    x_scale = alt.Scale(domain=[-BESIDE, last + BESIDE], nice=False, zero=False)
    low = LOWEST - 0.06 if _is_absent(panel) else -0.04
    y_scale = alt.Scale(domain=[low, 1.04], nice=False, zero=False)
    x = alt.X(
        "at:Q", scale=x_scale, title=None, axis=alt.Axis(values=list(range(last + 1)), **axis)
    )
    y = alt.Y("height:Q", scale=y_scale, axis=None)
    shades = alt.Scale(domain=[0, 1], scheme=alt.SchemeParams("viridis", extent=list(SHADES)))
    color = alt.Color("score:Q", scale=shades, legend=None)
    base = (
        alt.Chart(alt.NamedData(names[0]))
        .transform_fold([f"p{index}" for index in range(last + 1)], as_=["axis", "height"])
        .transform_calculate(at="toNumber(slice(datum.axis, 1))")
        .transform_filter("isValid(datum.height)")
        .encode(x=x, y=y, detail=alt.Detail("line:Q"), tooltip=_tips(metric, panel))
    )
    faint = alt.Opacity(f"{OPACITY}:Q", scale=None, legend=None)
    layers: list[Any] = [
        base.mark_line(style="soft", strokeWidth=0.6)
        .encode(opacity=faint)
        .transform_filter("datum.state === 'stopped early'"),
        base.mark_line(strokeWidth=0.9)
        .encode(color=color, opacity=faint)
        .transform_filter("datum.state !== 'stopped early'"),
    ]
    if panel.selected is not None:
        chosen = base.transform_filter(f"datum.line === {panel.selected}")
        layers += [
            chosen.mark_line(style="ink", strokeWidth=3.4),
            chosen.mark_line(strokeWidth=2).encode(color=color),
        ]
    layers += _axes(x, y, color, last)
    layers += _labels(alt.Chart(alt.NamedData(names[1])).encode(x=x, y=y), last)
    if not len(panel.lines.scores) and not len(panel.stopped.scores):
        note = alt.Chart(alt.sequence(0, 1)).transform_calculate(at=f"{last / 2}", height="0.5")
        layers.append(note.mark_text(style="note", text="no configuration yet").encode(x=x, y=y))
    return Layers(layers)


def _axes(x: alt.X, y: alt.Y, color: alt.Color, last: int) -> list[alt.Chart]:
    """Return the vertical axes, the last one with the colours along it."""
    axes = alt.Chart(alt.sequence(0, last + 1, as_="at")).mark_rule(style="soft")
    strips = alt.Chart(alt.sequence(0, STRIPS, as_="strip")).mark_rule(strokeWidth=4)
    return [
        axes.transform_calculate(height="0", top="1").encode(x=x, y=y, y2=alt.Y2("top:Q")),
        strips.transform_calculate(
            at=f"{last}",
            height=f"datum.strip / {STRIPS}",
            top=f"min(1, (datum.strip + 1.2) / {STRIPS})",
            score=f"(datum.strip + 0.5) / {STRIPS}",
        ).encode(x=x, y=y, y2=alt.Y2("top:Q"), color=color),
    ]


def _labels(base: alt.Chart, last: int) -> list[alt.Chart]:
    """Return the labels beside the axes, legible over lines."""
    sides: list[tuple[str, dict[str, Any]]] = [
        (f"datum.at < {last}", {"align": "right", "dx": -4}),
        (f"datum.at === {last}", {"align": "left", "dx": 5}),
    ]
    return [
        base.mark_text(style=style, baseline="middle", **side)
        .encode(text=alt.Text("text:N"))
        .transform_filter(which)
        for which, side in sides
        for style in (["note", "halo"], "note")
    ]


def _tips(metric: str, panel: ParallelPanel) -> list[alt.Tooltip]:
    settings = [axis.name for axis in panel.axes[:-1]]
    return [
        *(alt.Tooltip(f"t{index}:N", title=name) for index, name in enumerate(settings)),
        alt.Tooltip("mean:N", title=metric),
        alt.Tooltip("state:N", title="state"),
    ]


def _caption(prepared: ParallelFigure) -> str:
    panels = prepared.panels
    most = max(panel.configurations for panel in panels)
    shown = max(len(panel.lines.scores) for panel in panels)
    chosen = f", selected by {prepared.select}" if prepared.select != prepared.metric else ""
    name = axis_label(prepared.metric, prepared.unit)
    stopped = sum(panel.stopped_configurations for panel in panels)
    drawn = sum(len(panel.stopped.scores) for panel in panels)
    some = f" ({drawn:,} of {stopped:,})" if drawn < stopped else ""
    return sentence(
        [
            f"{prepared.sweep}: a line for each configuration that ended well{chosen}, its "
            f"mean {name} over seeds last",
            f"the best {shown:,} of up to {most:,}" if most > shown else "",
            "brighter and higher is better, on a scale for each task",
            "outlined: selected" if any(panel.selected is not None for panel in panels) else "",
            f"thin grey: stopped early{some}" if stopped else "",
            f"{ABSENT}: does not apply" if any(map(_is_absent, panels)) else "",
            PROVISIONAL if any(panel.provisional for panel in panels) else "",
        ]
    )


def _numbers(prepared: ParallelFigure) -> Numbers:
    """Return the best configurations of each panel as a table."""
    rows = []
    for panel in prepared.panels:
        names = [axis.name for axis in panel.axes[:-1]]
        for index in reversed(range(len(panel.lines.scores))[-LISTED:]):
            pairs = zip(names, panel.lines.values[index], strict=True)
            settings = ", ".join(f"{name} {text}" for name, text in pairs if text != ABSENT)
            state = "selected" if index == panel.selected else ""
            mean = f"{panel.lines.means[index]:.6g}"
            rows.append((_title(prepared, panel), settings, mean, state))
    return Numbers.of(("panel", "settings", prepared.metric, "state"), rows)

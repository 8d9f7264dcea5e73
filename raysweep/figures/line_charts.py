"""Charts of lines with bands: metrics over steps, over seconds of training, or over a setting."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from raysweep.figures.curves import CurvesFigure, Line
from raysweep.figures.drawing import (
    BAND,
    HOVER,
    LINE,
    PALE,
    Chart,
    Drawing,
    Numbers,
    PanelChart,
    Records,
    Rows,
    axis_label,
    band_tips,
    opacity,
    placeholder,
    records,
    row_tip,
    scale_type,
    sentence,
    zoom,
)
from raysweep.figures.lines import LinesFigure
from raysweep.figures.size import LETTER, SCREEN
from raysweep.figures.statistics import BANDS
from raysweep.figures.time import TimeFigure
from raysweep.text import counted

FAINT = 0.25  # opacity of the configurations that are not selected
PANEL = 300.0  # points of a panel for which ticks are chosen; narrower ones leave some out
GAP = 4.0  # points between the labels of two ticks
WINDOWED = "tables have training metrics as means over a run's last steps (window)"


@dataclasses.dataclass(frozen=True)
class Across:
    """Horizontal axis of charts of lines.

    Args:
        title: Title of the axis.
        values: Positions of the points of each panel's lines, `T` each.
        axis: Options of Vega-Lite's axis.
        log: Whether the axis is logarithmic.
        is_whole: Whether the positions are whole numbers, as steps are.
        marks_points: Whether all points are marked.
    """

    title: str
    values: Sequence[Sequence[Any]]
    axis: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    log: bool = False
    is_whole: bool = True
    marks_points: bool = False


def curves_drawing(prepared: CurvesFigure) -> Drawing:
    """Return the drawing of curves over steps."""
    steps = [[line.steps for line in panel.lines] for panel in prepared.panels]
    across = Across("step", steps, {"format": "~s", "tickCount": 5, "tickMinStep": 1})
    caption = sentence([f"{prepared.sweep}: {summary(prepared)}", *footnotes(prepared)])
    return line_drawing(prepared, across, caption)


def time_drawing(prepared: TimeFigure) -> Drawing:
    """Return the drawing of curves over seconds of training."""
    axis = {"format": "~g", "tickCount": 5}
    across = Across("seconds of training", prepared.seconds, axis, is_whole=False)
    curves = prepared.curves
    share = "over a run's mean share of its pack's time"
    caption = [f"{curves.sweep}: {summary(curves)}", share, *footnotes(curves)]
    return line_drawing(curves, across, sentence(caption))


def setting_drawing(prepared: LinesFigure) -> Drawing:
    """Return the drawing of a metric over one setting."""
    curves = prepared.curves
    axis = {"values": _apart(prepared), "format": ".3~g"}
    name = prepared.setting.partition(".")[2]
    across = Across(name, prepared.values, axis, prepared.log, is_whole=False, marks_points=True)
    parts = [f"{curves.sweep}: {summary(curves)}", *footnotes(curves), prepared.lacking]
    return line_drawing(curves, across, sentence(parts))


def _apart(prepared: LinesFigure) -> list[float]:
    """Return the ticks with room for their labels in a panel, the most important ones first."""
    known = np.concatenate([np.asarray(x, float) for panel in prepared.values for x in panel])
    transform = np.log10 if prepared.log else np.asarray
    low, high = float(transform(known.min())), float(transform(known.max()))
    shown: list[tuple[float, float, float]] = []  # middle and half width of a label, in points
    for value, _ in prepared.ticks:
        if known.min() <= value <= known.max():
            middle = PANEL * (float(transform(value)) - low) / ((high - low) or 1.0)
            half = (len(f"{value:.3g}") * LETTER * SCREEN.small + GAP) / 2
            if all(abs(middle - other) >= half + least for other, least, _ in shown):
                shown.append((middle, half, value))
    return sorted(value for _, _, value in shown)


def line_drawing(prepared: CurvesFigure, across: Across, caption: str) -> Drawing:
    """Return the drawing of panels of lines.

    Args:
        prepared: Panels and lines to draw.
        across: Horizontal axis of the panels.
        caption: Text that explains the figure.
    """
    texts = dict(prepared.labels.values())
    rows = Rows(texts)
    names = {label: text for label, (_, text) in prepared.labels.items()}
    panels = [
        _panel(prepared, index, across, (rows, names)) for index in range(len(prepared.panels))
    ]
    return Drawing(
        tuple(panels),
        caption,
        _numbers(prepared, across),
        prepared.tasks,
        rows.entries,
    )


def _panel(
    prepared: CurvesFigure, index: int, across: Across, rows: tuple[Rows, Mapping[str, str]]
) -> PanelChart:
    panel = prepared.panels[index]
    if not panel.lines:
        return PanelChart(panel.task, placeholder("no curve"), {})
    name = f"lines-{index}"
    data: Records = []
    for line, x in zip(panel.lines, across.values[index], strict=True):
        data += _records(line, x, rows[1][line.estimator])
    if prepared.log:
        data = [record for record in data if (record["mean"] or 0) > 0]
    label = axis_label(panel.metric, prepared.units[panel.metric])
    limits = None if prepared.log else panel.limits

    def draw(x_title: bool, y_title: bool) -> Chart:
        return _chart(
            name,
            rows[0],
            (across, across.title if x_title else None),
            (label if y_title else None, limits, prepared.log),
        )

    return PanelChart(panel.task, draw, {name: data})


def _records(line: Line, x: Any, text: str) -> Records:
    """Return the points of a line; the last one is marked where its runs still train."""
    known = np.isfinite(np.asarray(x, np.float64))
    state = _state(line)
    opacity = {"selected": 1.0, "other": FAINT, "stopped early": FAINT}.get(state, PALE)
    rows = records(
        x=np.asarray(x)[known],
        mean=line.mean[known],
        low=line.low[known] if not line.other else np.full(known.sum(), np.nan),
        high=line.high[known] if not line.other else np.full(known.sum(), np.nan),
        n=line.seeds,
        state=state,
        configuration=line.other,
        row=text,
        opacity=opacity,
    )
    if rows:
        rows[-1]["end"] = state in ("training", "stopped early") or len(rows) == 1
    return rows


def _state(line: Line) -> str:
    if line.other:
        return "stopped early" if line.is_stopped else "other"
    if line.is_training:
        return "training"
    return "provisional" if line.provisional else "selected"


def _chart(
    name: str,
    rows: Rows,
    x: tuple[Across, str | None],
    y: tuple[str | None, tuple[float, float] | None, bool],
) -> Chart:
    across, x_title = x
    y_title, limits, log = y
    x_scale = alt.Scale(type=scale_type(log=across.log), nice=False, zero=False, padding=4)
    y_scale = alt.Scale(type=scale_type(log=log), zero=False, nice=limits is None)
    if limits:
        y_scale.domain = list(limits)
    base = alt.Chart(alt.NamedData(name)).encode(
        x=alt.X("x:Q", title=x_title, scale=x_scale, axis=alt.Axis(**across.axis)),
        color=rows.color,
        detail=["state:N", "configuration:N"],
    )
    low = alt.Y("low:Q", title=y_title, scale=y_scale)
    band = base.mark_area(**BAND).encode(y=low, y2="high:Q")
    tips = [
        row_tip(),
        alt.Tooltip("x:Q", title=across.title, format=",d" if across.is_whole else ".4g"),
        alt.Tooltip("mean:Q", title="mean", format=".6g"),
        *band_tips(),
        alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("state:N", title="state"),
    ]
    over = base.encode(y=alt.Y("mean:Q", title=y_title, scale=y_scale), opacity=opacity())
    line = over.mark_line(**LINE).encode(strokeDash=rows.dash)
    ends = over.mark_point(clip=True, size=24, filled=False).transform_filter("datum.end")
    mark = {**HOVER, "size": 16, "fillOpacity": 1} if across.marks_points else HOVER
    points = over.mark_point(**mark).encode(tooltip=tips)
    return alt.layer(band, line, ends, points).add_params(zoom(name))


def _numbers(prepared: CurvesFigure, across: Across) -> Numbers:
    """Return the last point of every line as a table."""
    head = (prepared.row_kind, "task", "metric", across.title, "mean", "band", "seeds")
    rows = []
    for panel, values in zip(prepared.panels, across.values, strict=True):
        for line, x in zip(panel.lines, values, strict=True):
            if line.other:
                continue
            known = np.flatnonzero(np.isfinite(np.asarray(x, np.float64)))
            if not len(known):
                continue
            last = known[-1]
            rows.append(
                (
                    line.estimator,
                    panel.task,
                    panel.metric,
                    f"{x[last]:,.6g}",
                    f"{line.mean[last]:.6g}",
                    f"{line.low[last]:.6g} to {line.high[last]:.6g}",
                    f"{line.seeds}{'' if not line.is_training else ', in training'}",
                )
            )
    return Numbers.of(head, rows)


def summary(prepared: CurvesFigure) -> str:
    """Return the part of a caption that explains the lines and bands."""
    counts = prepared.seeds
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    over = counted(counts[0], "seed") if seeds == "1" else f"{seeds} seeds".strip()
    return f"mean over {over}, {BANDS[prepared.band]}"


def footnotes(prepared: CurvesFigure) -> list[str]:
    """Return the further parts of a caption of curves, some of them empty."""
    lines = [line for panel in prepared.panels for line in panel.lines]
    return [
        prepared.selection,
        "pale (?): provisional, n seeds so far" if any(i.provisional for i in lines) else "",
        _others(prepared),
        training(prepared.training, prepared.runs + prepared.training, prepared.reached),
        "y axes are cut to what follows the first tenth of the steps" if prepared.cropped else "",
        outside(prepared),
        WINDOWED if prepared.is_windowed else "",
        lost_curves(prepared.lacking, prepared.runs),
    ]


def _others(prepared: CurvesFigure) -> str:
    """Return the part of a caption on configurations that are not selected; empty without any."""
    if not prepared.others:
        return ""
    of = f" of {prepared.others + prepared.left_out:,}" if prepared.left_out else ""
    lines = [line for panel in prepared.panels for line in panel.lines]
    ends = (
        ", with a circle where early stopping ended them"
        if any(line.is_stopped for line in lines)
        else ""
    )
    return f"faint: {prepared.others:,}{of} other configurations{ends}"


def outside(prepared: CurvesFigure) -> str:
    """Return the part of a caption that names the lines outside the axes; empty without any."""
    if prepared.log:
        return ""
    hidden = [
        f"{line.estimator} on {panel.task}"
        for panel in prepared.panels
        if panel.limits
        for line in panel.lines
        if not line.other
        if (line.mean > panel.limits[1]).all() or (line.mean < panel.limits[0]).all()
    ]
    return f"outside the axes: {', '.join(hidden)}" if hidden else ""


def lost_curves(lacking: int, runs: int) -> str:
    """Return the part of a caption that counts the runs without curves; empty if there are none."""
    return f"{lacking} of {counted(runs)} have no curves" if lacking else ""


def training(runs: int, of: int, step: int) -> str:
    """Return the part of a caption on runs that still train; empty if there are none.

    Args:
        runs: Number of these runs.
        of: Number of all runs of the figure.
        step: Last step of their curves.
    """
    if not runs:
        return ""
    some = f"{runs} of the {of} runs shown {'is' if runs == 1 else 'are'}"
    every = "the run shown is" if of == 1 else f"all {of} runs shown are"
    begun = some if runs < of else every
    return f"pale lines with a circle at their end: {begun} still training, up to step {step:,}"

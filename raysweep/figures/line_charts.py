"""Charts of lines with bands, dots or marks at their ends, for all kinds of figures with lines."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from raysweep.figures import drawing
from raysweep.figures.drawing import Drawing, Layers, Numbers, PanelChart, Records, Rows
from raysweep.figures.scope import Numbers as Values

FAINT = 0.25  # opacity of the configurations that are not selected
OPACITIES = {"selected": 1.0, "other": FAINT, "stopped early": FAINT}  # by the state of a line
PADDING = 5  # points between the ends of an axis and those of the lines
DOTS = 0.5  # opacity of dots

LARGE = 10_000  # the largest whole number with all its digits beside a tick
TICKS = 5  # of an axis of whole numbers
FINE = {"condition": {"test": "datum.label", "value": 1}, "value": 0.35}  # lines without a label


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Line:
    """Line of one row in a panel.

    Args:
        estimator: Label of the row.
        index: Index of the row in the sweep file.
        x: Positions along x, `T`; a point whose position is NaN is not drawn.
        y: Positions along y, `T`; those of a mean over seeds where there is a band.
        band: Low and high ends of the band, `T` each; None without one.
        count: Number of seeds or runs that the line is over.
        state: `selected`, `provisional`, `training`, or of a configuration that is not selected,
            `other` or `stopped early`.
        run_ids: Ids of the runs that the line is over.
        label: Text in tips, which differs between the lines of a row.
        end: Shape of the mark at the end of the line; empty for none.
    """

    estimator: str
    index: int
    x: NDArray[np.int64] | Values
    y: Values
    band: tuple[Values, Values] | None = None
    count: int = 1
    state: str = "selected"
    run_ids: tuple[str, ...] = ()
    label: str = ""
    end: str = ""

    @property
    def is_other(self) -> bool:
        """Whether the line is of a configuration that is not selected."""
        return self.state in ("other", "stopped early")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """One of the two axes of a panel of lines.

    Args:
        title: Title, in one line or several.
        tip: Name of the position in tips.
        format: Format of the position in tips.
        options: Options of Vega-Lite's axis.
        is_whole: Whether all positions are whole numbers.
        log: Whether the axis is logarithmic.
        limits: Ends of the axis; None for those of the lines.
        is_nice: Whether the axis ends at round numbers, if it is not logarithmic.
    """

    title: str | Sequence[str]
    tip: str
    format: str = ".6g"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_whole: bool = False
    log: bool = False
    limits: tuple[float, float] | None = None
    is_nice: bool = False


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """Panel of lines.

    Args:
        title: Title above the panel: the label of a task.
        lines: Lines, in the order of the sweep file.
        x: Horizontal axis of the panel.
        y: Vertical axis of the panel.
        metric: Name of the metric along y.
        dots: Dots of each row, below the lines.
        step: Side of a value on which the lines change, `before` or `after`; empty for straight
            ones from point to point.
        empty: Text of a panel without lines.
    """

    title: str
    lines: tuple[Line, ...]
    x: Axis
    y: Axis
    metric: str = ""
    dots: tuple[Line, ...] = ()
    step: str = ""
    empty: str = "no curve"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Look of a figure's lines.

    Args:
        width: Width of a line in points.
        opacity: Opacity of a line.
        is_ordered: Whether points are joined in their order, which need not be that of `x`.
        marks_points: Whether all points are marked; otherwise they have tips alone.
        fills_ends: Whether the marks at the ends of lines are filled.
        count: Name of a line's number of seeds or runs in tips; empty to leave it out.
        dots: Name of the position of a dot along y in tips.
    """

    width: float = 1.5
    opacity: float = 1.0
    is_ordered: bool = False
    marks_points: bool = False
    fills_ends: bool = False
    count: str = ""
    dots: str = ""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LineFigure:
    """Panels of lines.

    Args:
        panels: Panels in the order in which they are read.
        rows: Text of each row in the legend, by its index in the sweep file.
        caption: Text that explains the figure.
        numbers: The numbers of the figure as a table.
        look: Look of the lines.
        columns: Number of panels that belong in a row; as many as fit if None.
    """

    panels: tuple[Panel, ...]
    rows: Mapping[int, str]
    caption: str
    numbers: Numbers
    look: Look = Look()
    columns: int | None = None


def rows_of(lines: Sequence[Line]) -> dict[int, str]:
    """Return the texts of rows in a legend, with a `?` where some line is provisional."""
    unsure = {line.index for line in lines if line.state == "provisional"}
    return {i.index: f"{i.estimator}{' (?)' * (i.index in unsure)}" for i in lines}


def lines_drawing(figure: LineFigure) -> Drawing:
    """Return the drawing of panels of lines."""
    rows = Rows(figure.rows)
    titles = {str(panel.x.title) for panel in figure.panels}
    panels = tuple(
        _panel(panel, f"lines-{index}", (rows, figure.look), names_x=len(titles) > 1)
        for index, panel in enumerate(figure.panels)
    )
    return Drawing(panels, figure.caption, figure.numbers, figure.columns, rows.entries)


def _panel(panel: Panel, name: str, about: tuple[Rows, Look], *, names_x: bool) -> PanelChart:
    if not panel.lines and not panel.dots:
        return PanelChart(panel.title, drawing.placeholder(panel.empty), {})
    rows, look = about
    data = {name: _data(panel, panel.lines, rows, look)}
    if panel.dots:
        data[f"{name}-dots"] = _data(panel, panel.dots, rows, Look(opacity=DOTS))

    def draw(x_title: bool, y_title: bool) -> Layers:
        return _chart(name, panel, about, (x_title or names_x, y_title))

    return PanelChart(panel.title, draw, data)


def _data(panel: Panel, lines: Sequence[Line], rows: Rows, look: Look) -> Records:
    """Return the points of lines; the last point of a line has the mark of its end."""
    data: Records = []
    for number, line in enumerate(lines):
        known = np.isfinite(np.asarray(line.x, np.float64))
        if panel.y.log:
            known &= line.y > 0
        columns: dict[str, Any] = {"x": line.x[known], "y": line.y[known]}
        if line.band is not None:
            columns |= {"low": line.band[0][known], "high": line.band[1][known]}
        if look.is_ordered:
            columns["order"] = np.arange(known.sum())
        more = {"n": line.count} if look.count else {}
        points = drawing.records(
            **columns,
            **more,
            **({"label": line.label} if line.label else {}),
            row=rows.texts[line.index],
            line=number,
            state=line.state,
            opacity=look.opacity * OPACITIES.get(line.state, drawing.PALE),
        )
        end = line.end or ("circle" if len(points) == 1 else "")
        if points and end:
            points[-1]["end"] = end
        data += points
    return data


def _chart(name: str, panel: Panel, about: tuple[Rows, Look], titles: tuple[bool, bool]) -> Layers:
    rows, look = about
    x = alt.X("x:Q", **_along(panel.x, panel.lines, titled=titles[0]))
    up = _along(panel.y, panel.lines, titled=titles[1])
    step: dict[str, Any] = {"interpolate": f"step-{panel.step}"} if panel.step else {}
    base = alt.Chart(alt.NamedData(name)).encode(x=x, color=rows.color, detail=alt.Detail("line:N"))
    over = base.encode(y=alt.Y("y:Q", **up), opacity=drawing.opacity())
    line = over.mark_line(**{**drawing.LINE, "strokeWidth": look.width}, **step)
    if look.is_ordered:
        line = line.encode(order=alt.Order("order:Q"))
    ends = over.mark_point(clip=True, size=24, filled=look.fills_ends)
    shape = alt.Shape("end:N", scale=None, legend=None)
    mark = {**drawing.HOVER, "size": 16, "fillOpacity": 1} if look.marks_points else drawing.HOVER
    layers: list[alt.Chart] = []
    if any(line.band is not None for line in panel.lines):
        band = base.mark_area(**drawing.BAND, **step)
        layers.append(band.encode(y=alt.Y("low:Q", **up), y2=alt.Y2("high:Q")))
    if panel.dots:
        dots = alt.Chart(alt.NamedData(f"{name}-dots")).mark_point(clip=True, filled=True, size=14)
        dots = dots.encode(x=x, y=alt.Y("y:Q", **up), color=rows.color, opacity=drawing.opacity())
        tips = _tips(panel, dataclasses.replace(look, count=""), look.dots, has_band=False)
        layers.append(dots.encode(tooltip=tips))
    layers += [
        line.encode(strokeDash=rows.dash),
        ends.transform_filter("datum.end").encode(shape=shape),
    ]
    points = over.mark_point(**mark)
    bands = {line.band is not None for line in panel.lines}
    for with_band in sorted(bands):  # tips name no band where a line has none
        tips = _tips(panel, look, panel.y.tip, has_band=with_band)
        is_shown = "isValid(datum.low)" if with_band else "!isValid(datum.low)"
        part = points.encode(tooltip=tips)
        layers.append(part.transform_filter(is_shown) if len(bands) > 1 else part)
    return Layers(layers, [drawing.zoom(name)])


def _along(axis: Axis, lines: Sequence[Line], *, titled: bool) -> dict[str, Any]:
    """Return the title, scale and axis of a channel."""
    scale = alt.Scale(type=drawing.scale_type(log=axis.log), zero=False, nice=False)
    if axis.limits is not None:
        scale.domain = list(axis.limits)
    elif axis.is_nice and not axis.log:
        scale.nice = True
    else:
        scale.padding = PADDING
    options: dict[str, Any] = {}
    if axis.is_whole:
        # By the number alone: a format would give all ticks the prefix of the last, as in 0.2k.
        ends = [float(end) for line in lines if len(line.x) for end in (line.x[0], line.x[-1])]
        first, last = min(ends, default=0.0), max(ends, default=0.0)
        text = f"format(datum.value, '{',d' if last <= LARGE else '~s'}')"
        options = {"tickCount": TICKS, "tickMinStep": 1, "labelExpr": text}
        if ends and last - first < TICKS - 1:
            # Vega's least step does not keep ticks from 1.5, which would be a second 2.
            options["values"] = list(range(int(first), int(last) + 1))
    elif axis.log and not axis.options:
        options = {"tickCount": 3, "gridOpacity": FINE}
    title = axis.title if titled else None
    return {"title": title, "scale": scale, "axis": alt.Axis(**{**options, **axis.options})}


def _tips(panel: Panel, look: Look, up: str, *, has_band: bool) -> list[alt.Tooltip]:
    lines = (*panel.lines, *panel.dots)
    has_label = any(line.label for line in lines)
    has_states = any(line.state != "selected" for line in lines) or bool(look.count)
    return [
        drawing.row_tip(),
        *([alt.Tooltip("label:N", title=" ")] if has_label else []),
        alt.Tooltip("x:Q", title=panel.x.tip, format=panel.x.format),
        alt.Tooltip("y:Q", title=up, format=panel.y.format),
        *(drawing.band_tips() if has_band else []),
        *([alt.Tooltip("n:Q", title=look.count)] if look.count else []),
        *([alt.Tooltip("state:N", title="state")] if has_states else []),
    ]

"""Layout of a figure: panels in a grid, legend and caption below them, and an exact width."""

import base64
import dataclasses
import re
import warnings
from collections.abc import Mapping
from typing import Any

import altair as alt
import vl_convert

from raysweep.figures.drawing import CHOSEN, Drawing, PanelChart, Records, unvalidated
from raysweep.figures.size import BESIDE, ENTRY, Size, longest, look

SPACING = 14.0  # points between two panels
NARROWEST = 30.0  # points of a panel without its axes
CLOSE = 3.0  # points that a figure may be too narrow before the rest is left blank
PICTURE_PPI = 144  # of a picture in a notebook
EMBEDDING = {"logLevel": 1}  # of a page: errors alone
ROUNDS = 8  # most layouts that are measured to find an exact width
SYMBOL = 34.0  # points of a legend's entry besides its text
VERSION = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])  # of Vega-Lite

Description = dict[str, Any]


@dataclasses.dataclass
class _Fit:
    """Quantities that a layout changes to reach a width.

    Args:
        inner: Width of a panel without its axes, in points, where its relative width is 1.
        legend: Number of entries in a row of the legend.
        caption: Width in which the caption is wrapped, in points.
        beside: Points left blank at the right edge.
    """

    inner: float
    legend: int
    caption: float
    beside: float = 0.0


class Figure(alt.ConcatChart):
    """Chart of a figure, which notebooks and its pages show without a network."""

    def save(self, *file: Any, **options: Any) -> None:
        """Write the chart as Altair does; an HTML page has its programs inside (`inline`)."""
        path = file[0] if file else options.get("fp")
        kind = file[1] if len(file) > 1 else options.get("format")
        is_page = str(kind or path).lower().endswith("html")
        in_page = {"inline": True, "embed_options": EMBEDDING} if is_page else {}
        super().save(*file, **{**in_page, **options})

    def _repr_mimebundle_(self, *_args: Any, **_options: Any) -> dict[str, Any]:
        """Return the description, for notebooks that draw it, and a picture for all others."""
        description = describe(self)
        picture = vl_convert.vegalite_to_png(
            still(description), vl_version=VERSION, ppi=PICTURE_PPI
        )
        return {
            "text/plain": f"{len(description['concat'])} panels",
            f"application/vnd.vegalite.v{VERSION.partition('.')[0]}+json": description,
            "image/png": base64.b64encode(picture).decode(),
        }


def compose(drawing: Drawing, size: Size, *, caption: bool = True) -> Figure:
    """Return a figure as one chart, with its data; it is exactly as wide as its size says.

    Args:
        drawing: Panels and caption.
        size: Size of the figure.
        caption: Whether to write the caption below the figure.
    """
    columns = _columns(drawing, size)
    target = size.total(columns)
    data = {name: rows for panel in drawing.panels for name, rows in panel.data.items()}
    fit = _first(drawing, size, columns, target)
    with unvalidated():
        chart = _composed(drawing, columns)
    shown = drawing if caption else dataclasses.replace(drawing, caption="")
    if size.width is None:
        _apply(chart, shown, (size, columns), fit)
    else:
        _fit(chart, shown, (size, columns, target), fit, data)
    chart.datasets = data
    return chart


def describe(chart: Figure) -> Description:
    """Return the Vega-Lite description of a composed figure."""
    data, chart.datasets = chart.datasets, alt.Undefined
    try:
        return _with_data(chart, data)
    finally:
        chart.datasets = data


def _with_data(chart: Figure, data: Mapping[str, Records]) -> Description:
    """Return the description of a chart that has no data yet."""
    with alt.theme.enable("none"):  # whichever the user has
        description: Description = chart.to_dict(validate=False)
    # In the middle, as captions are; Vega-Lite passes it on, but Altair knows no such option.
    description["config"]["legend"]["layout"] = {"bottom": {"anchor": "middle"}}
    return {**description, "datasets": {**description.get("datasets", {}), **data}}


def chart_of(description: Description) -> Figure:
    """Return the chart of a description that `describe` made."""
    config = dict(description["config"])
    config["legend"] = {name: value for name, value in config["legend"].items() if name != "layout"}
    known = {name: value for name, value in description.items() if name != "datasets"}
    chart = Figure.from_dict({**known, "config": config}, validate=False)
    chart.datasets = description["datasets"]
    return chart


def still(description: Description) -> Description:
    """Return the description of a picture, which needs no points that have tips alone."""
    panels = [
        {**panel, "layer": [part for part in panel["layer"] if not _is_invisible(part["mark"])]}
        if "layer" in panel
        else panel
        for panel in description["concat"]
    ]
    return {**description, "concat": panels}


def _is_invisible(mark: Mapping[str, Any]) -> bool:
    return mark.get("fillOpacity") == 0 and "stroke" not in mark


def panel_height(width: float, size: Size) -> float:
    """Return the height of a panel of lines, in points; narrow ones are squarer."""
    if size.width is None:
        return width * 0.6
    return width * (0.5 if width > 300 else 0.58 if width > 180 else 0.68 if width > 110 else 0.8)


def _columns(drawing: Drawing, size: Size) -> int:
    """Return the number of panels in a row: as many as are legible."""
    columns = size.columns_for(len(drawing.panels))
    if drawing.columns is not None:
        columns = min(drawing.columns, columns)
    while columns > 1 and _inner(drawing, columns, size.total(columns)) < drawing.narrowest:
        columns -= 1
    if drawing.columns is None and columns > 1:  # the last row is nearly full
        return dataclasses.replace(size, panels=columns).columns_for(len(drawing.panels))
    return columns


def _inner(drawing: Drawing, columns: int, target: float) -> float:
    """Return the width of a panel of relative width 1, before it is measured."""
    room = target - columns * BESIDE - (columns - 1) * SPACING
    return room / sum(_widths(drawing, columns))


def _first(drawing: Drawing, size: Size, columns: int, target: float) -> _Fit:
    widths = _widths(drawing, columns)
    inner = _inner(drawing, columns, target)
    if size.width is None:
        inner = min(inner, drawing.widest)
    texts = [text[:ENTRY] for _, text in drawing.rows]
    entries = int(target // (longest(texts, size.font) + SYMBOL)) if texts else 1
    return _Fit(max(NARROWEST / min(widths), inner), _even(len(texts), entries), target - 8)


def _even(count: int, most: int) -> int:
    """Return the number of entries in a row that makes all rows of the legend nearly full."""
    most = max(1, min(most, count))
    rows = -(-count // most) or 1
    return -(-count // rows) or 1


def _widths(drawing: Drawing, columns: int) -> list[float]:
    """Return the relative width of each column of panels."""
    panels = drawing.panels
    return [max(p.width for p in panels[first::columns]) for first in range(columns)]


def _fit(
    chart: Figure,
    drawing: Drawing,
    wanted: tuple[Size, int, float],
    fit: _Fit,
    data: Mapping[str, Records],
) -> None:
    """Give a chart the rendered width that is wanted: render, measure, correct."""
    size, columns, target = wanted
    weights = sum(_widths(drawing, columns))
    former: float | None = None
    for _ in range(ROUNDS):
        _apply(chart, drawing, (size, columns), fit)
        excess = _measured(chart, data) - target
        if -CLOSE <= excess <= 0:  # widths come out as whole numbers; the rest is left blank
            fit.beside = -excess
            _apply(chart, drawing, (size, columns), fit)
            return
        if former is not None and excess > 0 and abs(excess - former) < 0.5:
            # Narrower panels did not help: the legend or the caption is too wide.
            if fit.legend > 1:
                fit.legend = _even(len(drawing.rows), fit.legend - 1)
            fit.caption *= 0.95
        former = excess
        fit.inner = max(NARROWEST / weights, fit.inner - (excess + CLOSE / 2) / weights)


def _measured(chart: Figure, data: Mapping[str, Records]) -> float:
    """Return the width of a rendered chart, in points."""
    svg = vl_convert.vegalite_to_svg(still(_with_data(chart, data)), vl_version=VERSION)
    match = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
    return float(match[1]) if match else 0.0


def _placed(drawing: Drawing, columns: int) -> list[PanelChart | None]:
    """Return the panels row by row; None where the panels of the next metric begin a new row."""
    per_block = drawing.columns or len(drawing.panels)
    placed: list[PanelChart | None] = []
    for index, panel in enumerate(drawing.panels):
        if index % per_block == 0:
            placed += [None] * (-len(placed) % columns)
        placed.append(panel)
    return placed


def _composed(drawing: Drawing, columns: int) -> Figure:
    """Return the panels as one chart, without sizes."""
    per_block = drawing.columns or len(drawing.panels)
    charts: list[alt.Chart | alt.LayerChart | alt.FacetChart] = []
    index = 0
    for panel in _placed(drawing, columns):
        if panel is None:
            charts.append(alt.Chart(alt.InlineData(values=[])).mark_point())
            continue
        in_block = index % per_block
        layers = panel.draw(in_block + columns >= per_block, in_block % columns == 0)
        charts.append(layers.chart())
        index += 1
    with warnings.catch_warnings():
        # Panels share the selection of rows, which is what Altair warns of.
        warnings.filterwarnings("ignore", "Automatically deduplicated")
        chart = Figure(concat=charts, columns=columns, spacing=SPACING, align="each")
        if drawing.rows:
            chart = chart.add_params(CHOSEN)
        return chart.resolve_scale(
            color="shared", strokeDash="shared", shape="shared", opacity="shared"
        )


def _apply(chart: Figure, drawing: Drawing, wanted: tuple[Size, int], fit: _Fit) -> None:
    """Give a chart the sizes of a layout, its look and its caption."""
    size, columns = wanted
    highest = 0.0
    for panel, part in zip(_placed(drawing, columns), chart.concat, strict=True):
        if panel is None:
            part.width = part.height = 1
            continue
        part.width = panel.width * fit.inner
        height = panel.height if panel.height is not None else panel_height(part.width, size)
        part.height = height
        highest = max(highest, height)
        part.title = size.wrapped(panel.title, part.width + BESIDE / 2)
    chart.config = look(size, columns=fit.legend, beside=fit.beside, height=highest)
    if drawing.caption:
        chart.title = alt.TitleParams(
            text=size.wrapped(drawing.caption, fit.caption, size.small),
            orient="bottom",
            anchor="middle",
            frame="bounds",
            fontSize=size.small,
            offset=8,
        )

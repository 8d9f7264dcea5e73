"""Draws parallel coordinates."""

import itertools
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.axes import Axis
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.parallel import ParallelFigure, ParallelPanel
from raysweep.figures.sizes import Size, plain

NOWHERE = -0.14  # on an axis: where lines pass whose configuration has no such setting
PALEST = 0.92  # of viridis: its last yellow is lost on white


def draw_parallel(what: ParallelFigure, size: Size) -> Figure:
    """A panel for each task and estimator."""
    most = max(len(panel.axes) for panel in what.panels)
    wanted = 1.1 + 0.85 * (most - 1) if size.width is None else 0.6 + 0.5 * (most - 1)
    columns = size.columns_for(len(what.panels))
    while columns > 1 and columns * wanted > (size.width or 12.0):
        columns -= 1
    rows = -(-len(what.panels) // columns)
    width = size.width or max(5.4, columns * wanted)
    one = width / columns
    caption = size.wrapped(_caption(what), width)
    titles = [_title(what, panel, one, size) for panel in what.panels]
    turned = _names_are_turned(what, one / most, size)
    longest = max(len(axis.name) for panel in what.panels for axis in panel.axes)
    below = 0.1 + (longest * size.label * 0.55 if turned else 2 * size.line)
    lines = 1 + max(title.count("\n") for title in titles)
    deep = (2.3 if size.width is None else 1.5) + below + lines * size.line
    height = rows * deep + size.line * (caption.count("\n") + 1) + 0.1
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for place, panel in enumerate(what.panels):
        own = axes[divmod(place, columns)]
        _panel(own, panel, size, turned=turned)
        own.set_title(titles[place])
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _title(what: ParallelFigure, panel: ParallelPanel, width: float, size: Size) -> str:
    name = f"{panel.estimator} · {panel.task}" if what.tasks > 1 else panel.estimator
    return size.titled(name + (" ?" if panel.provisional else ""), width - 0.4)


def _names_are_turned(what: ParallelFigure, spacing: float, size: Size) -> bool:
    """Whether names of axes side by side would touch."""
    names = [_name(axis.name) for panel in what.panels for axis in panel.axes]
    longest = max(len(line) for name in names for line in name.split("\n"))
    return longest * size.label + 0.05 > spacing


def _name(name: str) -> str:
    """The name in two lines if it is long and has a place to break."""
    head, mark, tail = name.rpartition("_")
    return f"{head}{mark}\n{tail}" if len(name) > 10 and mark else name


def _panel(axes: Axes, panel: ParallelPanel, size: Size, *, turned: bool) -> None:
    colours = _colours()
    across = np.arange(len(panel.axes), dtype=np.float64)
    heights = np.where(np.isnan(panel.places), NOWHERE, panel.places)
    lines = [np.column_stack([across, own]) for own in heights]
    shades = [
        (*colours(score)[:3], _opacity(place, len(lines)))
        for place, score in enumerate(panel.scores)
    ]
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.9, zorder=2))
    if panel.selected is not None:
        own = heights[panel.selected]
        axes.plot(across, own, color="black", linewidth=3.4, zorder=3)
        axes.plot(across, own, color=colours(panel.scores[panel.selected]), linewidth=2, zorder=3)
    for place, axis in enumerate(panel.axes):
        missing = bool(np.isnan(panel.places[:, place]).any())
        shown = axis if lines else Axis(axis.name, ())
        _axis(axes, place, shown, size, missing=missing, last=place == len(panel.axes) - 1)
    _bar(axes, len(panel.axes) - 1, colours)
    axes.set_xlim(-0.35, len(panel.axes) - 0.9)
    axes.set_ylim(NOWHERE - 0.06 if np.isnan(panel.places).any() else -0.04, 1.04)
    axes.set_xticks(
        across,
        [plain(axis.name if turned else _name(axis.name)) for axis in panel.axes],
        rotation=30 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor" if turned else "default",
    )
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if not lines:
        axes.text(
            0.5,
            0.5,
            "no configuration yet",
            ha="center",
            va="center",
            color="#777777",
            transform=axes.transAxes,
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )


def _colours() -> Colormap:
    shades = matplotlib.colormaps["viridis"](np.linspace(0, PALEST, 256))
    return LinearSegmentedColormap.from_list("lines", shades)


def _opacity(place: int, count: int) -> float:
    """Of a line among others, the worst first: the more there are, the fewer stand out."""
    rank = (place + 1) / count
    return 0.25 + 0.65 * rank**2 if count <= 50 else 0.1 + 0.8 * rank**8


def _bar(axes: Axes, place: int, colours: Colormap) -> None:
    """The colours along the metric's axis."""
    ends = np.linspace(0, 1, 129)
    strips: Any = [[(place, low), (place, high)] for low, high in itertools.pairwise(ends)]
    shades = [colours(middle) for middle in (ends[:-1] + ends[1:]) / 2]
    axes.add_collection(
        LineCollection(strips, colors=shades, linewidths=4, zorder=4, capstyle="projecting")
    )


def _axis(axes: Axes, place: int, axis: Axis, size: Size, *, missing: bool, last: bool) -> None:
    axes.plot([place, place], [0, 1], color="#444444", linewidth=0.8, zorder=4)
    ticks = [*axis.ticks, (NOWHERE, "–")] if missing else axis.ticks
    for height, label in ticks:
        axes.annotate(
            plain(label),
            (place, height),
            (4, 0) if last else (-3, 0),
            textcoords="offset points",
            ha="left" if last else "right",
            va="center",
            fontsize=size.small - 0.5,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )


def _caption(what: ParallelFigure) -> str:
    most = max(panel.found for panel in what.panels)
    shown = max(len(panel.scores) for panel in what.panels)
    chosen = f", selected by {what.select}" if what.select != what.metric else ""
    name = style.axis_label(what.metric, what.unit)
    return style.sentence(
        [
            f"{what.sweep}: a line for each configuration that ended well{chosen}, its "
            f"mean {name} over seeds last",
            f"the best {shown} of up to {most:,}" if most > shown else "",
            "brighter and higher is better, on a scale for each task",
            "outlined: selected",
            "–: does not apply" if any(np.isnan(p.places).any() for p in what.panels) else "",
            "?: provisional, seeds are missing" if any(p.provisional for p in what.panels) else "",
        ]
    )

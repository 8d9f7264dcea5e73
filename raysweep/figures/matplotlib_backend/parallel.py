"""Parallel coordinates, drawn with matplotlib."""

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
from raysweep.figures.style import ShownFigure

ABSENT = -0.14  # position on an axis of lines whose configuration lacks the setting
PALEST = 0.92  # end of the part of viridis that is used: its last yellow is lost on white


def draw_parallel(prepared: ParallelFigure, size: Size) -> Figure:
    """Draw a panel for each task and estimator."""
    most = max(len(panel.axes) for panel in prepared.panels)
    least_width = 1.1 + 0.85 * (most - 1) if size.width is None else 0.6 + 0.5 * (most - 1)
    columns = size.columns_for(len(prepared.panels))
    while columns > 1 and columns * least_width > (size.width or 12.0):
        columns -= 1
    rows = -(-len(prepared.panels) // columns)
    width = size.width or max(5.4, columns * least_width)
    panel_width = width / columns
    caption = size.wrapped(_caption(prepared), width)
    titles = [_title(prepared, panel, panel_width, size) for panel in prepared.panels]
    turned = _names_are_turned(prepared, panel_width / most, size)
    longest = max(len(axis.name) for panel in prepared.panels for axis in panel.axes)
    below = 0.1 + (longest * size.label * 0.55 if turned else 2 * size.line)
    lines = 1 + max(title.count("\n") for title in titles)
    row_height = (2.3 if size.width is None else 1.5) + below + lines * size.line
    height = rows * row_height + size.line * (caption.count("\n") + 1) + 0.1
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, panel in enumerate(prepared.panels):
        panel_axes = axes[divmod(index, columns)]
        _panel(panel_axes, panel, size, turned=turned)
        panel_axes.set_title(titles[index])
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _title(prepared: ParallelFigure, panel: ParallelPanel, width: float, size: Size) -> str:
    name = f"{panel.estimator} · {panel.task}" if prepared.tasks > 1 else panel.estimator
    return size.titled(name + (" ?" if panel.provisional else ""), width - 0.4)


def _names_are_turned(prepared: ParallelFigure, spacing: float, size: Size) -> bool:
    """Return whether names of axes side by side would touch."""
    names = [_name(axis.name) for panel in prepared.panels for axis in panel.axes]
    longest = max(len(line) for name in names for line in name.split("\n"))
    return longest * size.label + 0.05 > spacing


def _name(name: str) -> str:
    """Return the name in two lines if it is long and has an underscore to break after."""
    head, mark, tail = name.rpartition("_")
    return f"{head}{mark}\n{tail}" if len(name) > 10 and mark else name


def _panel(axes: Axes, panel: ParallelPanel, size: Size, *, turned: bool) -> None:
    colours = _colours()
    across = np.arange(len(panel.axes), dtype=np.float64)
    heights = np.where(np.isnan(panel.positions), ABSENT, panel.positions)
    lines = [np.column_stack([across, height]) for height in heights]
    shades = [
        (*colours(score)[:3], _opacity(index, len(lines)))
        for index, score in enumerate(panel.scores)
    ]
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.9, zorder=2))
    if panel.selected is not None:
        height, shade = heights[panel.selected], colours(panel.scores[panel.selected])
        axes.plot(across, height, color="black", linewidth=3.4, zorder=3)
        axes.plot(across, height, color=shade, linewidth=2, zorder=3)
    for index, axis in enumerate(panel.axes):
        missing = bool(np.isnan(panel.positions[:, index]).any())
        shown = axis if lines else Axis(axis.name, ())
        _axis(axes, index, shown, size, missing=missing, last=index == len(panel.axes) - 1)
    _bar(axes, len(panel.axes) - 1, colours)
    axes.set_xlim(-0.35, len(panel.axes) - 0.9)
    axes.set_ylim(ABSENT - 0.06 if np.isnan(panel.positions).any() else -0.04, 1.04)
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


def _opacity(index: int, count: int) -> float:
    """Return the opacity of a line among `count`, the worst first.

    The more lines there are, the fewer are prominent.
    """
    rank = (index + 1) / count
    return 0.25 + 0.65 * rank**2 if count <= 50 else 0.1 + 0.8 * rank**8


def _bar(axes: Axes, index: int, colours: Colormap) -> None:
    """Draw the colours along the metric's axis."""
    ends = np.linspace(0, 1, 129)
    strips: Any = [[(index, low), (index, high)] for low, high in itertools.pairwise(ends)]
    shades = [colours(middle) for middle in (ends[:-1] + ends[1:]) / 2]
    axes.add_collection(
        LineCollection(strips, colors=shades, linewidths=4, zorder=4, capstyle="projecting")
    )


def _axis(axes: Axes, index: int, axis: Axis, size: Size, *, missing: bool, last: bool) -> None:
    axes.plot([index, index], [0, 1], color="#444444", linewidth=0.8, zorder=4)
    ticks = [*axis.ticks, (ABSENT, "–")] if missing else axis.ticks
    for height, label in ticks:
        axes.annotate(
            plain(label),
            (index, height),
            (4, 0) if last else (-3, 0),
            textcoords="offset points",
            ha="left" if last else "right",
            va="center",
            fontsize=size.small - 0.5,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )


def _caption(prepared: ParallelFigure) -> str:
    most = max(panel.configurations for panel in prepared.panels)
    shown = max(len(panel.scores) for panel in prepared.panels)
    chosen = f", selected by {prepared.select}" if prepared.select != prepared.metric else ""
    name = style.axis_label(prepared.metric, prepared.unit)
    absent = any(np.isnan(panel.positions).any() for panel in prepared.panels)
    provisional = any(panel.provisional for panel in prepared.panels)
    return style.sentence(
        [
            f"{prepared.sweep}: a line for each configuration that ended well{chosen}, its "
            f"mean {name} over seeds last",
            f"the best {shown} of up to {most:,}" if most > shown else "",
            "brighter and higher is better, on a scale for each task",
            "outlined: selected",
            "–: does not apply" if absent else "",
            "?: provisional, seeds are missing" if provisional else "",
        ]
    )

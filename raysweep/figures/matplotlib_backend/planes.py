"""Draws heatmaps over two settings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from raysweep.figures.heatmaps import HeatmapFigure
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.matplotlib_backend.cells import (
    GAP,
    Layout,
    draw_cells,
    heatmap_caption,
    label_columns,
)
from raysweep.figures.matplotlib_backend.heatmaps import draw_heatmap
from raysweep.figures.planes import Plane, PlanesFigure
from raysweep.figures.sizes import Size, plain
from raysweep.results.bins import ABSENT

EMPTY = ListedColormap(["#f0f0f0"])  # where no configuration ended well
LOWEST = 0.17  # inches that a cell is high on paper
LETTERS = 12  # of an axis' name to an inch


def draw_any_heatmap(what: HeatmapFigure | PlanesFigure, size: Size) -> Figure:
    """A heatmap over one setting or two."""
    return draw_heatmap(what, size) if isinstance(what, HeatmapFigure) else draw_planes(what, size)


def draw_planes(what: PlanesFigure, size: Size) -> Figure:
    """A panel for each task and estimator, the first value of each setting at the lower left."""
    longest = max(len(column.label) for panel in what.panels for column in panel.x)
    beside = 0.15 + size.label * max(len(row.label) for panel in what.panels for row in panel.y)
    cells = Layout.of(
        [len(panel.x) for panel in what.panels],
        [(panel.means, panel.provisional) for panel in what.panels],
        [column.label for panel in what.panels for column in panel.x],
        size,
        (size.line, beside),
    )
    rows = -(-len(what.panels) // cells.columns)
    width = size.width or max(
        3.6, sum(cells.widths) * cells.width + (GAP + beside) * cells.columns + size.line
    )
    caption = size.wrapped(_caption(what), width)
    titles = [_title(what, panel, cells, size) for panel in what.panels]
    below = 0.2 + size.line + (longest * size.label * 0.72 if cells.turned else size.line)
    deep = 0.3 if size.width is None else min(0.28, max(LOWEST, cells.width * 0.8))
    heights = _heights([len(panel.y) for panel in what.panels], cells.columns)
    lines = 1 + max(title.count("\n") for title in titles)
    labelled = _labelled(what.panels, cells.columns)
    deep_labels = len({place // cells.columns for place in labelled}) * below
    height = sum(heights) * deep + deep_labels + rows * (lines * size.line + 0.1)
    figure = Figure(
        figsize=(width, height + size.line * (caption.count("\n") + 1) + 0.1), layout="constrained"
    )
    axes = figure.subplots(
        rows, cells.columns, squeeze=False, width_ratios=cells.widths, height_ratios=heights
    )
    for place, panel in enumerate(what.panels):
        row, column = divmod(place, cells.columns)
        own = axes[row, column]
        _panel(own, panel, cells, labelled=place in labelled)
        own.set_xlim(0, cells.widths[column])
        own.set_ylim(0, heights[row])
        own.set_title(titles[place], x=len(panel.x) / cells.widths[column] / 2)
        _name_axes(own, what, place, cells)
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _labelled(planes: Sequence[Plane], columns: int) -> set[int]:
    """The panels with labels below: not those above one that has the same."""
    below = zip(planes, planes[columns:], strict=False)
    same = {place for place, (own, other) in enumerate(below) if own.x == other.x}
    return set(range(len(planes))) - same


def _heights(counts: Sequence[int], columns: int) -> list[int]:
    """Layout up each row of panels."""
    return [max(counts[first : first + columns]) for first in range(0, len(counts), columns)]


def _title(what: PlanesFigure, panel: Plane, cells: Layout, size: Size) -> str:
    name = f"{panel.estimator} · {panel.task}" if len(what.tasks) > 1 else panel.estimator
    return size.titled(name, len(panel.x) * cells.width + 0.3)


def _name_axes(axes: Axes, what: PlanesFigure, place: int, cells: Layout) -> None:
    panel = what.panels[place]
    x, y = (plain(setting.partition(".")[2]) for setting in what.settings)
    if axes.get_xticklabels()[0].get_text() not in ("", ABSENT):
        across = cells.widths[place % cells.columns]
        axes.set_xlabel(x, x=len(panel.x) / across / 2)
    if place % cells.columns == 0 and len(panel.y) * LOWEST * LETTERS >= len(y):
        axes.set_ylabel(y)


def _panel(axes: Axes, panel: Plane, cells: Layout, *, labelled: bool) -> None:
    axes.pcolormesh(np.zeros(panel.means.shape), cmap=EMPTY, edgecolors="white", linewidth=1.5)
    draw_cells(axes, (panel.means, panel.provisional), panel.scores, cells)
    axes.invert_yaxis()  # a setting goes up
    labels = [column.label for column in panel.x]
    label_columns(axes, labels if labelled else [""] * len(labels), turned=cells.turned)
    axes.set_yticks(np.arange(len(panel.y)) + 0.5, [plain(row.label) for row in panel.y])
    if panel.selected is not None:
        row, column = panel.selected
        for colour, line in (("white", 3.4), ("#D00000", 1.6)):
            axes.add_patch(
                Rectangle(
                    (column + 0.03, row + 0.03),
                    0.94,
                    0.94,
                    fill=False,
                    edgecolor=colour,
                    linewidth=line,
                    zorder=4,
                )
            )


def _caption(what: PlanesFigure) -> str:
    outlined = "outlined: selected" if any(panel.selected for panel in what.panels) else ""
    return heatmap_caption(what, " and ".join(what.settings), outlined)

"""Heatmaps over two settings, drawn with matplotlib."""

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
from raysweep.figures.sizes import Size, plain
from raysweep.figures.style import ShownFigure
from raysweep.figures.two_setting_heatmaps import TwoSettingHeatmapFigure, TwoSettingHeatmapPanel

EMPTY = ListedColormap(["#f0f0f0"])  # for cells without a successful configuration
LOWEST = 0.17  # least height of a cell on paper, in inches
LETTERS = 12  # letters of an axis' name in an inch


def draw_any_heatmap(prepared: HeatmapFigure | TwoSettingHeatmapFigure, size: Size) -> Figure:
    """Draw a heatmap over one setting or two."""
    if isinstance(prepared, HeatmapFigure):
        return draw_heatmap(prepared, size)
    return draw_two_setting_heatmap(prepared, size)


def draw_two_setting_heatmap(prepared: TwoSettingHeatmapFigure, size: Size) -> Figure:
    """Draw a panel for each task and estimator, with the first values at the lower left."""
    longest = max(len(column.label) for panel in prepared.panels for column in panel.x)
    beside = 0.15 + size.label * max(len(row.label) for panel in prepared.panels for row in panel.y)
    cells = Layout.of(
        [len(panel.x) for panel in prepared.panels],
        [(panel.means, panel.provisional) for panel in prepared.panels],
        [column.label for panel in prepared.panels for column in panel.x],
        size,
        (size.line, beside),
    )
    rows = -(-len(prepared.panels) // cells.columns)
    width = size.width or max(
        3.6, sum(cells.widths) * cells.width + (GAP + beside) * cells.columns + size.line
    )
    caption = size.wrapped(_caption(prepared), width)
    titles = [_title(prepared, panel, cells, size) for panel in prepared.panels]
    below = 0.2 + size.line + (longest * size.label * 0.72 if cells.turned else size.line)
    row_height = 0.3 if size.width is None else min(0.28, max(LOWEST, cells.width * 0.8))
    heights = _heights([len(panel.y) for panel in prepared.panels], cells.columns)
    lines = 1 + max(title.count("\n") for title in titles)
    labelled = _labelled(prepared.panels, cells.columns)
    label_heights = len({index // cells.columns for index in labelled}) * below
    height = sum(heights) * row_height + label_heights + rows * (lines * size.line + 0.1)
    figure = ShownFigure(
        figsize=(width, height + size.line * (caption.count("\n") + 1) + 0.1), layout="constrained"
    )
    axes = figure.subplots(
        rows, cells.columns, squeeze=False, width_ratios=cells.widths, height_ratios=heights
    )
    for index, panel in enumerate(prepared.panels):
        row, column = divmod(index, cells.columns)
        panel_axes = axes[row, column]
        _panel(panel_axes, panel, cells, labelled=index in labelled)
        panel_axes.set_xlim(0, cells.widths[column])
        panel_axes.set_ylim(0, heights[row])
        panel_axes.set_title(titles[index], x=len(panel.x) / cells.widths[column] / 2)
        _name_axes(panel_axes, prepared, index, cells)
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _labelled(heatmaps: Sequence[TwoSettingHeatmapPanel], columns: int) -> set[int]:
    """Return the indices of the panels with labels below, without those above the same labels."""
    pairs = zip(heatmaps, heatmaps[columns:], strict=False)
    same = {index for index, (above, below) in enumerate(pairs) if above.x == below.x}
    return set(range(len(heatmaps))) - same


def _heights(counts: Sequence[int], columns: int) -> list[int]:
    """Return the number of cells up each row of panels."""
    return [max(counts[first : first + columns]) for first in range(0, len(counts), columns)]


def _title(
    prepared: TwoSettingHeatmapFigure, panel: TwoSettingHeatmapPanel, cells: Layout, size: Size
) -> str:
    name = f"{panel.estimator} · {panel.task}" if len(prepared.tasks) > 1 else panel.estimator
    return size.titled(name, len(panel.x) * cells.width + 0.3)


def _name_axes(axes: Axes, prepared: TwoSettingHeatmapFigure, index: int, cells: Layout) -> None:
    panel = prepared.panels[index]
    x, y = (plain(setting.partition(".")[2]) for setting in prepared.settings)
    if axes.get_xticklabels()[0].get_text():
        across = cells.widths[index % cells.columns]
        axes.set_xlabel(x, x=len(panel.x) / across / 2)
    if index % cells.columns == 0 and len(panel.y) * LOWEST * LETTERS >= len(y):
        axes.set_ylabel(y)


def _panel(axes: Axes, panel: TwoSettingHeatmapPanel, cells: Layout, *, labelled: bool) -> None:
    axes.pcolormesh(np.zeros(panel.means.shape), cmap=EMPTY, edgecolors="white", linewidth=1.5)
    draw_cells(axes, (panel.means, panel.provisional), panel.scores, cells)
    axes.invert_yaxis()  # a setting increases upwards, unlike the rows of tasks
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


def _caption(prepared: TwoSettingHeatmapFigure) -> str:
    outlined = "outlined: selected" if any(panel.selected for panel in prepared.panels) else ""
    return heatmap_caption(prepared, " and ".join(prepared.settings), outlined)

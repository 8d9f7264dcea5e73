"""Heatmaps over one setting, drawn with matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures.heatmaps import HeatmapFigure, HeatmapPanel
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.matplotlib_backend.cells import (
    GAP,
    Layout,
    draw_cells,
    heatmap_caption,
    label_columns,
)
from raysweep.figures.sizes import Size, plain
from raysweep.figures.style import ShownFigure

TASK_WIDTH = 2.2  # inches that a task's label may take beside a heatmap, on a screen


def draw_heatmap(prepared: HeatmapFigure, size: Size) -> Figure:
    """Draw a panel for each estimator, with a row for each task."""
    widest = TASK_WIDTH if size.width is None else size.width * 0.3
    tasks = [size.wrapped(task, widest) for task in prepared.tasks]
    labels = 0.2 + (size.label + 0.002) * max(len(line) for t in tasks for line in t.split("\n"))
    cells = Layout.of(
        [len(panel.columns) for panel in prepared.panels],
        [(panel.means, panel.provisional) for panel in prepared.panels],
        [column.label for panel in prepared.panels for column in panel.columns],
        size,
        (labels, 0.0),
    )
    rows = -(-len(prepared.panels) // cells.columns)
    width = size.width or max(3.6, labels + sum(cells.widths) * cells.width + GAP * cells.columns)
    row_height = max(0.34, 0.06 + size.line * 0.72 * (1 + max(task.count("\n") for task in tasks)))
    height = rows * (row_height * len(tasks) + (1.15 if cells.turned else 0.75))
    caption = size.wrapped(heatmap_caption(prepared, prepared.setting), width)
    height += 0.9 * size.line * (caption.count("\n") + 1) + 0.1
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, cells.columns, squeeze=False, width_ratios=cells.widths)
    for index, panel in enumerate(prepared.panels):
        panel_axes, column = axes[divmod(index, cells.columns)], index % cells.columns
        _panel(panel_axes, panel, tasks if column == 0 else [""] * len(tasks), cells)
        panel_axes.set_xlim(0, cells.widths[column])
        middle = len(panel.columns) / cells.widths[column] / 2
        inches = len(panel.columns) * cells.width
        panel_axes.set_title(size.wrapped(panel.estimator, inches + 0.3), x=middle)
        name = prepared.setting.partition(".")[2]
        if len(name) * (size.label + 0.004) <= inches:
            panel_axes.set_xlabel(plain(name), x=middle)
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _panel(axes: Axes, panel: HeatmapPanel, tasks: list[str], cells: Layout) -> None:
    draw_cells(axes, (panel.means, panel.provisional), panel.scores, cells)
    label_columns(axes, [column.label for column in panel.columns], turned=cells.turned)
    axes.set_yticks(np.arange(len(tasks)) + 0.5, tasks)

"""Draws heatmaps."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.results.figures import style
from raysweep.results.figures.drawing import panels
from raysweep.results.figures.heatmaps import ABSENT, HeatmapFigure, HeatmapPanel

TASK_WIDTH = 2.2  # inches that a task's label may take beside a heatmap


def draw_heatmap(what: HeatmapFigure) -> Figure:
    """A panel for each estimator, tasks below each other."""
    texts = [_cell_text(mean, mark) for p in what.panels for mean, mark in _entries(p)]
    cell = 0.16 + 0.066 * max(map(len, texts))
    tasks = [style.wrapped(task, TASK_WIDTH) for task in what.tasks]
    labels = 0.2 + 0.068 * max(len(line) for task in tasks for line in task.split("\n"))
    columns, widths = _heatmap_columns([len(panel.columns) for panel in what.panels], cell)
    rows = -(-len(what.panels) // columns)
    turned = _labels_are_turned(what, cell)
    width = max(3.6, labels + sum(widths) * cell + 0.2 * columns)
    height = rows * (0.34 * len(what.tasks) + (1.15 if turned else 0.75))
    caption = style.wrapped(_heatmap_caption(what), width)
    figure = Figure(
        figsize=(width, height + 0.18 * (caption.count("\n") + 1) + 0.1), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
    for place, panel in enumerate(what.panels):
        own, column = axes[divmod(place, columns)], place % columns
        _heatmap_panel(own, panel, tasks if column == 0 else [""] * len(tasks), turned)
        own.set_xlim(0, widths[column])
        middle, inches = len(panel.columns) / widths[column] / 2, len(panel.columns) * cell
        own.set_title(style.wrapped(panel.estimator, inches + 0.3), x=middle)
        name = what.setting.partition(".")[2]
        if panel.columns[0].label != ABSENT and len(name) * 0.07 <= inches:
            own.set_xlabel(style.plain(name), x=middle)
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=style.FONT - 1)
    return figure


def _heatmap_columns(counts: list[int], cell: float) -> tuple[int, list[int]]:
    """How many panels stand in a row of at most 12 inches, and how wide each column's are."""
    for columns in range(style.columns_for(len(counts)), 0, -1):
        widths = [max(counts[first::columns]) for first in range(columns)]
        if sum(widths) * cell <= 10.5:
            break
    return columns, widths


def _heatmap_panel(axes: Axes, panel: HeatmapPanel, tasks: list[str], turned: bool) -> None:
    colours = matplotlib.colormaps["viridis"]
    axes.pcolormesh(
        np.ma.masked_invalid(panel.scores),
        cmap=colours,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=1.5,
    )
    axes.invert_yaxis()
    for place, (mean, mark) in enumerate(_entries(panel)):
        row, column = divmod(place, len(panel.columns))
        if not np.isfinite(mean):
            continue
        red, green, blue, _ = colours(panel.scores[row, column])
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        axes.text(
            column + 0.5,
            row + 0.5,
            _cell_text(mean, mark),
            ha="center",
            va="center",
            fontsize=style.FONT - 1,
            color="black" if is_light else "white",
        )
    axes.set_xticks(
        np.arange(len(panel.columns)) + 0.5,
        [style.plain(column.label) for column in panel.columns],
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(np.arange(len(tasks)) + 0.5, tasks)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _labels_are_turned(what: HeatmapFigure, cell: float) -> bool:
    longest = max(len(column.label) for panel in what.panels for column in panel.columns)
    return longest * 0.066 + 0.06 > cell


def _entries(panel: HeatmapPanel) -> list[tuple[float, bool]]:
    """Each cell's mean and whether it is provisional, row by row."""
    flags = [flag for row in panel.provisional for flag in row]
    return list(zip(panel.means.ravel().tolist(), flags, strict=True))


def _cell_text(mean: float, provisional: bool) -> str:
    if not np.isfinite(mean):
        return ""
    return f"{mean:#.4g}".rstrip(".") + (" ?" if provisional else "")


def _heatmap_caption(what: HeatmapFigure) -> str:
    marks = any(mark for panel in what.panels for _, mark in _entries(panel))
    chosen = f" by {what.select}" if what.select != what.metric else ""
    shown = f"{what.metric} [{what.unit}]" if what.unit else what.metric
    return style.sentence(
        [
            f"{what.sweep}: {shown}, mean over seeds of the best configuration{chosen} at each "
            f"{what.setting}",
            "lighter is better, on a scale for each task",
            "?: provisional, seeds are missing" if marks else "",
        ]
    )

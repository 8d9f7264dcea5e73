"""Draws what was prepared, with matplotlib's object interface: no window, no global state."""

import functools

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.results.figures import style
from raysweep.results.figures.curves import CurvesFigure, Line, Panel
from raysweep.results.figures.heatmaps import ABSENT, HeatmapFigure, HeatmapPanel
from raysweep.results.figures.paths import PathsFigure, PathsPanel

BAND = 0.2  # opacity
TASK_WIDTH = 2.2  # inches that a task's label may take beside a heatmap
END_MARKERS = "osD^v"  # of the paths of each pair of metrics


def draw_curves(what: CurvesFigure) -> Figure:
    """A row of panels for each metric, wrapped where there are many tasks."""
    legend = style.Legend(_curves_caption(what))
    for label, (place, text) in what.labels.items():
        lines = [each for panel in what.panels for each in panel.lines if each.estimator == label]
        legend.add(place, text, dashed=all(line.provisional for line in lines))
    columns = style.columns_for(what.tasks)
    deep = -(-what.tasks // columns)
    figure, axes = style.grid(deep * len(what.units), columns, legend)
    width = figure.get_figwidth() / columns
    for place, panel in enumerate(what.panels):
        block, task = divmod(place, what.tasks)
        row, column = divmod(task, columns)
        own = axes[block * deep + row][column]
        _curves_panel(own, panel, what)
        style.finish(own, panel.task, width)
        if column == 0:
            own.set_ylabel(style.axis_label(panel.metric, what.units[panel.metric]))
        if panel.lines and task + columns >= what.tasks:
            own.set_xlabel("step")
    _hide_empty(axes)
    legend.draw(figure)
    return figure


def _curves_panel(axes: Axes, panel: Panel, what: CurvesFigure) -> None:
    if what.log:
        axes.set_yscale("log", nonpositive="mask")
    for number, line in enumerate(panel.lines):
        _curve(axes, line, number)
    if what.log and panel.lines:
        style.log_axis(axes)
    if panel.limits and not what.log:
        axes.set_ylim(*panel.limits)
    style.step_axis(axes)
    if not panel.lines:
        style.say_empty(axes, "no curve")


def _curve(axes: Axes, line: Line, number: int) -> None:
    colour = style.colour(line.place)
    every = max(1, len(line.steps) // 8)
    axes.plot(
        line.steps,
        line.mean,
        color=colour,
        linestyle=style.DASHES if line.provisional else "-",
        linewidth=1.5,
        marker=style.marker(line.place) or ("." if len(line.steps) == 1 else ""),
        markersize=4,
        markevery=(number * every // 4 % every, every),
        zorder=3,
    )
    axes.fill_between(
        line.steps,
        line.mean - line.error,
        line.mean + line.error,
        color=colour,
        alpha=BAND,
        linewidth=0,
        zorder=2,
    )


def _curves_caption(what: CurvesFigure) -> str:
    lines = [line for panel in what.panels for line in panel.lines]
    counts = what.seeds
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    over = f"{seeds} seed{'' if seeds == '1' else 's'}" if seeds else "seeds"
    return style.sentence(
        [
            f"{what.sweep}: mean over {over}, band ± 1 standard error",
            what.selection,
            "dashed (?): provisional, n seeds so far" if any(x.provisional for x in lines) else "",
            "y axes are cut to what follows the first tenth of the steps" if what.cropped else "",
        ]
    )


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
    _hide_empty([list(row) for row in axes])
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


def draw_paths(what: PathsFigure) -> Figure:
    """A panel for each task, a thin line for each run, a mark at its end."""
    found = [path for panel in what.panels for path in panel.paths]
    legend = style.Legend(_paths_caption(what))
    for place, name in sorted({(path.place, path.estimator) for path in found}):
        own = [path.provisional for path in found if path.estimator == name]
        legend.add(place, f"{name} (?)" if any(own) else name, dashed=all(own))
    columns = style.columns_for(len(what.panels))
    figure, axes = style.grid(-(-len(what.panels) // columns), columns, legend)
    width = figure.get_figwidth() / columns
    for place, panel in enumerate(what.panels):
        row, column = divmod(place, columns)
        _paths_panel(axes[row][column], panel)
        style.finish(axes[row][column], panel.task, width)
        if column == 0:
            axes[row][column].set_ylabel(style.wrapped(what.y_label, 2.4))
        if place + columns >= len(what.panels):
            axes[row][column].set_xlabel(style.wrapped(what.x_label, width - 0.4))
    _hide_empty(axes)
    legend.draw(figure)
    return figure


def _paths_panel(axes: Axes, panel: PathsPanel) -> None:
    for path in panel.paths:
        draw = functools.partial(axes.plot, color=style.colour(path.place))
        dashes = style.DASHES if path.provisional else "-"
        draw(path.x, path.y, linestyle=dashes, linewidth=0.7, alpha=0.6, zorder=2)
        mark = END_MARKERS[path.pair % len(END_MARKERS)]
        draw(path.x[-1:], path.y[-1:], marker=mark, markersize=4, linestyle="", zorder=3)
    if not panel.paths:
        style.say_empty(axes, "no curve")


def _paths_caption(what: PathsFigure) -> str:
    found = [path for panel in what.panels for path in panel.paths]
    return style.sentence(
        [
            f"{what.sweep}: a line for each seed{' and pair' if what.pairs > 1 else ''}, "
            "a mark where it ends",
            what.selection,
            "dashed (?): provisional" if any(path.provisional for path in found) else "",
        ]
    )


def _hide_empty(axes: list[list[Axes]]) -> None:
    """Hides the places of the grid in which nothing was drawn."""
    for row in axes:
        for own in row:
            own.set_visible(own.has_data() or bool(own.get_title()))

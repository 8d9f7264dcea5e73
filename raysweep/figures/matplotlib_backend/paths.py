"""Paths in the plane of two metrics, drawn with matplotlib."""

import functools

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.paths import PathsFigure, PathsPanel
from raysweep.figures.sizes import Size

END_MARKERS = "osD^v"  # at the ends of paths, one for each pair of metrics


def draw_paths(prepared: PathsFigure, size: Size) -> Figure:
    """Draw a panel for each task, a thin line for each run, and a mark at its end."""
    paths = [path for panel in prepared.panels for path in panel.paths]
    legend = style.Legend(_paths_caption(prepared), size)
    for index, name in sorted({(path.index, path.estimator) for path in paths}):
        provisional = [path.provisional for path in paths if path.estimator == name]
        text = f"{name} (?)" if any(provisional) else name
        legend.add(index, text, style.DASHES if all(provisional) else "-")
    columns = size.columns_for(len(prepared.panels))
    figure, axes = style.grid(-(-len(prepared.panels) // columns), columns, legend)
    width = figure.get_figwidth() / columns
    height = 2.4 if size.width is None else style.panel_height(width, size) - 0.4
    for index, panel in enumerate(prepared.panels):
        row, column = divmod(index, columns)
        _paths_panel(axes[row][column], panel)
        style.finish(axes[row][column], panel.task, width, size)
        if column == 0:
            axes[row][column].set_ylabel(size.wrapped(prepared.y_label, height))
        if index + columns >= len(prepared.panels):
            axes[row][column].set_xlabel(size.wrapped(prepared.x_label, width - 0.4))
    panels.hide_empty(axes)
    legend.draw(figure)
    return figure


def _paths_panel(axes: Axes, panel: PathsPanel) -> None:
    for path in panel.paths:
        draw = functools.partial(axes.plot, color=style.colour(path.index))
        dashes = style.DASHES if path.provisional else "-"
        draw(path.x, path.y, linestyle=dashes, linewidth=0.7, alpha=0.6, zorder=2)
        mark = END_MARKERS[path.pair % len(END_MARKERS)]
        draw(path.x[-1:], path.y[-1:], marker=mark, markersize=4, linestyle="", zorder=3)
    if not panel.paths:
        style.draw_placeholder(axes, "no curve")


def _paths_caption(prepared: PathsFigure) -> str:
    paths = [path for panel in prepared.panels for path in panel.paths]
    return style.sentence(
        [
            f"{prepared.sweep}: a line for each seed{' and pair' if prepared.pairs > 1 else ''}, "
            "a mark where it ends",
            prepared.selection,
            "dashed (?): provisional" if any(path.provisional for path in paths) else "",
            style.lost_curves(prepared.lacking, prepared.runs),
        ]
    )

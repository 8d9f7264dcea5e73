"""Draws paths in the plane of two metrics."""

import functools

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.paths import PathsFigure, PathsPanel
from raysweep.figures.sizes import Size

END_MARKERS = "osD^v"  # of the paths of each pair of metrics


def draw_paths(what: PathsFigure, size: Size) -> Figure:
    """A panel for each task, a thin line for each run, a mark at its end."""
    found = [path for panel in what.panels for path in panel.paths]
    legend = style.Legend(_paths_caption(what), size)
    for place, name in sorted({(path.place, path.estimator) for path in found}):
        own = [path.provisional for path in found if path.estimator == name]
        legend.add(place, f"{name} (?)" if any(own) else name, dashed=all(own))
    columns = size.columns_for(len(what.panels))
    figure, axes = style.grid(-(-len(what.panels) // columns), columns, legend)
    width = figure.get_figwidth() / columns
    height = 2.4 if size.width is None else style.panel_height(width, size) - 0.4
    for place, panel in enumerate(what.panels):
        row, column = divmod(place, columns)
        _paths_panel(axes[row][column], panel)
        style.finish(axes[row][column], panel.task, width, size)
        if column == 0:
            axes[row][column].set_ylabel(size.wrapped(what.y_label, height))
        if place + columns >= len(what.panels):
            axes[row][column].set_xlabel(size.wrapped(what.x_label, width - 0.4))
    panels.hide_empty(axes)
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
        style.draw_placeholder(axes, "no curve")


def _paths_caption(what: PathsFigure) -> str:
    found = [path for panel in what.panels for path in panel.paths]
    return style.sentence(
        [
            f"{what.sweep}: a line for each seed{' and pair' if what.pairs > 1 else ''}, "
            "a mark where it ends",
            what.selection,
            "dashed (?): provisional" if any(path.provisional for path in found) else "",
            style.lost_curves(what.lacking, what.runs),
        ]
    )

"""Draws the progress of searches."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.search_progress import Progress, SearchFigure, SearchPanel
from raysweep.figures.sizes import Size


def draw_search(what: SearchFigure, size: Size) -> Figure:
    """A panel for each task, a step line for each estimator among its configurations."""
    legend = style.Legend(_caption(what), size)
    lines = [line for panel in what.panels for line in panel.lines]
    for place, name in sorted({(line.place, line.estimator) for line in lines}):
        legend.add(place, name)
    columns = size.columns_for(len(what.panels))
    figure, axes = style.grid(-(-len(what.panels) // columns), columns, legend)
    width = figure.get_figwidth() / columns
    for place, panel in enumerate(what.panels):
        own = axes[place // columns][place % columns]
        _panel(own, panel, what)
        style.finish(own, panel.task, width, size)
        if place % columns == 0:
            label = style.axis_label(what.metric, what.unit)
            own.set_ylabel(size.wrapped(label, style.panel_height(width, size) - 0.4))
        if panel.lines and place + columns >= len(what.panels):
            own.set_xlabel(size.wrapped("configurations ended", width - 0.4))
    panels.hide_empty(axes)
    legend.draw(figure)
    return figure


def _panel(axes: Axes, panel: SearchPanel, what: SearchFigure) -> None:
    if what.log:
        axes.set_yscale("log", nonpositive="mask")
    for number, line in enumerate(panel.lines):
        _line(axes, line, number)
    if what.log and panel.lines:
        style.log_axis(axes)
    if panel.limits and not what.log:
        axes.set_ylim(*panel.limits)
    style.number_axis(axes)
    if not panel.lines:
        style.draw_placeholder(axes, "no configuration yet")


def _line(axes: Axes, line: Progress, number: int) -> None:
    colour = style.colour(line.place)
    axes.plot(
        line.at,
        line.means,
        linestyle="",
        marker=".",
        markersize=5,
        markeredgewidth=0,
        color=colour,
        alpha=0.5,
        zorder=2,
        rasterized=len(line.at) > 500,  # thousands of dots would make a PDF slow to show
    )
    if not len(line.best):
        return
    axes.plot(
        [*line.improved, line.ended],
        [*line.best, line.best[-1]],
        drawstyle="steps-post",
        color=colour,
        linewidth=1.5,
        marker=style.marker(line.place),
        markersize=4,
        markevery=(number % len(line.improved), max(1, len(line.improved) // 4)),
        zorder=3,
    )


def _caption(what: SearchFigure) -> str:
    best = "lowest" if what.mode == "min" else "highest"
    cut = not what.log and any(panel.limits for panel in what.panels)
    return style.sentence(
        [
            f"{what.sweep}: {best} mean {what.metric} so far over {what.seeds} "
            f"seed{'' if what.seeds == 1 else 's'}, in the order in which configurations began",
            "dots: those whose seeds all ended well",
            "y axes end at three times as far from the best as the median is" if cut else "",
        ]
    )

"""Progress of searches, drawn with matplotlib."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.search_progress import Progress, SearchFigure, SearchPanel
from raysweep.figures.sizes import Size
from raysweep.text import counted


def draw_search(prepared: SearchFigure, size: Size) -> Figure:
    """Draw a panel for each task: a step line and dots for each estimator."""
    legend = style.Legend(_caption(prepared), size)
    lines = [line for panel in prepared.panels for line in panel.lines]
    for index, name in sorted({(line.index, line.estimator) for line in lines}):
        legend.add(index, name)
    columns = size.columns_for(len(prepared.panels))
    figure, axes = style.grid(-(-len(prepared.panels) // columns), columns, legend)
    width = figure.get_figwidth() / columns
    for index, panel in enumerate(prepared.panels):
        panel_axes = axes[index // columns][index % columns]
        _panel(panel_axes, panel, prepared)
        style.finish(panel_axes, panel.task, width, size)
        if index % columns == 0:
            label = style.axis_label(prepared.metric, prepared.unit)
            panel_axes.set_ylabel(size.wrapped(label, style.panel_height(width, size) - 0.4))
        if panel.lines and index + columns >= len(prepared.panels):
            panel_axes.set_xlabel(size.wrapped("configurations ended", width - 0.4))
    panels.hide_empty(axes)
    legend.draw(figure)
    return figure


def _panel(axes: Axes, panel: SearchPanel, prepared: SearchFigure) -> None:
    if prepared.log:
        axes.set_yscale("log", nonpositive="mask")
    for number, line in enumerate(panel.lines):
        _line(axes, line, number)
    if prepared.log and panel.lines:
        style.log_axis(axes)
    if panel.limits and not prepared.log:
        axes.set_ylim(*panel.limits)
    style.number_axis(axes)
    if not panel.lines:
        style.draw_placeholder(axes, "no configuration yet")


def _line(axes: Axes, line: Progress, number: int) -> None:
    colour = style.colour(line.index)
    axes.plot(
        line.numbers,
        line.means,
        linestyle="",
        marker=".",
        markersize=5,
        markeredgewidth=0,
        color=colour,
        alpha=0.5,
        zorder=2,
        rasterized=len(line.numbers) > 500,  # thousands of dots would make a PDF slow to show
    )
    if not len(line.best):
        return
    axes.plot(
        [*line.improved, line.ended],
        [*line.best, line.best[-1]],
        drawstyle="steps-post",
        color=colour,
        linewidth=1.5,
        marker=style.marker(line.index),
        markersize=4,
        markevery=(number % len(line.improved), max(1, len(line.improved) // 4)),
        zorder=3,
    )


def _caption(prepared: SearchFigure) -> str:
    best = "lowest" if prepared.mode == "min" else "highest"
    cut = not prepared.log and any(panel.limits for panel in prepared.panels)
    return style.sentence(
        [
            f"{prepared.sweep}: {best} mean {prepared.metric} so far over "
            f"{counted(prepared.seeds, 'seed')}, in the order in which configurations began",
            "dots: those whose seeds all ended well",
            "y axes end at three times as far from the best as the median is" if cut else "",
        ]
    )

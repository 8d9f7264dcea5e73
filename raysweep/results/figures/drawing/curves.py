"""Draws learning curves."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.results.figures import style
from raysweep.results.figures.curves import CurvesFigure, Line, Panel
from raysweep.results.figures.drawing import panels

BAND = 0.2  # opacity


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
    panels.hide_empty(axes)
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

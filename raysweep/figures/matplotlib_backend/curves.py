"""Draws learning curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.curves import CurvesFigure, Line, Panel
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.sizes import Size
from raysweep.figures.statistics import BANDS

BAND = 0.2  # opacity


def draw_curves(what: CurvesFigure, size: Size) -> Figure:
    """A row of panels for each metric, wrapped where there are many tasks."""
    steps = [[line.steps for line in panel.lines] for panel in what.panels]
    return draw_lines(what, steps, "step", style.Legend(_caption(what), size))


def draw_lines(
    what: CurvesFigure, places: Sequence[Sequence[Any]], x_label: str, legend: style.Legend
) -> Figure:
    """Panels of lines over steps or whatever else goes up with them.

    Args:
        what: The lines.
        places: For each panel's lines, where along the x axis their points are, `T` each.
        x_label: What is along it.
        legend: With its caption, to be filled.
    """
    for label, (place, text) in what.labels.items():
        lines = [each for panel in what.panels for each in panel.lines if each.estimator == label]
        legend.add(place, text, dashed=all(line.provisional for line in lines))
    size = legend.size
    columns = size.columns_for(what.tasks)
    deep = -(-what.tasks // columns)
    figure, axes = style.grid(deep * len(what.units), columns, legend)
    width = figure.get_figwidth() / columns
    for place, panel in enumerate(what.panels):
        block, task = divmod(place, what.tasks)
        row, column = divmod(task, columns)
        own = axes[block * deep + row][column]
        _panel(own, panel, places[place], what)
        style.finish(own, panel.task, width, size)
        if column == 0:
            label = style.axis_label(panel.metric, what.units[panel.metric])
            own.set_ylabel(size.wrapped(label, style.panel_height(width, size) - 0.4))
        if panel.lines and task + columns >= what.tasks:
            own.set_xlabel(x_label)
    panels.hide_empty(axes)
    legend.draw(figure)
    return figure


def _panel(axes: Axes, panel: Panel, places: Sequence[Any], what: CurvesFigure) -> None:
    if what.log:
        axes.set_yscale("log", nonpositive="mask")
    for number, (line, own) in enumerate(zip(panel.lines, places, strict=True)):
        _curve(axes, line, own, number)
    if what.log and panel.lines:
        style.log_axis(axes)
    if panel.limits and not what.log:
        axes.set_ylim(*panel.limits)
    style.number_axis(axes, whole=all(np.asarray(own).dtype.kind == "i" for own in places))
    if not panel.lines:
        style.draw_placeholder(axes, "no curve")


def _curve(axes: Axes, line: Line, places: Any, number: int) -> None:
    colour = style.colour(line.place)
    every = max(1, len(places) // 8)
    axes.plot(
        places,
        line.mean,
        color=colour,
        linestyle=style.DASHES if line.provisional else "-",
        linewidth=1.5,
        marker=style.marker(line.place) or ("." if len(places) == 1 else ""),
        markersize=4,
        markevery=(number * every // 4 % every, every),
        zorder=3,
    )
    axes.fill_between(places, line.low, line.high, color=colour, alpha=BAND, linewidth=0, zorder=2)


def _caption(what: CurvesFigure) -> str:
    return style.sentence([f"{what.sweep}: {summary(what)}", *footnotes(what)])


def summary(what: CurvesFigure) -> str:
    """What the lines and bands are."""
    counts = what.seeds
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    over = f"{seeds} seed{'' if seeds == '1' else 's'}" if seeds else "seeds"
    return f"mean over {over}, {BANDS[what.band]}"


def footnotes(what: CurvesFigure) -> list[str]:
    """What else has to be known of them."""
    lines = [line for panel in what.panels for line in panel.lines]
    return [
        what.selection,
        "dashed (?): provisional, n seeds so far" if any(x.provisional for x in lines) else "",
        "y axes are cut to what follows the first tenth of the steps" if what.cropped else "",
        style.lost_curves(what.lacking, what.runs),
    ]

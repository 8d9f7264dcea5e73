"""Learning curves, drawn with matplotlib."""

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
from raysweep.text import counted

BAND = 0.2  # opacity


def draw_curves(prepared: CurvesFigure, size: Size) -> Figure:
    """Draw a row of panels for each metric, in several rows if there are many tasks."""
    steps = [[line.steps for line in panel.lines] for panel in prepared.panels]
    return draw_lines(prepared, steps, "step", style.Legend(_caption(prepared), size))


def draw_lines(
    prepared: CurvesFigure,
    x_values: Sequence[Sequence[Any]],
    x_label: str,
    legend: style.Legend,
    *,
    every_point: bool = False,
) -> Figure:
    """Draw panels of lines over steps, or over another quantity that grows with them.

    Args:
        prepared: Panels and lines to draw.
        x_values: Positions along x of the points of each panel's lines, `T` each.
        x_label: Label of the x axis.
        legend: Legend with the caption, to which the entries are added.
        every_point: Whether all points are marked, as where there are few.
    """
    for label, (index, text) in prepared.labels.items():
        lines = [line for panel in prepared.panels for line in panel.lines]
        of_label = [line for line in lines if line.estimator == label]
        legend.add(index, text, _style([i for i in of_label if not i.is_training] or of_label))
    size = legend.size
    columns = size.columns_for(prepared.tasks)
    rows = -(-prepared.tasks // columns)
    figure, axes = style.grid(rows * len(prepared.units), columns, legend)
    width = figure.get_figwidth() / columns
    for index, panel in enumerate(prepared.panels):
        block, task = divmod(index, prepared.tasks)
        row, column = divmod(task, columns)
        panel_axes = axes[block * rows + row][column]
        _panel(panel_axes, panel, x_values[index], prepared, every_point)
        style.finish(panel_axes, panel.task, width, size)
        if column == 0:
            label = style.axis_label(panel.metric, prepared.units[panel.metric])
            panel_axes.set_ylabel(size.wrapped(label, style.panel_height(width, size) - 0.4))
        if panel.lines and task + columns >= prepared.tasks:
            panel_axes.set_xlabel(x_label)
    panels.hide_empty(axes)
    legend.draw(figure)
    return figure


def _panel(
    axes: Axes, panel: Panel, x_values: Sequence[Any], prepared: CurvesFigure, every_point: bool
) -> None:
    if prepared.log:
        axes.set_yscale("log", nonpositive="mask")
    for number, (line, x) in enumerate(zip(panel.lines, x_values, strict=True)):
        _curve(axes, line, x, number, every_point)
    if prepared.log and panel.lines:
        style.log_axis(axes)
    if panel.limits and not prepared.log:
        axes.set_ylim(*panel.limits)
    style.number_axis(axes, whole=all(np.asarray(x).dtype.kind == "i" for x in x_values))
    if not panel.lines:
        style.draw_placeholder(axes, "no curve")


def _curve(axes: Axes, line: Line, x: Any, number: int, every_point: bool) -> None:
    colour = style.colour(line.index)
    every = 1 if every_point else max(1, len(x) // 8)
    axes.plot(
        x,
        line.mean,
        color=colour,
        linestyle=_style([line]),
        linewidth=1.5,
        marker=style.marker(line.index) or ("." if len(x) == 1 or every_point else ""),
        markersize=4,
        markevery=(number * every // 4 % every, every),
        zorder=3,
    )
    if line.is_training:  # where its runs are now, even beside a line of the same colour
        axes.plot(x[-1:], line.mean[-1:], "o", color=colour, fillstyle="none", zorder=4)
    axes.fill_between(x, line.low, line.high, color=colour, alpha=BAND, linewidth=0, zorder=2)


def _style(lines: Sequence[Line]) -> Any:
    """Return the style of lines: dotted in training, dashed if all are provisional, else solid."""
    if all(line.is_training for line in lines):
        return style.DOTS
    return style.DASHES if all(line.provisional for line in lines) else "-"


def _caption(prepared: CurvesFigure) -> str:
    return style.sentence([f"{prepared.sweep}: {summary(prepared)}", *footnotes(prepared)])


def summary(prepared: CurvesFigure) -> str:
    """Return the part of a caption that explains the lines and bands."""
    counts = prepared.seeds
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    over = counted(counts[0], "seed") if seeds == "1" else f"{seeds} seeds".strip()
    return f"mean over {over}, {BANDS[prepared.band]}"


def footnotes(prepared: CurvesFigure) -> list[str]:
    """Return the further parts of a caption of curves, some of them empty."""
    lines = [line for panel in prepared.panels for line in panel.lines]
    return [
        prepared.selection,
        "dashed (?): provisional, n seeds so far" if any(i.provisional for i in lines) else "",
        style.training(prepared.training, prepared.runs + prepared.training, prepared.reached),
        "y axes are cut to what follows the first tenth of the steps" if prepared.cropped else "",
        style.WINDOWED if prepared.is_windowed else "",
        style.lost_curves(prepared.lacking, prepared.runs),
    ]

"""Lines over a setting, drawn with matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from raysweep.figures import style
from raysweep.figures.lines import LinesFigure
from raysweep.figures.matplotlib_backend.curves import draw_lines, footnotes, summary
from raysweep.figures.sizes import Size

GAP = 0.04  # inches between the labels of two ticks


def draw_setting_lines(prepared: LinesFigure, size: Size) -> Figure:
    """Draw a row of panels for each metric, with the setting's values along the x axis."""
    curves = prepared.curves
    parts = [f"{curves.sweep}: {summary(curves)}", *footnotes(curves), prepared.lacking]
    caption = style.sentence(parts)
    name = prepared.setting.partition(".")[2]
    figure = draw_lines(
        curves, prepared.values, name, style.Legend(caption, size), every_point=True
    )
    drawn = [axes for axes in figure.axes if axes.lines]
    for axes in drawn if prepared.log else ():
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if prepared.ticks:
        figure.draw_without_rendering()  # which decides the widths of the panels
        for axes in drawn:
            _label(axes, prepared, size)
    return figure


def _label(axes: Axes, prepared: LinesFigure, size: Size) -> None:
    """Label as many of the ticks as have room in a panel, the most important ones first."""
    known = np.concatenate([np.asarray(line.get_xdata(), float) for line in axes.lines])
    shown: list[tuple[float, float, float, str]] = []  # middle and half of a label, in inches
    for value, text in prepared.ticks:
        if known.min() <= value <= known.max():
            middle = axes.transData.transform((value, 0.5))[0] / axes.figure.dpi
            half = (len(text) * size.label + GAP) / 2
            if all(abs(middle - other) >= half + least for other, least, _, _ in shown):
                shown.append((middle, half, value, text))
    shown.sort()
    axes.set_xticks([tick[2] for tick in shown], [tick[3] for tick in shown])

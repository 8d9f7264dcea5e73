"""Lines over a setting, drawn with matplotlib."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from raysweep.figures import style
from raysweep.figures.lines import LinesFigure
from raysweep.figures.matplotlib_backend.curves import draw_lines, footnotes, summary
from raysweep.figures.sizes import Size


def draw_setting_lines(prepared: LinesFigure, size: Size) -> Figure:
    """Draw a row of panels for each metric, with the setting's values along the x axis."""
    curves = prepared.curves
    caption = style.sentence([f"{curves.sweep}: {summary(curves)}", *footnotes(curves)])
    name = prepared.setting.partition(".")[2]
    figure = draw_lines(
        curves, prepared.values, name, style.Legend(caption, size), every_point=True
    )
    if prepared.log:
        for axes in figure.axes:
            if axes.lines:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(numticks=6))
                axes.xaxis.set_minor_formatter(NullFormatter())
    return figure

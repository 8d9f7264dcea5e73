"""Draws learning curves over time."""

from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend.curves import draw_lines, footnotes, summary
from raysweep.figures.sizes import Size
from raysweep.figures.time import TimeFigure


def draw_time(what: TimeFigure, size: Size) -> Figure:
    """The panels of curves, with seconds along the x axis."""
    caption = style.sentence(
        [
            f"{what.curves.sweep}: {summary(what.curves)}",
            "over a run's mean share of its pack's time",
            *footnotes(what.curves),
        ]
    )
    legend = style.Legend(caption, size)
    return draw_lines(what.curves, what.seconds, "seconds of training", legend)

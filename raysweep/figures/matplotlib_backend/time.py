"""Learning curves over time, drawn with matplotlib."""

from matplotlib.figure import Figure

from raysweep.figures import style
from raysweep.figures.matplotlib_backend.curves import draw_lines, footnotes, summary
from raysweep.figures.sizes import Size
from raysweep.figures.time import TimeFigure


def draw_time(prepared: TimeFigure, size: Size) -> Figure:
    """Draw the panels of curves, with seconds of training along the x axis."""
    caption = style.sentence(
        [
            f"{prepared.curves.sweep}: {summary(prepared.curves)}",
            "over a run's mean share of its pack's time",
            *footnotes(prepared.curves),
        ]
    )
    legend = style.Legend(caption, size)
    return draw_lines(prepared.curves, prepared.seconds, "seconds of training", legend)

"""Functions that the matplotlib drawings of all kinds share."""

from matplotlib.axes import Axes


def hide_empty(axes: list[list[Axes]]) -> None:
    """Hide the axes of the grid in which nothing was drawn."""
    for row in axes:
        for panel_axes in row:
            panel_axes.set_visible(panel_axes.has_data() or bool(panel_axes.get_title()))

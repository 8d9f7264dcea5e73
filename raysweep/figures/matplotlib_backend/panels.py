"""What the drawings of all kinds share."""

from matplotlib.axes import Axes


def hide_empty(axes: list[list[Axes]]) -> None:
    """Hides the places of the grid in which nothing was drawn."""
    for row in axes:
        for own in row:
            own.set_visible(own.has_data() or bool(own.get_title()))

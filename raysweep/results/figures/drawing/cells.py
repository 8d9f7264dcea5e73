"""Draws the cells of heatmaps: how wide they are, their shades, their numbers."""

import dataclasses
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from raysweep.results.figures.scope import Numbers
from raysweep.results.figures.sizes import LABEL, Size, plain

WIDEST = 10.5  # inches that the cells of a row of panels may take on a screen
SMALLEST = 5.5  # points of a number in a cell; where it would be smaller, there is none
GAP = 0.2  # inches beside each panel


@dataclasses.dataclass(frozen=True)
class Cells:
    """How the panels of a heatmap stand beside each other.

    Args:
        columns: Panels in a row.
        widths: Cells across each column of panels.
        width: Of a cell, in inches.
        points: Of the numbers in the cells; None where they do not fit.
        turned: Whether the labels below the cells are.
    """

    columns: int
    widths: tuple[int, ...]
    width: float
    points: float | None
    turned: bool

    @classmethod
    def of(
        cls,
        counts: Sequence[int],
        longest: tuple[int, int],
        size: Size,
        beside: tuple[float, float] = (0.0, 0.0),
    ) -> "Cells":
        """As many panels in a row as fit.

        Args:
            counts: Cells across each panel.
            longest: Letters of the longest number in a cell, and of the longest label below one.
            size: Of the figure.
            beside: Inches that labels take beside each row of panels, and beside each panel.
        """
        number, label = longest
        wanted = 0.16 + size.label * number
        if size.width is not None:
            wanted = 0.06 + LABEL * SMALLEST * number
        columns, widths, room = 1, [max(counts)], 0.0
        for columns in range(size.columns_for(len(counts)), 0, -1):
            widths = [max(counts[first::columns]) for first in range(columns)]
            room = WIDEST - beside[1] * columns
            if size.width is not None:
                room = size.width - beside[0] - (GAP + beside[1]) * columns
            if sum(widths) * wanted <= room:
                break
        if size.width is None:
            width, points = wanted, size.small
        else:
            width = room / sum(widths)
            points = min(size.small, (width - 0.06) / LABEL / max(1, number))
        turned = label * size.label + 0.06 > width
        fits = points >= SMALLEST - 1e-9
        return cls(columns, tuple(widths), width, points if fits else None, turned)


def cell_text(mean: float, provisional: bool) -> str:
    """A cell's number, which ends in a question mark if it is not final; empty without one."""
    if not np.isfinite(mean):
        return ""
    return f"{mean:#.4g}".rstrip(".") + (" ?" if provisional else "")


def longest_text(means: Numbers, provisional: Sequence[Sequence[bool]]) -> int:
    """Letters of the longest number in the cells of a panel."""
    return max(
        len(cell_text(mean, flag))
        for row, flags in zip(means.tolist(), provisional, strict=True)
        for mean, flag in zip(row, flags, strict=True)
    )


def draw_cells(
    axes: Axes,
    means: Numbers,
    scores: Numbers,
    provisional: Sequence[Sequence[bool]],
    points: float | None,
) -> None:
    """The shades of a panel's cells with their numbers, the first row on top."""
    colours = matplotlib.colormaps["viridis"]
    axes.pcolormesh(
        np.ma.masked_invalid(scores),
        cmap=colours,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=1.5,
    )
    axes.invert_yaxis()
    for row, column in np.ndindex(*means.shape) if points is not None else ():
        if not np.isfinite(means[row, column]):
            continue
        red, green, blue, _ = colours(scores[row, column])
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        axes.text(
            column + 0.5,
            row + 0.5,
            cell_text(float(means[row, column]), provisional[row][column]),
            ha="center",
            va="center",
            fontsize=points,
            color="black" if is_light else "white",
        )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def label_columns(axes: Axes, labels: Sequence[str], *, turned: bool) -> None:
    """The labels below a panel's cells."""
    axes.set_xticks(
        np.arange(len(labels)) + 0.5,
        [plain(label) for label in labels],
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )

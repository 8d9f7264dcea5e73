"""Cells of heatmaps, drawn with matplotlib: their layout, shades and numbers."""

import dataclasses
import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from raysweep.figures import style
from raysweep.figures.heatmaps import HeatmapFigure
from raysweep.figures.scope import Numbers
from raysweep.figures.sizes import LABEL, Size, plain
from raysweep.figures.two_setting_heatmaps import TwoSettingHeatmapFigure

WIDEST = 10.5  # inches that the cells of a row of panels may take on a screen
SMALLEST = 5.0  # points of a number in a cell; smaller numbers are left out
DIGITS = (4, 3)  # significant digits of a number; the smaller number of them if more do not fit
GAP = 0.2  # inches beside each panel

Means = tuple[Numbers, Sequence[Sequence[bool]]]  # means of a panel, and which are provisional


@dataclasses.dataclass(frozen=True)
class Layout:
    """Layout of the panels of a heatmap and of their cells.

    Args:
        columns: Number of panels in a row.
        widths: Number of cells across each column of panels.
        width: Width of a cell, in inches.
        points: Font size of the numbers in the cells; None if they do not fit.
        digits: Significant digits of these numbers.
        turned: Whether the labels below the cells are rotated.
    """

    columns: int
    widths: tuple[int, ...]
    width: float
    points: float | None
    digits: int
    turned: bool

    @classmethod
    def of(
        cls,
        counts: Sequence[int],
        panels: Sequence[Means],
        labels: Sequence[str],
        size: Size,
        beside: tuple[float, float] = (0.0, 0.0),
    ) -> "Layout":
        """Return the layout with as many panels in a row as fit.

        Args:
            counts: Number of cells across each panel.
            panels: Means of each panel, and which of them are provisional.
            labels: Labels below the cells.
            size: Size of the figure.
            beside: Inches that labels take beside each row of panels, and beside each panel.
        """
        below = max(map(len, labels)) * size.label + 0.06
        long, short = (_longest(panels, digits) for digits in DIGITS)
        if size.width is None:
            width = 0.16 + size.label * long
            room = [WIDEST - beside[1] * columns for columns in range(size.panels + 1)]
            columns, widths = _panels_per_row(counts, width, room)
            return cls(columns, widths, width, size.small, DIGITS[0], below > width)
        room = [
            size.width - beside[0] - (GAP + beside[1]) * columns
            for columns in range(size.panels + 1)
        ]
        columns, widths = _panels_per_row(counts, 0.06 + LABEL * SMALLEST * short, room)
        width = room[columns] / sum(widths)
        for digits, letters in zip(DIGITS, (long, short), strict=True):
            points = (width - 0.06) / LABEL / max(1, letters)
            if points >= SMALLEST - 1e-9:
                return cls(columns, widths, width, min(size.small, points), digits, below > width)
        return cls(columns, widths, width, None, DIGITS[0], below > width)

    def text(self, mean: float, provisional: bool) -> str:
        """Return the text of a cell; where no number fits, only its question mark."""
        if self.points is None:
            return "?" if provisional and np.isfinite(mean) else ""
        return cell_text(mean, provisional, self.digits)


def _panels_per_row(
    counts: Sequence[int], width: float, room: Sequence[float]
) -> tuple[int, tuple[int, ...]]:
    """Return the number of panels in a row, and of cells across each column of panels.

    Args:
        counts: Number of cells across each panel.
        width: Least width of a cell, in inches.
        room: Inches for all cells of a row, by the number of panels in it.
    """
    most = Size(None, 1, 1, len(room) - 1).columns_for(len(counts))
    for columns in range(most, 0, -1):
        widths = tuple(max(counts[first::columns]) for first in range(columns))
        if columns == 1 or sum(widths) * width <= room[columns]:
            break
    return columns, widths


def _longest(panels: Sequence[Means], digits: int) -> int:
    """Return the number of letters of the longest number."""
    return max(
        len(cell_text(mean, flag, digits))
        for means, flags in panels
        for mean, flag in zip(means.ravel().tolist(), itertools.chain(*flags), strict=True)
    )


def cell_text(mean: float, provisional: bool, digits: int) -> str:
    """Return a cell's number, with a question mark if it is provisional; empty for NaN."""
    if not np.isfinite(mean):
        return ""
    return f"{mean:#.{digits}g}".rstrip(".") + (" ?" if provisional else "")


def draw_cells(
    axes: Axes,
    panel: Means,
    scores: Numbers,
    cells: Layout,
) -> None:
    """Draw the shades and numbers of a panel's cells, the first row on top."""
    means, provisional = panel
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
    for row, column in np.ndindex(*means.shape):
        if not np.isfinite(means[row, column]):
            continue
        red, green, blue, _ = colours(scores[row, column])
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        axes.text(
            column + 0.5,
            row + 0.5,
            cells.text(float(means[row, column]), provisional[row][column]),
            ha="center",
            va="center",
            fontsize=cells.points or SMALLEST,
            color="black" if is_light else "white",
        )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def label_columns(axes: Axes, labels: Sequence[str], *, turned: bool) -> None:
    """Write the labels below a panel's cells."""
    axes.set_xticks(
        np.arange(len(labels)) + 0.5,
        [plain(label) for label in labels],
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )


def heatmap_caption(
    prepared: HeatmapFigure | TwoSettingHeatmapFigure, settings: str, marks: str = ""
) -> str:
    """Return the caption of a heatmap.

    Args:
        prepared: Heatmap over one setting or two.
        settings: Names of these settings.
        marks: Meaning of further marks in the heatmap; empty if there are none.
    """
    flags = [flag for panel in prepared.panels for row in panel.provisional for flag in row]
    chosen = f" by {prepared.select}" if prepared.select != prepared.metric else ""
    shown = f"{prepared.metric} [{prepared.unit}]" if prepared.unit else prepared.metric
    return style.sentence(
        [
            f"{prepared.sweep}: {shown}, mean over seeds of the best configuration{chosen} at each "
            f"{settings}",
            "lighter is better, on a scale for each task",
            marks,
            "?: provisional, seeds are missing" if any(flags) else "",
            prepared.lacking,
        ]
    )

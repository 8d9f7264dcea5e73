"""Style of figures: colours, fonts, the grid of panels, and the legend below it."""

import contextlib
import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from raysweep.figures.sizes import SCREEN, Size, plain
from raysweep.text import counted

# Okabe and Ito's palette, which colour-blind readers can distinguish; R's grey replaces its
# yellow, which is hard to see on white.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
)
MARKERS = ("", "o", "^", "s", "D", "v", "P", "X")  # the next one for every eight lines
DASHES = (0, (4, 1.6))
DOTS = (0, (1, 1.4))
WIDTHS = {1: 5.4, 2: 7.6, 3: 10.0, 4: 12.0}  # inches on a screen, by columns of panels
ENTRY = 44  # most letters in a line of a legend's entry
SCREEN_DPI = 100
BESIDE = 0.45  # inches that the y axis takes from the width of a panel's title

_SETTINGS: Mapping[Any, Any] = {
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "savefig.dpi": 200,
    "svg.hashsalt": "raysweep",
    "pdf.fonttype": 42,  # TrueType, as publishers require
}


class ShownFigure(Figure):
    """Figure that a notebook shows where it is the last value of a cell."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as PNG for sharp screens, and its size in a notebook's pixels."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * SCREEN_DPI)
        width, height = (round(inches * SCREEN_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


@contextlib.contextmanager
def figure_style(size: Size = SCREEN) -> Iterator[None]:
    """Set matplotlib's settings for our figures, whichever the user has, and restore them."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        matplotlib.rcParams.update(
            {
                "font.size": size.font,
                "axes.titlesize": size.title,
                "axes.labelsize": size.font,
                "xtick.labelsize": size.small,
                "ytick.labelsize": size.small,
                "legend.fontsize": size.font,
            }
        )
        yield


def colour(index: int) -> str:
    """Return the colour of the estimator with this index in the sweep file."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Return the estimator's marker, which differs among those of one colour; empty for none."""
    return MARKERS[index // len(COLOURS) % len(MARKERS)]


def grid(rows: int, columns: int, legend: "Legend") -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of equal panels, with room for its legend, and its axes."""
    size = legend.size
    width = size.width or WIDTHS[columns]
    height = rows * panel_height(width / columns, size) + legend.height(width)
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def panel_height(width: float, size: Size) -> float:
    """Return the height in inches of a panel of lines with its labels; narrow ones are squarer."""
    if size.width is None:
        return 3.3 if width == WIDTHS[1] else width * 0.8
    return width * (0.55 if width > 5 else 0.68 if width > 3 else 0.78 if width > 2 else 0.95)


def finish(axes: Axes, title: str, width: float, size: Size = SCREEN) -> None:
    """Set the title, grid and margins that all panels of lines share."""
    axes.set_title(size.titled(title, width - BESIDE))
    axes.grid(visible=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def number_axis(axes: Axes, *, whole: bool = True) -> None:
    """Label the x axis with a few short numbers.

    Args:
        axes: Axes of the panel.
        whole: Whether the numbers are whole, as steps are.
    """
    steps = None if whole else [1, 2, 2.5, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole, steps=steps))

    def short(value: float, _: int | None) -> str:
        last = max(axes.get_xlim())
        size, letter = (1e6, "M") if last >= 1e7 else (1e3, "k") if last >= 1e4 else (1, "")
        return f"{value / size:g}{letter}" if value else "0"

    axes.xaxis.set_major_formatter(FuncFormatter(short))


def log_axis(axes: Axes) -> None:
    """Label a logarithmic y axis with plain numbers if it is too short for powers of ten."""
    low, high = axes.get_ylim()
    if high < 20 * low:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def draw_placeholder(axes: Axes, text: str) -> None:
    """Write into a panel without lines why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#777777", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


class Legend:
    """One legend for all panels, below them, under a caption.

    Args:
        caption: Text that explains the figure.
        size: Size of the figure.
    """

    def __init__(self, caption: str, size: Size) -> None:
        self.caption = caption
        self.size = size
        self.handles: list[Artist] = []
        self.labels: list[str] = []

    def add(self, index: int, label: str, line: Any = "-") -> None:
        """Add the entry of an estimator, with the style of its lines."""
        self.handles.append(
            Line2D(
                [],
                [],
                color=colour(index),
                marker=marker(index),
                linestyle=line,
                markersize=5,
            )
        )
        # Matplotlib leaves out entries whose text starts with an underscore.
        fitting = (self.size.width or WIDTHS[1]) - 1
        text = "\n".join(textwrap.wrap(label, min(ENTRY, int(fitting / self.size.character))))
        self.labels.append(plain(f"\u200b{text}" if text.startswith("_") else text))

    def height(self, width: float) -> float:
        """Return the approximate height of the legend and its caption, in inches."""
        rows = math.ceil(len(self.labels) / self.columns(width))
        lines = max((label.count("\n") + 1 for label in self.labels), default=0)
        caption = self.size.wrapped(self.caption, width).count("\n") + 1
        return self.size.line * (rows * lines + caption) + 0.15

    def columns(self, width: float) -> int:
        """Return the number of entries in a row."""
        longest = max((len(line) for label in self.labels for line in label.split("\n")), default=1)
        fitting = max(1, int((width - 0.3) / (longest * self.size.character + 0.6)))
        rows = math.ceil(len(self.labels) / fitting)
        return math.ceil(len(self.labels) / rows) if rows else 1

    def draw(self, figure: Figure) -> None:
        """Draw the legend below the panels of a figure."""
        width = figure.get_figwidth()
        legend = figure.legend(
            self.handles,
            self.labels,
            loc="outside lower center",
            ncols=self.columns(width),
            title=self.size.wrapped(self.caption, width),
            title_fontproperties={"size": self.size.small},
            frameon=False,
            handlelength=2.4,
        )
        legend.get_title().set_multialignment("center")


def axis_label(name: str, unit: str) -> str:
    """Return the name of a metric with its unit, if it has one."""
    return f"{name} [{unit}]" if unit else name


WINDOWED = "tables have training metrics as means over a run's last steps (window)"


def lost_curves(lacking: int, runs: int) -> str:
    """Return the part of a caption that counts the runs without curves; empty if there are none."""
    return f"{lacking} of {counted(runs)} have no curves" if lacking else ""


def training(runs: int, of: int, step: int) -> str:
    """Return the part of a caption on runs that still train; empty if there are none.

    Args:
        runs: Number of these runs.
        of: Number of all runs of the figure.
        step: Last step of their curves.
    """
    if not runs:
        return ""
    some = f"{runs} of the {of} runs shown {'is' if runs == 1 else 'are'}"
    every = "the run shown is" if of == 1 else f"all {of} runs shown are"
    return f"dotted: {some if runs < of else every} still training, up to step {step:,}"


def sentence(parts: Sequence[str]) -> str:
    """Join the parts that are not empty into one caption."""
    return "; ".join(part for part in parts if part)

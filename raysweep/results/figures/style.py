"""How figures look: colours, fonts, the grid of panels, the legend below."""

import contextlib
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

# Okabe and Ito's palette, distinct for the colour-blind too; its yellow, which white paper
# swallows, is R's grey.
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
MARKERS = ("", "o", "^", "s", "D", "v", "P", "X")  # another for every eight lines
DASHES = (0, (4, 1.6))
FONT = 9.0  # points
WIDTHS = {1: 5.4, 2: 7.6, 3: 10.0, 4: 12.0}  # inches, by columns of panels
CHARACTER = 0.072  # inches, of the legend's font, on the wide side

_SETTINGS: Mapping[Any, Any] = {
    "font.size": FONT,
    "axes.titlesize": FONT + 1,
    "axes.labelsize": FONT,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "legend.fontsize": FONT,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "savefig.dpi": 200,
    "svg.hashsalt": "raysweep",
    "pdf.fonttype": 42,  # text stays text: publishers ask for it
}


@contextlib.contextmanager
def our_style() -> Iterator[None]:
    """Settings of our own, whatever the user's are: the same figure everywhere."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def colour(place: int) -> str:
    """The colour of the sweep's nth estimator."""
    return COLOURS[place % len(COLOURS)]


def marker(place: int) -> str:
    """Its marker, which tells it from the others of that colour; empty for none."""
    return MARKERS[place // len(COLOURS) % len(MARKERS)]


def columns_for(count: int) -> int:
    """How many panels stand in a row: at most four, and no row much emptier than the others."""
    if count <= 4:
        return count
    return min((3, 4), key=lambda columns: (-count % columns, -columns))


def plain(text: str) -> str:
    """The text as it is: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def wrapped(text: str, inches: float) -> str:
    """The text in lines that fit, about as long as each other."""
    width = max(12, int(inches / CHARACTER))
    lines = textwrap.wrap(text, width)
    shortest = max(map(len, text.split()), default=0)
    while width > shortest and len(textwrap.wrap(text, width - 1)) == len(lines):
        width -= 1
    return plain("\n".join(textwrap.wrap(text, width)))


def grid(rows: int, columns: int, legend: "Legend") -> tuple[Figure, list[list[Axes]]]:
    """A figure of equal panels with room for its legend."""
    width = WIDTHS[columns]
    height = 3.3 if columns == 1 else width / columns * 0.8
    figure = Figure(figsize=(width, rows * height + legend.height(width)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def finish(axes: Axes, title: str, width: float) -> None:
    """What all panels of lines share."""
    axes.set_title(wrapped(title, width))
    axes.grid(visible=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def step_axis(axes: Axes) -> None:
    """Few and short numbers on the axis of steps."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    def shown(value: float, _: int | None) -> str:
        last = max(axes.get_xlim())
        size, letter = (1e6, "M") if last >= 1e7 else (1e3, "k") if last >= 1e4 else (1, "")
        return f"{value / size:g}{letter}" if value else "0"

    axes.xaxis.set_major_formatter(FuncFormatter(shown))


def log_axis(axes: Axes) -> None:
    """Plain numbers along a logarithmic axis that is too short for powers of ten."""
    low, high = axes.get_ylim()
    if high < 20 * low:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def say_empty(axes: Axes, text: str) -> None:
    """A panel without lines, and why."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#777777", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


class Legend:
    """One legend for all panels, below them, under a caption.

    Args:
        caption: What has to be known to read the figure.
    """

    def __init__(self, caption: str) -> None:
        self.caption = caption
        self.handles: list[Artist] = []
        self.labels: list[str] = []

    def add(self, place: int, label: str, *, dashed: bool = False) -> None:
        """An estimator's entry."""
        self.handles.append(
            Line2D(
                [],
                [],
                color=colour(place),
                marker=marker(place),
                linestyle=DASHES if dashed else "-",
                markersize=5,
            )
        )
        # Matplotlib leaves out entries whose text starts with an underscore.
        text = "\n".join(textwrap.wrap(label, 44))
        self.labels.append(plain(f"\u200b{text}" if text.startswith("_") else text))

    def height(self, width: float) -> float:
        """Inches, about."""
        rows = math.ceil(len(self.labels) / self.columns(width))
        lines = max((label.count("\n") + 1 for label in self.labels), default=0)
        return 0.2 * (rows * lines + wrapped(self.caption, width).count("\n") + 1) + 0.15

    def columns(self, width: float) -> int:
        """How many entries stand in a row."""
        longest = max((len(line) for label in self.labels for line in label.split("\n")), default=1)
        fitting = max(1, int((width - 0.3) / (longest * CHARACTER + 0.6)))
        rows = math.ceil(len(self.labels) / fitting)
        return math.ceil(len(self.labels) / rows) if rows else 1

    def draw(self, figure: Figure) -> None:
        """Puts it below the panels."""
        width = figure.get_figwidth()
        legend = figure.legend(
            self.handles,
            self.labels,
            loc="outside lower center",
            ncols=self.columns(width),
            title=wrapped(self.caption, width),
            title_fontproperties={"size": FONT - 1},
            frameon=False,
            handlelength=2.4,
        )
        legend.get_title().set_multialignment("center")


def axis_label(name: str, unit: str) -> str:
    """A metric's name with its unit, if it has one."""
    return plain(f"{name} [{unit}]" if unit else name)


def sentence(parts: Sequence[str]) -> str:
    """The parts that are not empty, as one caption."""
    return "; ".join(part for part in parts if part)

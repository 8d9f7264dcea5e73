"""Sizes of figures for screens and papers, and the look of all their parts."""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError, one_of

POINTS = 72  # of an inch, and so pixels of a description
LETTER = 0.52  # width of a letter, in font sizes, rounded up
SCREEN_WIDTHS = {1: 5.4, 2: 7.6, 3: 10.0, 4: 12.0}  # inches, by columns of panels
ENTRY = 36  # letters in a line of a legend's entry, which is as wide as a column of a paper
BETWEEN, FEWEST = 32.0, 4  # points between two ticks of a y axis, and the least number of ticks
UNBROKEN = "\u00a0%"  # no line of a text begins with a percent sign
BESIDE = 42  # points that the y axis of a panel takes, before it is measured

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
BLACK, WHITE = "#000000", "#f2f2f2"  # black lines would be invisible on a dark page
# Lines differ in black and white, too; five patterns and eight colours make forty pairs.
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 1, 1, 1, 1, 1))
FONTS: Mapping[str, str] = {
    "sans": "Liberation Sans, Helvetica, Arial, sans-serif",
    "serif": "Liberation Serif, Times New Roman, Nimbus Roman, TeX Gyre Termes, Times, serif",
}
LIGHT = {"ink": "#1b1f24", "soft": "#57606a", "grid": "#dddddd", "paper": "#ffffff"}
DARK = {"ink": "#e6e8eb", "soft": "#a5adb8", "grid": "#333a44", "paper": "#14171b"}


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of a figure.

    Args:
        width: Exact width in inches; as wide as the panels need if None.
        font: Font size of most text, in points.
        panels: Largest number of panels in a row.
        family: Family of the letters: `sans` or `serif`.
    """

    width: float | None
    font: float
    panels: int
    family: str = "sans"

    @property
    def small(self) -> float:
        """Font size of ticks and captions, in points."""
        return self.font - 1

    def columns_for(self, count: int) -> int:
        """Return the number of panels in a row, such that the last row is nearly full."""
        if count <= self.panels:
            return max(1, count)
        few = range(min(self.panels, max(2, self.panels - 1)), self.panels + 1)
        return min(few, key=lambda columns: (-count % columns, -columns))

    def total(self, columns: int) -> float:
        """Return the width of a figure with so many panels in a row, in points."""
        return POINTS * (self.width or SCREEN_WIDTHS[min(columns, max(SCREEN_WIDTHS))])

    def wrapped(self, text: str, points: float, font: float | None = None) -> list[str]:
        """Return the text in lines of similar length that fit this width.

        Args:
            text: Text to wrap.
            points: Width of the longest line.
            font: Font size in points; that of most text if None.
        """
        text = text.replace(" %", UNBROKEN)
        width = max(12, int(points / (LETTER * (font or self.font))))
        lines = textwrap.wrap(text, width) or [""]
        shortest = max(map(len, text.split()), default=0)
        while width > shortest and len(textwrap.wrap(text, width - 1)) == len(lines):
            width -= 1
        return [line.replace(UNBROKEN, " %") for line in textwrap.wrap(text, width)] or [""]


SCREEN = Size(None, 9.0, 4)
SIZES: Mapping[str, Size] = {
    "screen": SCREEN,
    "column": Size(3.25, 8.0, 2),  # of a paper with two columns
    "page": Size(6.75, 8.0, 4),  # both columns
}


def named(name: str, font: str = "sans") -> Size:
    """Return the size with this name, and with letters of this family.

    Raises:
        SpecError: If there is no such size or family.
    """
    if name not in SIZES:
        raise SpecError(one_of(name, SIZES), field="size")
    if font not in FONTS:
        raise SpecError(one_of(font, FONTS), field="font")
    return dataclasses.replace(SIZES[name], family=font)


def look(
    size: Size,
    *,
    dark: bool = False,
    columns: int | None = None,
    beside: float = 0.0,
    height: float = 0.0,
) -> dict[str, Any]:
    """Return Vega-Lite's configuration of a figure.

    Args:
        size: Size of the figure.
        dark: Whether the page is dark.
        columns: Number of entries in a row of the legend.
        beside: Points left blank at the right edge.
        height: Height of the highest panel, in points.
    """
    shade = DARK if dark else LIGHT
    text = {"labelFontSize": size.small, "titleFontSize": size.font, "titleFontWeight": "normal"}
    inks = {"labelColor": shade["ink"], "titleColor": shade["ink"]}
    axis = {"gridColor": shade["grid"], "domainColor": shade["soft"], "tickColor": shade["soft"]}
    return {
        "background": shade["paper"],
        "font": FONTS[size.family],
        "padding": {"left": 3, "top": 3, "right": 3 + beside, "bottom": 3},
        "view": {"stroke": None},
        "axis": {
            **text,
            **inks,
            **axis,
            "labelOverlap": "greedy",
            "labelSeparation": 4,
            "titlePadding": 5,
        },
        "axisX": {"labelFlush": True, "titleAnchor": "middle"},
        "axisY": {"tickCount": max(FEWEST, round(height / BETWEEN))},
        "axisYQuantitative": {"labelFlush": 1},  # else titles in a row are not at one height
        "header": {**text, **inks},
        "legend": {**text, **inks, **_legend(columns)},
        "title": {
            "fontSize": size.font,
            "fontWeight": "normal",
            "color": shade["ink"],
            "frame": "group",
            "offset": 6,
        },
        "range": {"category": palette(dark=dark)},
        "style": {
            "ink": {"color": shade["ink"]},
            "soft": {"color": shade["soft"]},
            "paper": {"color": shade["paper"]},
            "blank": {"color": shade["grid"], "fillOpacity": 0.4},
            "note": {"color": shade["soft"], "fontSize": size.small},
            "halo": {"fill": shade["paper"], "stroke": shade["paper"], "strokeWidth": 2.5},
        },
    }


def _legend(columns: int | None) -> dict[str, Any]:
    """Return the configuration of legends, apart from their letters."""
    return {
        "orient": "bottom",
        "direction": "horizontal",
        **({"columns": columns} if columns else {}),
        "labelLimit": 0,
        "symbolType": "stroke",
        "symbolSize": 320,
        "symbolStrokeWidth": 1.6,
        "symbolOpacity": 1,
        "offset": 6,
        "rowPadding": 1,
        "title": None,
    }


def palette(*, dark: bool = False) -> list[str]:
    """Return the colours of rows, in the order of the sweep file, on a light or a dark page."""
    return [WHITE if dark and colour == BLACK else colour for colour in COLOURS]


def colour(index: int) -> str:
    """Return the colour of the row with this index in the sweep file."""
    return COLOURS[index % len(COLOURS)]


def longest(texts: Sequence[str], font: float) -> float:
    """Return the width of the longest text, in points, rounded up."""
    return max(map(len, texts), default=0) * LETTER * font

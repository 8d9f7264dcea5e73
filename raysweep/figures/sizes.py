"""Sizes of figures for screens and papers: widths, and sizes of letters."""

import dataclasses
import textwrap
from collections.abc import Mapping

from raysweep.errors import SpecError, one_of

CHARACTER = 0.008  # inches that a letter is wide for each point of the font, rounded up
LABEL = 0.00825  # the same for ticks and numbers in cells, as digits are wider


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of a figure.

    Args:
        width: Exact width in inches; as wide as the panels need if None.
        font: Font size of most text, in points.
        title: Font size of the panels' titles, in points.
        panels: Largest number of panels in a row.
    """

    width: float | None
    font: float
    title: float
    panels: int

    @property
    def small(self) -> float:
        """Font size of ticks and captions, in points."""
        return self.font - 1

    @property
    def character(self) -> float:
        """Width of a letter in inches, rounded up."""
        return CHARACTER * self.font

    @property
    def label(self) -> float:
        """Width of a letter of a tick's label, in inches."""
        return LABEL * self.small

    @property
    def line(self) -> float:
        """Distance from one line of text to the next, in inches."""
        return self.font / 45

    def columns_for(self, count: int) -> int:
        """Return the number of panels in a row, such that the last row is nearly full."""
        if count <= self.panels:
            return count
        few = range(max(2, self.panels - 1), self.panels + 1)
        return min(few, key=lambda columns: (-count % columns, -columns))

    def wrapped(self, text: str, inches: float) -> str:
        """Return the text in lines of similar length that fit this width."""
        width = max(12, int(inches / self.character))
        lines = textwrap.wrap(text, width)
        shortest = max(map(len, text.split()), default=0)
        while width > shortest and len(textwrap.wrap(text, width - 1)) == len(lines):
            width -= 1
        return plain("\n".join(textwrap.wrap(text, width)))

    def titled(self, text: str, inches: float) -> str:
        """Return the text in lines that fit above a panel of this width."""
        return self.wrapped(text, inches * self.font / self.title)


def plain(text: str) -> str:
    """Return the text with its dollar signs escaped, so that none starts a formula."""
    return text.replace("$", r"\$")


SCREEN = Size(None, 9.0, 10.0, 4)
SIZES: Mapping[str, Size] = {
    "screen": SCREEN,
    "column": Size(3.25, 8.0, 8.0, 2),  # of a paper with two columns
    "page": Size(6.75, 8.0, 8.0, 4),  # both columns
}


def named(name: str) -> Size:
    """Return the size with this name.

    Raises:
        SpecError: If there is no such size.
    """
    if name not in SIZES:
        raise SpecError(one_of(name, SIZES), field="size")
    return SIZES[name]

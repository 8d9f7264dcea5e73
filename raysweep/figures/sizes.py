"""Where figures go: how wide they are, and how large their letters."""

import dataclasses
import textwrap
from collections.abc import Mapping

from raysweep.errors import SpecError, nearest

CHARACTER = 0.008  # inches of width for each point of a font, on the wide side
LABEL = 0.00825  # likewise of ticks and of numbers in cells, which are all digits


@dataclasses.dataclass(frozen=True)
class Size:
    """One place for figures.

    Args:
        width: Inches, exactly; as many as the panels need if None.
        font: Points, of most text.
        title: Points, of the panels' titles.
        panels: That stand in a row, at most.
    """

    width: float | None
    font: float
    title: float
    panels: int

    @property
    def small(self) -> float:
        """Points, of ticks and captions."""
        return self.font - 1

    @property
    def character(self) -> float:
        """Inches that a letter takes, on the wide side."""
        return CHARACTER * self.font

    @property
    def label(self) -> float:
        """Inches that a letter of a tick's label takes."""
        return LABEL * self.small

    @property
    def line(self) -> float:
        """Inches from one line of text to the next."""
        return self.font / 45

    def columns_for(self, count: int) -> int:
        """How many panels stand in a row: no row is much emptier than the others."""
        if count <= self.panels:
            return count
        few = range(max(2, self.panels - 1), self.panels + 1)
        return min(few, key=lambda columns: (-count % columns, -columns))

    def wrapped(self, text: str, inches: float) -> str:
        """The text in lines that fit, about as long as each other."""
        width = max(12, int(inches / self.character))
        lines = textwrap.wrap(text, width)
        shortest = max(map(len, text.split()), default=0)
        while width > shortest and len(textwrap.wrap(text, width - 1)) == len(lines):
            width -= 1
        return plain("\n".join(textwrap.wrap(text, width)))

    def titled(self, text: str, inches: float) -> str:
        """The text in lines that fit a panel's title."""
        return self.wrapped(text, inches * self.font / self.title)


def plain(text: str) -> str:
    """The text as it is: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


SCREEN = Size(None, 9.0, 10.0, 4)
SIZES: Mapping[str, Size] = {
    "screen": SCREEN,
    "column": Size(3.25, 8.0, 8.0, 2),  # of a paper with two columns
    "page": Size(6.75, 8.0, 8.0, 4),  # both of them
}


def named(name: str) -> Size:
    """The size of that name.

    Raises:
        SpecError: If there is none.
    """
    if name not in SIZES:
        raise SpecError(
            f"expected {', '.join(list(SIZES)[:-1])} or {list(SIZES)[-1]}, "
            f"got {name!r}{nearest(name, SIZES)}",
            field="size",
        )
    return SIZES[name]

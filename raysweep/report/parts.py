"""Parts of a report's sections: tables, controls and views."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from raysweep.figures.plotly_backend.parts import Control

NONE = "–"


class Text(NamedTuple):
    """The text of a cell.

    Args:
        text: Plain text, without markup.
        bold: Whether the text is bold.
    """

    text: str
    bold: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        caption: Text above the table.
        head: Labels of the columns.
        rows: Cells of each row; the first cell is the row's head.
        notes: Lines below the table.
        numbers: Indices of columns of numbers, which are aligned to the right.
        long: Indices of columns of long texts, which are wrapped, with their line ends kept.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class Views:
    """Tables of which one set is shown at a time.

    Args:
        controls: Controls that choose the set; those with one option are not shown.
        tables: Sets of tables by the keys of the controls' options, joined by a space; the first
            set is shown first.
    """

    controls: tuple[Control, ...]
    tables: Mapping[str, tuple[Table, ...]]


def row(texts: Iterable[object]) -> tuple[Text, ...]:
    """Return a row of plain cells; None becomes a dash."""
    return tuple(Text(NONE if text is None else str(text)) for text in texts)


def shown(value: float | None) -> str:
    """Return the text of a number, with six significant digits; None becomes a dash."""
    return NONE if value is None else f"{value:.6g}"

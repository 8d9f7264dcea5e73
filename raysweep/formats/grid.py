"""The description of a table, which every output renders."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from raysweep.results.table import Entry

NONE = "–"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: Plain text, without markup.
        bold: Whether the cell is marked: bold, or with a star in plain text.
        entry: Numbers of the text, for outputs that typeset numbers; None for other texts.
    """

    text: str
    bold: bool = False
    entry: Entry | None = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table of texts.

    Args:
        caption: Text above the table; empty if other text introduces it.
        head: Labels of the columns.
        rows: Cells of each row, as many as there are columns; the first one names the row.
        notes: Lines below the table.
        numbers: Indices of columns of numbers, which are aligned to the right.
        long: Indices of columns of long texts, which a page wraps, with their line ends kept.
        mark: Meaning of bold; empty if nothing is bold, None for a table that marks nothing.
        keys: Number of the first columns that name a row; each block of a wide table has them.
        narrower: Versions of the table with less in it, for where it is too wide.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()
    mark: str | None = None
    keys: int = 1
    narrower: tuple["Grid", ...] = ()

    @property
    def texts(self) -> list[list[str]]:
        """Plain texts of the head and of each row."""
        return [list(self.head), *([cell.text for cell in row] for row in self.rows)]

    @property
    def below(self) -> list[str]:
        """Meaning of bold, if anything is, and the notes."""
        return [*([f"Bold: {self.mark}."] if self.mark else []), *self.notes]


def arrow_grid(table: pa.Table) -> Grid:
    """Return the rows of an Arrow table, with numbers aligned to the right; nulls are empty."""
    rows = tuple(
        tuple(Cell(_value(value)) for value in values.values()) for values in table.to_pylist()
    )
    numbers = (
        index
        for index, field in enumerate(table.schema)
        if pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_decimal(field.type)
    )
    return Grid("", tuple(table.column_names), rows, numbers=frozenset(numbers))


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def row(values: Iterable[object]) -> tuple[Cell, ...]:
    """Return a row of plain cells; None becomes a dash."""
    return tuple(Cell(NONE if value is None else str(value)) for value in values)


def plain(head: Sequence[str], rows: Sequence[Sequence[object]], long: Iterable[int] = ()) -> Grid:
    """Return a table without caption, whose columns of whole numbers are aligned to the right.

    Args:
        head: Labels of the columns.
        rows: Values of each row; None becomes a dash.
        long: Indices of columns of long texts.
    """
    numbers = (
        index
        for index in range(len(head))
        if rows and all(isinstance(values[index], int) for values in rows)
    )
    cells = tuple(map(row, rows))
    return Grid("", tuple(head), cells, numbers=frozenset(numbers), long=frozenset(long))

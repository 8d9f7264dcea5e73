"""Tables as text: aligned, or styled for a terminal."""

import dataclasses
import io
import textwrap
from collections.abc import Iterable

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from raysweep.formats.aligned import lines, padded
from raysweep.formats.fit import fitted
from raysweep.formats.grid import Grid
from raysweep.formats.tables import grids
from raysweep.results.table import ResultTable
from raysweep.text import encodable, one_line

ANY_WIDTH = 100_000


@dataclasses.dataclass(frozen=True)
class Screen:
    """The room for a text.

    Args:
        width: Number of characters in a line; None for any number. Names and numbers are never
            cut: where a table is wider, it has fewer columns or several blocks of them.
        encoding: Encoding of the text; characters that it lacks become ASCII.
    """

    width: int | None = None
    encoding: str = "utf-8"


UNLIMITED = Screen()


def as_text(tables: Iterable[Grid], screen: Screen = UNLIMITED) -> str:
    """Return aligned columns, with a star for bold, one table below the other."""
    return "\n".join(
        _text(part, screen)
        for grid in tables
        for part in fitted(grid, screen.width, lambda grid: _width(grid, screen.encoding))
    )


def _text(grid: Grid, screen: Screen) -> str:
    aligned = _aligned(grid, screen.encoding)
    if grid.mark is not None:
        aligned.insert(1, "-" * cell_len(aligned[0]))
    below = [*([f"* {grid.mark}"] if grid.mark else []), *grid.notes]
    above = [*_wrapped(grid.caption, screen), ""] if grid.caption else []
    notes = [line for note in below for line in _wrapped(note, screen)]
    return "\n".join([*above, *aligned, *notes]) + "\n"


def _aligned(grid: Grid, encoding: str) -> list[str]:
    rows = grid.texts
    if grid.mark is not None:  # room for stars behind numbers
        for index in grid.numbers:
            rows[0][index] += "  "
            for texts, cells in zip(rows[1:], grid.rows, strict=True):
                texts[index] += " *" if cells[index].bold else "  "
    return lines([[encodable(text, encoding) for text in row] for row in rows], grid.numbers)


def _width(grid: Grid, encoding: str) -> int:
    return max(map(cell_len, _aligned(grid, encoding)))


def _wrapped(text: str, screen: Screen) -> list[str]:
    """Return the lines of a caption or note, which breaks between words alone."""
    line = encodable(one_line(text), screen.encoding)
    if screen.width is None:
        return [line]
    return textwrap.wrap(line, screen.width, break_long_words=False, break_on_hyphens=False)


def print_table(table: ResultTable, console: Console, screen: Screen = UNLIMITED) -> None:
    """Print a result table on a console: styled in a terminal, plain elsewhere.

    Args:
        table: The result table.
        console: The console, which limits the width if it is a terminal.
        screen: The room for the text elsewhere.
    """
    first, *fronts = grids(table)
    if not console.is_terminal:
        console.file.write(as_text([first, *fronts], screen))
        return
    console.print(one_line(first.caption), highlight=False, markup=False)
    for part in fitted(first, console.width, lambda grid: _styled_width(grid, console)):
        console.print(_styled(part), crop=False, width=_styled_width(part, console))
    for note in [*([f"bold: {first.mark}"] if first.mark else []), *first.notes]:
        console.print(one_line(note), style="dim", highlight=False, markup=False)
    if fronts:
        text = as_text(fronts, Screen(console.width, console.encoding))
        console.print("\n" + text, highlight=False, markup=False, soft_wrap=True)


def as_terminal_text(table: ResultTable, width: int | None) -> str:
    """Return a result table with the escape sequences of a terminal that has colours.

    Args:
        table: The result table.
        width: Number of characters in a line of the terminal.
    """
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="standard", width=width, legacy_windows=False
    )
    print_table(table, console)
    return file.getvalue()


def _styled(grid: Grid) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    head, *rows = padded(grid.texts, grid.numbers)  # Rich aligns no text that it may not cut
    for label in head:
        table.add_column(Text(label), no_wrap=True, overflow="ignore")
    for texts, cells in zip(rows, grid.rows, strict=True):
        styles = ("bold green" if cell.bold else "" for cell in cells)
        table.add_row(*map(Text, texts, styles))
    return table


def _styled_width(grid: Grid, console: Console) -> int:
    options = console.options.update(width=ANY_WIDTH)
    return Measurement.get(console, options, _styled(grid)).maximum

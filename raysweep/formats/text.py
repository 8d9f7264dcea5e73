"""Tables as text: aligned, or styled for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from raysweep.formats.aligned import lines
from raysweep.formats.grid import Grid
from raysweep.formats.tables import grids
from raysweep.results.table import ResultTable
from raysweep.text import one_line


def as_text(tables: Iterable[Grid]) -> str:
    """Return aligned columns, with a star for bold, one table below the other."""
    return "\n".join(map(_text, tables))


def _text(grid: Grid) -> str:
    rows, below = grid.texts, list(grid.notes)
    if grid.mark is not None:  # room for stars behind numbers
        for index in grid.numbers:
            rows[0][index] += "  "
            for texts, cells in zip(rows[1:], grid.rows, strict=True):
                texts[index] += " *" if cells[index].bold else "  "
    aligned = lines(rows, grid.numbers)
    if grid.mark is not None:
        aligned.insert(1, "-" * cell_len(aligned[0]))
    if grid.mark:
        below.insert(0, f"* {grid.mark}")
    above = [one_line(grid.caption), ""] if grid.caption else []
    return "\n".join([*above, *aligned, *map(one_line, below)]) + "\n"


def print_table(table: ResultTable, console: Console) -> None:
    """Print a result table on a console: styled in a terminal, plain elsewhere."""
    first, *fronts = grids(table)
    if not console.is_terminal:
        console.file.write(as_text([first, *fronts]))
        return
    console.print(one_line(first.caption), highlight=False, markup=False)
    console.print(_rich_table(first))
    for note in [*([f"bold: {first.mark}"] if first.mark else []), *first.notes]:
        console.print(one_line(note), style="dim", highlight=False, markup=False)
    for front in fronts:
        console.print("\n" + _text(front), highlight=False, markup=False, soft_wrap=True)


def _rich_table(grid: Grid) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, label in enumerate(grid.head):
        number = index in grid.numbers
        table.add_column(
            Text(one_line(label)), justify="right" if number else "left", no_wrap=number
        )
    for cells in grid.rows:
        table.add_row(
            *(Text(one_line(cell.text), "bold green" if cell.bold else "") for cell in cells)
        )
    return table

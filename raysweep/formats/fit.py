"""Tables in a limited width: narrower versions, long texts in lines, or blocks of columns."""

import dataclasses
import textwrap
from collections.abc import Callable, Mapping

from raysweep.formats.grid import Cell, Grid
from raysweep.text import one_line

NARROWEST = 24  # characters in a line of a long text, if no word is longer


def fitted(grid: Grid, width: int | None, measure: Callable[[Grid], int]) -> list[Grid]:
    """Return a table as it fits a width: as it is, narrower, in more lines, or as several blocks.

    Long texts break between words into more lines, as do names of rows that leave little room for
    the other columns. Blocks repeat the columns that name a row, and have at least one column more;
    nothing is cut, so a block of one wide column may be wider than the width.

    Args:
        grid: The table to fit.
        width: Number of characters in a line; None for any number.
        measure: Function that returns the width of a table.
    """
    for version in (grid, *grid.narrower):
        if width is None or measure(version) <= width:
            return [version]
    room = width or 0
    grid = _with_long_names(grid, room, measure)
    for version in (grid, *grid.narrower):
        lines = _in_lines(version, room, measure)
        if measure(lines) <= room:
            return [lines]
    blocks = _blocks(grid, room, measure)
    parts = [_in_lines(_block(grid, block), room, measure) for block in blocks]
    # The caption is above the first block, and the notes are below the last.
    parts = [dataclasses.replace(part, caption="") if at else part for at, part in enumerate(parts)]
    marked = None if grid.mark is None else ""
    return [*(dataclasses.replace(part, notes=(), mark=marked) for part in parts[:-1]), parts[-1]]


def _with_long_names(grid: Grid, width: int, measure: Callable[[Grid], int]) -> Grid:
    """Return the table whose names of rows are long texts, if they leave too little room."""
    columns = range(grid.keys, len(grid.head))
    has_room = all(measure(_block(grid, [index])) <= width for index in columns)
    if has_room and measure(_block(grid, [])) <= width // 2:
        return grid
    names = frozenset(range(min(grid.keys, len(grid.head)))) - grid.numbers
    narrower = tuple(dataclasses.replace(one, long=one.long | names) for one in grid.narrower)
    return dataclasses.replace(grid, long=grid.long | names, narrower=narrower)


def _blocks(grid: Grid, width: int, measure: Callable[[Grid], int]) -> list[list[int]]:
    """Return the columns of each block: the fewest blocks, even ones if the last had one column."""
    narrow = _broken(grid, NARROWEST) if grid.long else grid
    keys = measure(_block(narrow, []))
    room = max(width - keys, 0)
    added = {
        index: measure(_block(narrow, [index])) - keys for index in range(grid.keys, len(grid.head))
    }
    blocks = _filled(added, room)
    if len(blocks[-1]) > 1 or blocks[-1][0] in grid.long:
        return blocks
    even = (_filled(added, less) for less in range(room))
    return next((other for other in even if len(other) == len(blocks)), blocks)


def _filled(added: Mapping[int, int], room: int) -> list[list[int]]:
    """Return columns in blocks, each filled up to a width unless its one column is wider."""
    blocks: list[list[int]] = [[]]
    for index, width in added.items():
        if blocks[-1] and sum(added[other] for other in blocks[-1]) + width > room:
            blocks.append([])
        blocks[-1].append(index)
    return blocks


def _in_lines(grid: Grid, width: int, measure: Callable[[Grid], int]) -> Grid:
    """Return the table with its long texts in as many lines as the width needs."""
    if not grid.long or not grid.rows:
        return grid
    longest = max(len(texts[index]) for texts in grid.texts for index in grid.long)
    lines = grid
    for length in range(min(longest, width), NARROWEST - 1, -1):
        if measure(lines) <= width:
            break
        lines = _broken(grid, length)
    return lines


def _broken(grid: Grid, length: int) -> Grid:
    """Return the table with long texts in lines of a length, each in a row of its own."""
    rows: list[tuple[Cell, ...]] = []
    for cells in grid.rows:
        texts = {
            index: textwrap.wrap(
                one_line(cells[index].text), length, break_long_words=False, break_on_hyphens=False
            )
            for index in grid.long
        }
        rows.append(
            tuple(
                dataclasses.replace(cell, text=(texts[index] or [""])[0])
                if index in texts
                else cell
                for index, cell in enumerate(cells)
            )
        )
        rows += [
            tuple(
                Cell(texts[index][line] if line < len(texts.get(index, ())) else "")
                for index in range(len(cells))
            )
            for line in range(1, max(map(len, texts.values())))
        ]
    return dataclasses.replace(grid, rows=tuple(rows))


def _block(grid: Grid, block: list[int]) -> Grid:
    """Return the table with these columns, after those that name a row."""
    kept = [*range(min(grid.keys, len(grid.head))), *block]
    return dataclasses.replace(
        grid,
        head=tuple(grid.head[index] for index in kept),
        rows=tuple(tuple(cells[index] for index in kept) for cells in grid.rows),
        numbers=frozenset(at for at, index in enumerate(kept) if index in grid.numbers),
        long=frozenset(at for at, index in enumerate(kept) if index in grid.long),
        narrower=(),
    )

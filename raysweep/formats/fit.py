"""Tables in a limited width: narrower versions of a table, or blocks of its columns."""

import dataclasses
from collections.abc import Callable

from raysweep.formats.grid import Grid


def fitted(grid: Grid, width: int | None, measure: Callable[[Grid], int]) -> list[Grid]:
    """Return a table as it fits a width: as it is, in a narrower version, or as several blocks.

    Blocks repeat the columns that name a row, and have at least one column more; nothing is cut,
    so a block of one wide column may be wider than the width.

    Args:
        grid: The table to fit.
        width: Number of characters in a line; None for any number.
        measure: Function that returns the width of a table.
    """
    for version in (grid, *grid.narrower):
        if width is None or measure(version) <= width:
            return [version]
    blocks = [[grid.keys]] if grid.keys < len(grid.head) else [[]]
    for index in range(grid.keys + 1, len(grid.head)):
        if width is None or measure(_block(grid, [*blocks[-1], index])) <= width:
            blocks[-1].append(index)
        else:
            blocks.append([index])
    parts = [_block(grid, block) for block in blocks]
    # The caption is above the first block, and the notes are below the last.
    parts = [dataclasses.replace(part, caption="") if at else part for at, part in enumerate(parts)]
    marked = None if grid.mark is None else ""
    return [*(dataclasses.replace(part, notes=(), mark=marked) for part in parts[:-1]), parts[-1]]


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

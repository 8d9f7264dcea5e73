"""Aligned columns of text, for terminals."""

from collections.abc import Collection, Sequence

from rich.cells import cell_len

from raysweep.text import one_line


def lines(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> list[str]:
    """Return each row as a line of aligned columns.

    Args:
        rows: Texts of each row, the head included.
        numbers: Indices of columns that are aligned to the right.
    """
    return ["  ".join(row).rstrip() for row in padded(rows, numbers)]


def padded(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> list[list[str]]:
    """Return texts of one line that are as wide as their columns; for the arguments see `lines`."""
    shown = [[one_line(text) for text in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    return [
        [
            _padded(text, widths[index], to_the_right=index in numbers)
            for index, text in enumerate(row)
        ]
        for row in shown
    ]


def _padded(text: str, width: int, *, to_the_right: bool) -> str:
    gap = " " * (width - cell_len(text))
    return gap + text if to_the_right else text + gap

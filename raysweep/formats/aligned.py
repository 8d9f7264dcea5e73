"""Aligned columns of text, for terminals."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raysweep.text import one_line


def arrow_text(table: pa.Table) -> str:
    """Return an Arrow table as aligned text."""
    rows = [[_value(value) for value in row.values()] for row in table.to_pylist()]
    return aligned(table.column_names, rows)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def aligned(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return aligned columns, with columns of numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="")
    for index, title in enumerate(titles):
        numeric = bool(rows) and all(isinstance(row[index], int) for row in rows)
        table.add_column(
            Text(one_line(title)), justify="right" if numeric else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(one_line(str(value))) for value in row))
    console = Console(width=10_000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"

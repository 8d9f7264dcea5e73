"""Aligned columns of text, for terminals."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raysweep.text import one_line


def arrow_text(found: pa.Table) -> str:
    """A query's answer as aligned text."""
    rows = [[_value(value) for value in row.values()] for row in found.to_pylist()]
    return aligned(found.column_names, rows)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def aligned(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns; numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="")
    for place, title in enumerate(titles):
        numeric = bool(rows) and all(isinstance(row[place], int) for row in rows)
        table.add_column(
            Text(one_line(title)), justify="right" if numeric else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(one_line(str(each))) for each in row))
    console = Console(width=10_000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"

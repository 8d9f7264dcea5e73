"""A result table as text: aligned, or styled for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from raysweep.formats.captions import mark, notes, title
from raysweep.formats.parts import front_rows, front_title, texts
from raysweep.results.table import ResultTable
from raysweep.text import one_line


def as_text(table: ResultTable) -> str:
    """Return aligned columns, with a star at the best and those not significantly worse."""
    cells = texts(table)
    rows = [["estimator", *(f"{one_line(column.label)}  " for column in table.columns)]]
    for estimator in table.estimators:
        row = [one_line(estimator)]
        for column in table.columns:
            star = "*" if estimator in table.judgement(column).bold else " "
            row.append(f"{cells[estimator, column]} {star}")
        rows.append(row)
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]
    marked = mark(table)
    below = [*([f"* {marked}"] if marked else []), *notes(table)]
    below = [one_line(note) for note in below]
    head = [one_line(title(table)), "", lines[0], "-" * len(lines[0])]
    text = "\n".join([*head, *lines[1:], *below]) + "\n"
    return text + (f"\n{front_text(table)}" if table.front_metrics else "")


def front_text(table: ResultTable) -> str:
    """Return the Pareto fronts as aligned text."""
    rows: Sequence[Sequence[str]] = [[one_line(text) for text in row] for row in front_rows(table)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join([front_title(table), "", *lines]) + "\n"


def print_table(table: ResultTable, console: Console) -> None:
    """Print the table on a console: styled in a terminal, plain elsewhere."""
    if not console.is_terminal:
        console.file.write(as_text(table))
        return
    console.print(one_line(title(table)), highlight=False, markup=False)
    console.print(_rich_table(table))
    marked = mark(table)
    for note in [*([f"bold: {marked}"] if marked else []), *notes(table)]:
        console.print(one_line(note), style="dim", highlight=False, markup=False)
    if table.front_metrics:
        console.print("\n" + front_text(table), highlight=False, markup=False, soft_wrap=True)


def _rich_table(table: ResultTable) -> RichTable:
    cells = texts(table)
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("estimator")
    for column in table.columns:
        shown.add_column(Text(one_line(column.label)), justify="right", no_wrap=True)
    for estimator in table.estimators:
        row = [Text(one_line(estimator))]
        for column in table.columns:
            style = "bold green" if estimator in table.judgement(column).bold else ""
            row.append(Text(cells[estimator, column], style=style))
        shown.add_row(*row)
    return shown

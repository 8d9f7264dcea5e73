"""Tables in Markdown and HTML."""

import dataclasses
from collections.abc import Iterable, Sequence
from html import escape

from raysweep.formats.grid import Cell, Grid
from raysweep.text import markdown_text

_NOTEBOOK_STYLE = """<style scoped>
.raysweep p { margin: 0.4em 0; max-width: 60em }
.raysweep p.notes { font-size: 85%; line-height: 1.4; opacity: 0.75; margin-bottom: 1em }
.raysweep.raysweep table th, .raysweep.raysweep table td { text-align: left; vertical-align: top }
.raysweep.raysweep table th.number, .raysweep.raysweep table td.number { text-align: right }
.raysweep.raysweep table td:not(.long) { white-space: nowrap }
</style>"""


def as_markdown(tables: Iterable[Grid]) -> str:
    """Return pipe tables, one below the other."""
    return "\n".join(map(_markdown, tables))


def _markdown(grid: Grid) -> str:
    rule = ["---:" if index in grid.numbers else "---" for index in range(len(grid.head))]
    rows = [list(map(markdown_text, grid.head)), rule]
    for cells in grid.rows:
        texts = [(markdown_text(cell.text), cell.bold) for cell in cells]
        rows.append([f"**{text}**" if bold else text for text, bold in texts])
    lines = "".join(f"| {' | '.join(texts)} |\n" for texts in rows)
    below = "".join(f"\n{markdown_text(note)}\n" for note in grid.below)
    return f"{markdown_text(grid.caption)}\n\n{lines}{below}"


def as_html(tables: Iterable[Grid]) -> str:
    """Return `<table>`s with captions and notes, to embed in a page; there are no scripts."""
    return "".join(
        f"{part}\n"
        for grid in tables
        for part in (html_table(grid), *(f"<p>{escape(note)}</p>" for note in grid.below))
    )


def as_notebook(tables: Iterable[Grid]) -> str:
    """Return tables as HTML for a notebook, whose own style would centre texts and break numbers.

    The captions are paragraphs: within a `<table>` they would be as narrow as it is.
    """
    parts = []
    for grid in tables:
        if grid.caption:
            parts.append(f"<p>{escape(grid.caption)}</p>")
        parts.append(html_table(dataclasses.replace(grid, caption="")))
        if grid.below:
            parts.append(f'<p class="notes">{"<br>".join(map(escape, grid.below))}</p>')
    return "\n".join([f'<div class="raysweep">{_NOTEBOOK_STYLE}', *parts, "</div>\n"])


def html_table(grid: Grid, *, sortable: bool = False) -> str:
    """Return one `<table>` with its caption; classes mark columns of numbers and long texts.

    Args:
        grid: Description of the table.
        sortable: Whether the script of the report's page lets readers sort it.
    """
    head = "".join(
        f'<th scope="col"{_class(grid, index, head=True)}>{escape(label)}</th>'
        for index, label in enumerate(grid.head)
    )
    return "\n".join(
        [
            f"<table{' data-sortable' if sortable else ''}>",
            *([f"<caption><span>{escape(grid.caption)}</span></caption>"] if grid.caption else []),
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *(_html_row(grid, cells) for cells in grid.rows),
            "</tbody>",
            "</table>",
        ]
    )


def _html_row(grid: Grid, cells: Sequence[Cell]) -> str:
    first, *others = ((escape(cell.text), cell.bold) for cell in cells)
    texts = [f"<strong>{text}</strong>" if bold else text for text, bold in others]
    data = "".join(
        f"<td{_class(grid, index)}>{text}</td>" for index, text in enumerate(texts, start=1)
    )
    return f'<tr><th scope="row">{first[0]}</th>{data}</tr>'


def _class(grid: Grid, index: int, *, head: bool = False) -> str:
    """Return the attribute with the class of a column's cells; empty for plain texts."""
    if index in grid.numbers:
        return ' class="number"'
    return ' class="long"' if index in grid.long and not head else ""

"""Tables in Markdown and HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from raysweep.formats.grid import Cell, Grid
from raysweep.text import markdown_text


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
    return "".join(f"{line}\n" for grid in tables for line in _html(grid))


def _html(grid: Grid) -> list[str]:
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in grid.head)
    return [
        "<table>",
        f"<caption>{escape(grid.caption)}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *map(_html_row, grid.rows),
        "</tbody>",
        "</table>",
        *(f"<p>{escape(note)}</p>" for note in grid.below),
    ]


def _html_row(cells: Sequence[Cell]) -> str:
    first, *others = ((escape(cell.text), cell.bold) for cell in cells)
    texts = (f"<strong>{text}</strong>" if bold else text for text, bold in others)
    return (
        f'<tr><th scope="row">{first[0]}</th>{"".join(f"<td>{text}</td>" for text in texts)}</tr>'
    )

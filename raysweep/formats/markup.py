"""The table in Markdown and HTML."""

import html
from collections.abc import Sequence

from raysweep.formats.captions import mark, notes, title
from raysweep.formats.parts import front_rows, front_title, texts
from raysweep.results.table import ResultTable
from raysweep.text import markdown_text


def as_markdown(table: ResultTable) -> str:
    """Return a pipe table; the best and those not significantly worse are bold."""
    cells = texts(table)
    rows = [["estimator", *(markdown_text(column.label) for column in table.columns)]]
    for estimator in table.estimators:
        row = [markdown_text(estimator)]
        for column in table.columns:
            text = markdown_text(cells[estimator, column])
            row.append(f"**{text}**" if estimator in table.judgement(column).bold else text)
        rows.append(row)
    rule = "| --- |" + " ---: |" * len(table.columns)
    below = "".join(f"\n{markdown_text(note)}\n" for note in _notes(table))
    text = f"{markdown_text(title(table))}\n\n" + _rows(rows, rule) + below
    if table.front_metrics:
        listed = [[markdown_text(text) for text in row] for row in front_rows(table)]
        text += f"\n{markdown_text(front_title(table))}\n\n"
        text += _rows(listed, "|" + " --- |" * len(listed[0]))
    return text


def _notes(table: ResultTable) -> list[str]:
    marked = mark(table)
    return [*([f"Bold: {marked}."] if marked else []), *notes(table)]


def _rows(rows: Sequence[Sequence[str]], rule: str) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def as_html(table: ResultTable) -> str:
    """Return a `<table>` with its caption and notes, to embed in a page; it has no scripts."""
    cells = texts(table)
    head = "".join(
        f'<th scope="col">{html.escape(label)}</th>'
        for label in ["estimator", *(column.label for column in table.columns)]
    )
    lines = [
        "<table>",
        f"<caption>{html.escape(title(table))}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
    ]
    for estimator in table.estimators:
        row = f'<th scope="row">{html.escape(estimator)}</th>'
        for column in table.columns:
            text = html.escape(cells[estimator, column])
            bold = estimator in table.judgement(column).bold
            row += f"<td><strong>{text}</strong></td>" if bold else f"<td>{text}</td>"
        lines.append(f"<tr>{row}</tr>")
    lines += ["</tbody>", "</table>"]
    lines += [f"<p>{html.escape(note)}</p>" for note in _notes(table)]
    return "\n".join(lines + _front(table)) + "\n"


def _front(table: ResultTable) -> list[str]:
    if not table.front_metrics:
        return []
    head, *rows = front_rows(table)
    lines = ["<table>", f"<caption>{html.escape(front_title(table))}</caption>"]
    lines.append("<tr>" + "".join(f"<th>{html.escape(label)}</th>" for label in head) + "</tr>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>")
    return [*lines, "</table>"]

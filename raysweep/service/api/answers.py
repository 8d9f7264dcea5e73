"""Answers in the formats of results, and their media types."""

from collections.abc import Callable, Sequence

from fastapi.responses import Response

from raysweep.formats.grid import Grid
from raysweep.formats.markup import as_notebook
from raysweep.formats.text import Screen, as_text

MEDIA_TYPES = {
    "text": "text/plain",
    "terminal": "text/plain",
    "notebook": "text/html",
    "markdown": "text/markdown",
    "latex": "application/x-latex",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
}
IN_PAGES = ("html", "notebook")  # formats that are parts of a page


def text_answer(format: str, text: str | bytes) -> Response:
    """Return a text in a format as an answer."""
    headers = {}
    if format in IN_PAGES:  # a part of a page by itself is never run as one
        headers = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        }
    return Response(text, media_type=f"{MEDIA_TYPES[format]}; charset=utf-8", headers=headers)


def formatted(
    format: str, screen: Screen, grids: Sequence[Grid], others: Callable[[str], str]
) -> str:
    """Return a result in a format.

    Args:
        format: Name of the format.
        screen: Terminal for which a text is made.
        grids: Tables of the result, which text and notebooks show.
        others: Function from the name of any other format to the result in it.
    """
    if format == "text":
        return as_text(grids, screen)
    return as_notebook(grids) if format == "notebook" else others(format)

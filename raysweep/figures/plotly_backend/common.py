"""Parts that the report's figures share: numbers for JSON, labels and axes for Plotly."""

import math
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysweep.errors import RaysweepError
from raysweep.figures.style import MARKERS

POINTS = 40_000  # in all lines of a figure together: about 3 MB
FEWEST = 40  # least points of a line, however many lines there are
DIGITS = 8  # significant digits of a number in a figure; hovering shows six or fewer
WIDE, LINES = 18, 3  # letters of a line, and lines, of a label beside an axis
HEIGHT = 300  # pixels of a panel of lines
_SYMBOLS: Mapping[str, str] = {
    "": "circle",
    "o": "circle-open",
    "^": "triangle-up",
    "s": "square",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
}


def numbers(values: Iterable[Any] | NDArray[Any]) -> list[float | int | None]:
    """Return the numbers rounded to `DIGITS` digits, None where one is not finite."""
    return [
        value if isinstance(value, int) else _short(value) for value in np.asarray(values).tolist()
    ]


def _short(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def thinned(length: int, lines: int) -> NDArray[np.int64]:
    """Return indices of a line's points to keep: evenly spaced, from the first to the last.

    Args:
        length: Number of points of the line.
        lines: Number of lines that share `POINTS`.
    """
    most = max(FEWEST, POINTS // max(1, lines))
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def label(text: str) -> str:
    """Escape plain text for Plotly, which interprets some tags and fields in braces."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("%{", "%&#123;")):
        text = text.replace(character, entity)
    return text


def short(text: str, width: int = WIDE) -> str:
    """Return a label beside an axis in at most three short lines, cut if it is longer."""
    lines = textwrap.wrap(text, width)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: width - 1]}…"]
    return "<br>".join(map(label, lines))


def reason(error: RaysweepError) -> str:
    """Return why a figure is left out, without the argument that nobody gave."""
    return error.text


def symbol(mark: str) -> str:
    """Return Plotly's name of a marker in `MARKERS`."""
    return _SYMBOLS[mark if mark in MARKERS else ""]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with this title."""
    return {"title": {"text": label(title), "standoff": 10}, **more}


def empty(text: str) -> dict[str, Any]:
    """Return a drawing without data that shows why it is empty."""
    note = {
        "text": label(text),
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
    }
    hidden = {"visible": False}
    return {"data": [], "layout": {"annotations": [note], "xaxis": hidden, "yaxis": hidden}}


def limited(limits: tuple[float, float] | None) -> dict[str, Any]:
    """Return the range of an axis with these limits; a double click still shows all of it."""
    return {} if limits is None else {"range": numbers(limits)}

"""What sections of a report are made of: tables, controls, views, figures."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from raysweep.figures.plotly_backend.parts import Control

NONE = "–"


class Text(NamedTuple):
    """What a cell of a table says.

    Args:
        text: Plain.
        bold: Whether it is marked.
    """

    text: str
    bold: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        caption: What it shows.
        head: A text for each column.
        rows: Likewise; the first text of a row is its head.
        notes: What has to be known to read it.
        numbers: Columns that hold numbers, by place: aligned to the right.
        long: Columns that hold long texts, by place: they are wrapped, line ends kept.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class Views:
    """Tables of which one set is shown at a time.

    Args:
        controls: That choose it; those with one option are not shown.
        tables: By the keys of the controls' options, joined by a space; the first is shown first.
    """

    controls: tuple[Control, ...]
    tables: Mapping[str, tuple[Table, ...]]


def row(texts: Iterable[object]) -> tuple[Text, ...]:
    """A row of plain cells; None is a dash."""
    return tuple(Text(NONE if each is None else str(each)) for each in texts)


def shown(value: float | None) -> str:
    """A number, to six digits."""
    return NONE if value is None else f"{value:.6g}"

"""What sections of a report are made of: tables, controls, views, figures."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
class Control:
    """A choice that the reader has.

    Args:
        name: Unique in the page.
        label: In words.
        options: Key and text of each.
    """

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Views:
    """Tables of which one set is shown at a time.

    Args:
        controls: That choose it; those with one option are not shown.
        tables: By the keys of the controls' options, joined by a space; the first is shown first.
    """

    controls: tuple[Control, ...]
    tables: Mapping[str, tuple[Table, ...]]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One drawing of a figure.

    Args:
        name: Unique in the page.
        title: Above it; empty for none.
        height: Pixels.
        views: By the keys of the controls' options, joined by a space: Plotly's `data` and
            `layout`.
        width: Pixels that it needs at least: a narrower page scrolls it; 0 for none.
    """

    name: str
    title: str
    height: int
    views: Mapping[str, Mapping[str, Any]]
    width: int = 0


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure, or why there is none.

    Args:
        name: Unique in the page.
        title: Its heading.
        caption: What it shows.
        plots: Drawings, side by side where there is room.
        controls: That choose what they show.
        legend: Place and label of each estimator that is drawn in its colour.
        missing: Why there is none; empty where there is.
        webgl: Whether a browser needs WebGL for it.
        log: Whether the y axes may be made logarithmic.
    """

    name: str
    title: str
    caption: str = ""
    plots: tuple[Plot, ...] = ()
    controls: tuple[Control, ...] = ()
    legend: tuple[tuple[int, str], ...] = ()
    missing: str = ""
    webgl: bool = False
    log: bool = False


def row(texts: Iterable[object]) -> tuple[Text, ...]:
    """A row of plain cells; None is a dash."""
    return tuple(Text(NONE if each is None else str(each)) for each in texts)


def shown(value: float | None) -> str:
    """A number, to six digits."""
    return NONE if value is None else f"{value:.6g}"


def choices(name: str, label: str, texts: Sequence[str]) -> Control:
    """A control whose options have their places as keys: labels may hold anything."""
    return Control(name, label, tuple((str(place), text) for place, text in enumerate(texts)))

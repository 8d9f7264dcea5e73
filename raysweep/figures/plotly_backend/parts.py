"""What an interactive figure is made of: drawings, and controls that choose what they show."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


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


def choices(name: str, label: str, texts: Sequence[str]) -> Control:
    """A control whose options have their places as keys: labels may hold anything."""
    return Control(name, label, tuple((str(place), text) for place, text in enumerate(texts)))

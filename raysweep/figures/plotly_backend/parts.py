"""Parts of an interactive figure: drawings, and controls that choose what they show."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Control:
    """Control with which the reader chooses what is shown.

    Args:
        name: Name of the control, unique in the page.
        label: Label beside the control.
        options: Key and text of each option.
    """

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One drawing of a figure.

    Args:
        name: Name of the drawing, unique in the page.
        title: Title above the drawing; empty for none.
        height: Height in pixels.
        views: Plotly's `data` and `layout` by the keys of the controls' options, joined by spaces.
        width: Least width in pixels, below which the page scrolls it; 0 for none.
    """

    name: str
    title: str
    height: int
    views: Mapping[str, Mapping[str, Any]]
    width: int = 0


@dataclasses.dataclass(frozen=True)
class Figure:
    """Figure of a report, or the reason why it is left out.

    Args:
        name: Name of the figure, unique in the page.
        title: Heading of the figure.
        caption: Text that explains the figure.
        plots: Drawings, side by side where there is room.
        controls: Controls that choose what the drawings show.
        legend: Index and label of each estimator that is drawn in its colour.
        missing: Reason why the figure is left out; empty if it is not.
        webgl: Whether a browser needs WebGL for the figure.
        log: Whether the reader can make the y axes logarithmic.
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
    """Return a control whose options have their indices as keys, as labels may hold anything."""
    return Control(name, label, tuple((str(index), text) for index, text in enumerate(texts)))

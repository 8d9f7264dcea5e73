"""Parts of a report's sections: tables and drawings, and controls to choose among them."""

import base64
import dataclasses
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.formats.grid import Grid


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
class Views:
    """Tables of which one set is shown at a time.

    Args:
        controls: Controls that choose the set; those with one option are not shown.
        grids: Sets of tables by the keys of the controls' options, joined by a space; the first
            set is shown first.
    """

    controls: tuple[Control, ...]
    grids: Mapping[str, tuple[Grid, ...]]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One drawing of a figure.

    Args:
        name: Name of the drawing, unique in the page.
        title: Title above the drawing; empty for none.
        height: Height in pixels.
    """

    name: str
    title: str
    height: int


@dataclasses.dataclass(frozen=True)
class Figure:
    """Figure of a report, or the reason why it is left out.

    Args:
        name: Name of the figure, unique in the page.
        title: Heading of the figure.
        plots: Drawings, side by side where there is room.
        data: Vega-Lite descriptions of each drawing, packed: by its name, then by the keys of the
            controls' options, joined by spaces.
        controls: Controls that choose what the drawings show.
        texts: Caption, and the numbers as a table, by the keys of the controls' options.
        legend: Index and text of each row that is drawn in its colour.
        missing: Reason why the figure is left out; empty if it is not.
        log: Whether the reader can make the y axes logarithmic.
    """

    name: str
    title: str
    plots: tuple[Plot, ...] = ()
    data: str = ""
    controls: tuple[Control, ...] = ()
    texts: Mapping[str, tuple[str, Grid]] = dataclasses.field(default_factory=dict)
    legend: tuple[tuple[int, str], ...] = ()
    missing: str = ""
    log: bool = False


def packed(data: Any) -> str:
    """Return data as JSON, compressed by gzip and as letters of base 64, which the page unpacks.

    It is a tenth as long, and cannot end the script element that holds it.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def choices(name: str, label: str, texts: Sequence[str]) -> Control:
    """Return a control whose options have their indices as keys, as labels may hold anything."""
    return Control(name, label, tuple((str(index), text) for index, text in enumerate(texts)))

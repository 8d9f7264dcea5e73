"""Drawings of figures: panels with their data, a caption, and the same numbers as text."""

import contextlib
import dataclasses
import json
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import altair as alt
import numpy as np
from altair.utils import schemapi

from raysweep.figures.size import DASHES, ENTRY

Records: TypeAlias = list[dict[str, Any]]

DIGITS = 8  # significant digits of a number in a description; what a reader sees has six or fewer
MOST_NUMBERS = 200  # rows of the table under a figure
PALE = 0.45  # opacity of what is not final
HIDDEN = 0.08  # opacity of the rows that a reader did not choose in the legend

# Marks of lines, of the bands around them, and of their points, which are invisible but have tips.
LINE: Mapping[str, Any] = {"clip": True, "strokeWidth": 1.5}
BAND: Mapping[str, Any] = {"clip": True, "opacity": 0.2, "line": False, "strokeWidth": 0}
HOVER: Mapping[str, Any] = {"clip": True, "size": 40, "filled": True, "fillOpacity": 0}

ROW = "row"  # column of the rows' texts in the data of every figure with a legend
OPACITY = "opacity"  # column of the opacities of lines


@dataclasses.dataclass(frozen=True)
class Layers:
    """Chart of a panel, without its size and its data.

    Args:
        charts: Layers from the lowest to the highest.
        selections: Selections of the panel, by which a reader moves it.
    """

    charts: Sequence[alt.Chart]
    selections: Sequence[alt.Parameter] = ()

    def chart(self) -> alt.LayerChart | alt.FacetChart:
        """Return the layers as a chart of Altair."""
        return alt.layer(*self.charts).add_params(*self.selections)

    def describe(self, *selections: alt.Parameter) -> dict[str, Any]:
        """Return the description of the chart, with further selections.

        It is that of `chart`, which copies every part several times.
        """
        context = {"top_level": False}
        layers = [part.to_dict(validate=False, context=dict(context)) for part in self.charts]
        chosen = [one.param for one in (*self.selections, *selections)]
        params = [
            one.to_dict(validate=False)
            for one in chosen
            if not isinstance(one, schemapi.UndefinedType)
        ]
        if params:
            layers[0]["params"] = params
        return {"layer": layers}


@dataclasses.dataclass(frozen=True)
class PanelChart:
    """Panel of a figure.

    Args:
        title: Title above the panel.
        draw: Function that returns the chart, without its size and its data; its arguments say
            whether the x and the y axis have titles.
        data: Records by the names that the chart has for its data.
        height: Height of the panel in points; None for the usual one.
        width: Relative width of the panel, for panels of cells; 1 for all others.
    """

    title: str
    draw: Callable[[bool, bool], Layers]
    data: Mapping[str, Records]
    height: float | None = None
    width: float = 1.0


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Numbers of a figure as a table, for readers who cannot see it.

    Args:
        head: Heads of the columns.
        rows: Texts of each row.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, head: Sequence[str], rows: Sequence[Sequence[str]]) -> "Numbers":
        """Return a table of at most `MOST_NUMBERS` rows, with the number of further rows."""
        shown = [tuple(row) for row in rows[:MOST_NUMBERS]]
        further = len(rows) - len(shown)
        if further:
            shown.append((f"and {further:,} more", *[""] * (len(head) - 1)))
        return cls(tuple(head), tuple(shown))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Figure as a description.

    Args:
        panels: Panels in the order in which they are read.
        caption: Text that explains the figure.
        numbers: The numbers of the figure as a table.
        columns: Number of panels that belong in a row; as many as fit if None.
        rows: Index in the sweep file and text of each row in the legend; empty without one.
        narrowest: Least width of a panel of relative width 1, in points; on paper and on a screen
            there are fewer panels in a row rather than narrower ones.
        widest: Largest width of such a panel on a screen, in points.
    """

    panels: tuple[PanelChart, ...]
    caption: str
    numbers: Numbers
    columns: int | None = None
    rows: tuple[tuple[int, str], ...] = ()
    narrowest: float = 0.0
    widest: float = math.inf


class Rows:
    """Colours and dashes of a figure's rows, by their indices in the sweep file.

    Args:
        texts: Text of each row that is shown, by its index.
    """

    def __init__(self, texts: Mapping[int, str]) -> None:
        self.texts = dict(sorted(texts.items()))
        # Every row up to the last one, so that a row has its colour whichever others are shown.
        last = max(self.texts, default=-1)
        self.domain = [self.texts.get(index, f"\u200b{index}") for index in range(last + 1)]
        lines = {text: textwrap.wrap(text, ENTRY) for text in self.texts.values()}
        long = {text: entry for text, entry in lines.items() if len(entry) > 1}
        self.legend = alt.Legend(values=list(self.texts.values()), title=None)
        if long:
            self.legend.labelExpr = f"({json.dumps(long)})[datum.label] || datum.label"

    @property
    def entries(self) -> tuple[tuple[int, str], ...]:
        """Index and text of each row in the legend."""
        return tuple(self.texts.items())

    @property
    def color(self) -> alt.Color:
        """Encoding of the rows by colour, with the legend."""
        return alt.Color(f"{ROW}:N", scale=alt.Scale(domain=self.domain), legend=self.legend)

    @property
    def dash(self) -> alt.StrokeDash:
        """Encoding of the rows by dashes, with the same legend."""
        dashes = [list(DASHES[index % len(DASHES)]) for index in range(len(self.domain))]
        scale = alt.Scale(domain=self.domain, range=dashes)
        return alt.StrokeDash(f"{ROW}:N", scale=scale, legend=self.legend)


CHOSEN = alt.selection_point(name="rows", fields=[ROW], bind="legend")


@contextlib.contextmanager
def unvalidated() -> Iterator[None]:
    """Build charts without Altair's check of every part, which takes most of the time.

    Encodings are channels, not their short forms in text, which take ten times as long.
    The charts of each kind are checked by tests, and Vega-Lite itself refuses a wrong description.
    """
    with schemapi.debug_mode(False):
        yield


def opacity() -> alt.OpacityValue:
    """Encoding by opacity: that of the data for the rows chosen in the legend, faint for others."""
    given = {"field": OPACITY, "type": "quantitative", "scale": None, "legend": None}
    return alt.OpacityValue(HIDDEN, condition={"param": CHOSEN.name, **given})


def row_tip() -> alt.Tooltip:
    """Return the line of a tip that names the row."""
    return alt.Tooltip(f"{ROW}:N", title=" ")


def band_tips() -> list[alt.Tooltip]:
    """Return the lines of a tip on a band."""
    return [
        alt.Tooltip("low:Q", title="band from", format=".6g"),
        alt.Tooltip("high:Q", title="to", format=".6g"),
    ]


def scale_type(*, log: bool) -> Literal["log", "linear"]:
    """Return the type of the scale of a continuous axis."""
    return "log" if log else "linear"


def zoom(panel: str, *axes: Literal["x", "y"]) -> alt.Parameter:
    """Return the selection by which a reader moves and zooms a panel; a double click resets it.

    Args:
        panel: Name of the panel's data.
        axes: Axes that move; both if empty.
    """
    wheel = "wheel![event.ctrlKey || event.metaKey || event.shiftKey]"  # else the page scrolls
    name = f"zoom_{panel.replace('-', '_')}"
    return alt.selection_interval(
        name=name, bind="scales", zoom=wheel, encodings=list(axes or ("x", "y"))
    )


def number(value: Any) -> float | int | None:
    """Return a number rounded to `DIGITS` digits; None if it is not finite."""
    if isinstance(value, int | np.integer):
        return int(value)
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")


def records(**columns: Sequence[Any] | np.ndarray[Any, Any] | str | float | int) -> Records:
    """Return records of columns; a column that is one value has it in every record.

    Args:
        columns: Values by name; numbers that are not finite become None.
    """
    arrays = {
        name: np.asarray(values).tolist()
        for name, values in columns.items()
        if not isinstance(values, str | float | int)
    }
    length = len(next(iter(arrays.values()), [None]))
    whole = {
        name: arrays[name] if name in arrays else [values] * length
        for name, values in columns.items()
    }
    return [
        {
            name: value if isinstance(value, str | bool) or value is None else number(value)
            for name, value in zip(whole, values, strict=True)
        }
        for values in zip(*whole.values(), strict=True)
    ]


def placeholder(text: str) -> Callable[[bool, bool], Layers]:
    """Return the drawing of a panel without data, which says why it is empty."""

    def draw(x_title: bool, y_title: bool) -> Layers:
        base = alt.Chart(alt.InlineData(values=[{}]))
        return Layers([base.mark_text(style="note", text=text)])

    return draw


def sentence(parts: Sequence[str]) -> str:
    """Join the parts that are not empty into one caption."""
    return "; ".join(part for part in parts if part)


def axis_label(name: str, unit: str) -> str:
    """Return the name of a metric with its unit, if it has one."""
    return f"{name} [{unit}]" if unit else name

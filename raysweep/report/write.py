"""Puts a sweep's report into one HTML file, which needs no network."""

import contextlib
import json
import os
import re
import uuid
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex
from plotly.offline import get_plotlyjs

from raysweep.errors import SpecError
from raysweep.figures.plotly_backend.parts import Figure
from raysweep.figures.style import COLOURS, MARKERS
from raysweep.report.page import Page, page
from raysweep.results.sweep_results import SweepResults

SIGNS = ("", "○", "▲", "■", "◆", "▼", "✚", "✖")  # of MARKERS, in a legend
SHADES = 9
LIGHT = {"ink": "#1b1f24", "soft": "#57606a", "grid": "#dddddd", "box": "#ffffff"}
DARK = {"ink": "#e6e8eb", "soft": "#a5adb8", "grid": "#333a44", "box": "#1e2329"}
BLACK, WHITE = "#000000", "#f2f2f2"  # black lines are lost on a dark page


def save(results: SweepResults, out: str | Path | None = None, select: str | None = None) -> Path:
    """Writes a sweep's report, whole or not at all, and says into which file.

    Args:
        results: Of the sweep.
        out: The file; None for `<sweep>.html` in the working directory.
        select: The metric that selects configurations; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric, or the file cannot be written.
    """
    path = Path(f"{results.sweep}.html" if out is None else out)
    _check(path)
    text = render(page(results, select))
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(aside, path)
    except OSError as error:
        raise SpecError(
            f"expected a file that can be written, got {str(path)!r}: {error.strerror}",
            field="path",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return path


def render(what: Page) -> str:
    """The report as one HTML document."""
    own = resources.files("raysweep.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((own / "page.html").read_text(encoding="utf-8"))
    drawn = any(figure.plots for figure in what.figures)
    return template.render(
        page=what,
        style=Markup((own / "page.css").read_text(encoding="utf-8")),
        script=_script((own / "page.js").read_text(encoding="utf-8")),
        plotly=_script(get_plotlyjs()) if drawn else "",
        # Plotly's parallel coordinates compile their drawing when it is known; still no network.
        evaluates=any(figure.webgl and figure.plots for figure in what.figures),
        palette=_json(_palette()),
        data={figure.name: _json(_drawings(figure)) for figure in what.figures},
        colours=len(COLOURS),
        signs=SIGNS[: len(MARKERS)],
    )


def _drawings(figure: Figure) -> dict[str, Any]:
    return {plot.name: plot.views for plot in figure.plots}


def _palette() -> dict[str, Any]:
    """Colours on a light and on a dark page: of text, of estimators, of scores from worst to best.

    Shades leave out the end of viridis that the page would swallow.
    """
    dark = [WHITE if each == BLACK else each for each in COLOURS]
    return {
        "light": {**LIGHT, "places": list(COLOURS), "shades": _shades(0, 0.92)},
        "dark": {**DARK, "places": dark, "shades": _shades(0.3, 1)},
    }


def _shades(low: float, high: float) -> list[tuple[float, str]]:
    viridis = colormaps["viridis"]
    ends = np.linspace(0, 1, SHADES).tolist()
    return [(end, to_hex(viridis(low + end * (high - low)))) for end in ends]


def _json(data: Any) -> Markup:
    """Data for a script element, which nothing in it can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _script(text: str) -> Markup:
    """A program for a script element, which nothing in it can end: strings stay what they are."""
    return Markup(re.sub(r"<(?=/script|script|!--)", r"\\x3c", text, flags=re.IGNORECASE))


def _check(path: Path) -> None:
    """Refuses a file that cannot be written, before anything is read."""
    if path.suffix.lower() != ".html":
        raise SpecError(f"expected a name that ends in .html, got {str(path)!r}", field="path")
    if not path.parent.is_dir():
        raise SpecError(
            f"expected a file in a folder that exists, got {str(path)!r}; "
            f"make {str(path.parent)!r} first",
            field="path",
        )

"""The report as one HTML file, which needs no network."""

import json
import re
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
from raysweep.formats.markup import html_table
from raysweep.report.page import Page, page
from raysweep.results.output_file import check_folder, written_whole
from raysweep.results.sweep_results import SweepResults
from raysweep.text import counted

SIGNS = ("", "○", "▲", "■", "◆", "▼", "✚", "✖")  # MARKERS as characters, for legends
SHADES = 9
LIGHT = {"ink": "#1b1f24", "soft": "#57606a", "grid": "#dddddd", "box": "#ffffff"}
DARK = {"ink": "#e6e8eb", "soft": "#a5adb8", "grid": "#333a44", "box": "#1e2329"}
BLACK, WHITE = "#000000", "#f2f2f2"  # black lines would be invisible on a dark page


def save(results: SweepResults, out: str | Path | None = None, select: str | None = None) -> Path:
    """Write a sweep's report, completely or not at all, and return its path.

    Args:
        results: Results of the sweep.
        out: The file; `<sweep>.html` in the working directory if None.
        select: The metric that selects configurations; the sweep file's if None.

    Raises:
        SpecError: If the sweep has no such metric, or the file cannot be written.
    """
    path = Path(f"{results.sweep}.html" if out is None else out)
    _check(path)
    text = render(page(results, select))
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
    return path


def render(content: Page) -> str:
    """Return the report as one HTML document."""
    files = resources.files("raysweep.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    drawn = any(figure.plots for figure in content.figures)
    return template.render(
        page=content,
        counted=counted,
        html_table=lambda grid, sortable: Markup(html_table(grid, sortable=sortable)),
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        script=_script((files / "page.js").read_text(encoding="utf-8")),
        plotly=_script(get_plotlyjs()) if drawn else "",
        # Plotly compiles parallel coordinates in the browser, which also needs no network.
        evaluates=any(figure.webgl and figure.plots for figure in content.figures),
        palette=_json(_palette()),
        data={figure.name: _json(_drawings(figure)) for figure in content.figures},
        colours=len(COLOURS),
        signs=SIGNS[: len(MARKERS)],
    )


def _drawings(figure: Figure) -> dict[str, Any]:
    return {plot.name: plot.views for plot in figure.plots}


def _palette() -> dict[str, Any]:
    """Return the colours of text, estimators and scores, on a light and on a dark page.

    Shades leave out the end of viridis that is close to the colour of the page.
    """
    dark = [WHITE if colour == BLACK else colour for colour in COLOURS]
    return {
        "light": {**LIGHT, "colours": list(COLOURS), "shades": _shades(0, 0.92)},
        "dark": {**DARK, "colours": dark, "shades": _shades(0.3, 1)},
    }


def _shades(low: float, high: float) -> list[tuple[float, str]]:
    viridis = colormaps["viridis"]
    ends = np.linspace(0, 1, SHADES).tolist()
    return [(end, to_hex(viridis(low + end * (high - low)))) for end in ends]


def _json(data: Any) -> Markup:
    """Return data for a script element, escaped so that it cannot end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _script(text: str) -> Markup:
    """Return a program for a script element, escaped so that it cannot end the element."""
    return Markup(re.sub(r"<(?=/script|script|!--)", r"\\x3c", text, flags=re.IGNORECASE))


def _check(path: Path) -> None:
    """Check that the file can be written, before results are read."""
    if path.suffix.lower() != ".html":
        raise SpecError(f"expected a name that ends in .html, got {str(path)!r}", field="path")
    check_folder(path)

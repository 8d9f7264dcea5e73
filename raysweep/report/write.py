"""The report as one HTML file, which needs no network."""

import gc
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from raysweep.figures.rendering import data_in_page, embedding_script, program_in_page
from raysweep.figures.size import DASHES, LIGHT, SCREEN, look, palette
from raysweep.formats.markup import html_table
from raysweep.report.page import Page, page
from raysweep.results.output_file import PAGES, check_suffix, written_whole
from raysweep.results.sweep_results import SweepResults
from raysweep.text import counted

ROWS = [f"row{index}" for index in range(len(palette()))]  # names of colours in the page's style
MOST_NOTES = 8  # below a table, before they are folded
FONT = "system-ui, -apple-system, 'Liberation Sans', sans-serif"


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
    check_suffix(path, PAGES)
    content = page(results, select)
    gc.collect()  # the results, which a page does not need
    pa.default_memory_pool().release_unused()
    text = render(content)
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
        most_notes=MOST_NOTES,
        html_table=lambda grid, sortable: Markup(html_table(grid, sortable=sortable)),
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        script=Markup(program_in_page((files / "page.js").read_text(encoding="utf-8"))),
        embedding=Markup(embedding_script()) if drawn else "",
        look=Markup(data_in_page({"page": _look(), "file": look(SCREEN)})),
        palettes=[list(zip(ROWS, palette(dark=dark), strict=True)) for dark in (False, True)],
        strokes=[f"var(--{name})" for name in ROWS],
        dashes=DASHES,
    )


def _look() -> dict[str, Any]:
    """Return the configuration of figures in the page: its colours are those of the page's style.

    So they change with the page, from light to dark and on paper, without being drawn again.
    """
    page_look = look(SCREEN)
    page_look["range"]["category"] = [f"var(--{name})" for name in ROWS]
    text = json.dumps(page_look)
    for name, colour in LIGHT.items():
        text = text.replace(f'"{colour}"', f'"var(--{name})"')
    named: dict[str, Any] = json.loads(text)
    sizes = {"labelFontSize": 11, "titleFontSize": 12}
    named.update(background=None, font=FONT, legend={"disable": True}, title={"fontSize": 12})
    named["axis"].update(sizes)
    named["style"]["note"]["fontSize"] = 12
    return named

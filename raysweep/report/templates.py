"""Templates, style and program of pages with tables and figures: the report, and others."""

import functools
import json
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from raysweep.figures.rendering import data_in_page, program_in_page
from raysweep.figures.size import DASHES, LIGHT, SCREEN, look, palette
from raysweep.formats.grid import Grid
from raysweep.formats.markup import html_table
from raysweep.text import counted

PACKAGE = "raysweep.report"
ROWS = [f"row{index}" for index in range(len(palette()))]  # names of colours in a page's style
MOST_NOTES = 8  # below a table, before they are folded
FONT = "system-ui, -apple-system, 'Liberation Sans', sans-serif"


def environment(*packages: str) -> Environment:
    """Return Jinja's environment of the report's templates, and of those of other packages.

    Args:
        packages: Names of packages that hold further templates.
    """
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name, "") for name in (PACKAGE, *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(
        counted=counted,
        most_notes=MOST_NOTES,
        html_table=_table,
        strokes=[f"var(--{name})" for name in ROWS],
        dashes=DASHES,
    )
    return templates


def _table(grid: Grid, sortable: bool) -> Markup:
    return Markup(html_table(grid, sortable=sortable))


def text_of(name: str) -> str:
    """Return the text of a file of the report, such as its style `page.css`."""
    return (resources.files(PACKAGE) / name).read_text(encoding="utf-8")


def script() -> str:
    """Return the program of a page with tables and figures."""
    return program_in_page(text_of("page.js"))


def palettes() -> list[list[tuple[str, str]]]:
    """Return the names and colours of rows, on a light page and on a dark one."""
    return [list(zip(ROWS, palette(dark=dark), strict=True)) for dark in (False, True)]


@functools.cache
def looks() -> str:
    """Return the configurations of figures in a page and in a file, as JSON for a page."""
    return data_in_page({"page": _look(), "file": look(SCREEN)})


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

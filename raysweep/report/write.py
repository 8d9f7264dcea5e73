"""The report as one HTML file, which needs no network."""

import gc
from pathlib import Path

import pyarrow as pa
from markupsafe import Markup

from raysweep.figures.rendering import embedding_script
from raysweep.report.page import Page, page
from raysweep.report.templates import environment, looks, palettes, script, text_of
from raysweep.results.output_file import PAGES, check_suffix, written_whole
from raysweep.results.sweep_results import SweepResults


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
    drawn = any(figure.plots for figure in content.figures)
    return (
        environment()
        .get_template("page.html")
        .render(
            page=content,
            style=Markup(text_of("page.css")),
            script=Markup(script()),
            embedding=Markup(embedding_script()) if drawn else "",
            look=Markup(looks()),
            palettes=palettes(),
        )
    )

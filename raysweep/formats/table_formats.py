"""Output formats of a result table, by name."""

from collections.abc import Callable, Mapping, Sequence

from raysweep.formats.choice import known
from raysweep.formats.data import as_csv, as_json
from raysweep.formats.latex import as_latex
from raysweep.formats.markup import as_html, as_markdown
from raysweep.formats.tables import grids
from raysweep.formats.text import as_text
from raysweep.results.table import ResultTable

FORMATS: Mapping[str, Callable[[ResultTable], str]] = {
    "text": lambda table: as_text(grids(table)),
    "markdown": lambda table: as_markdown(grids(table)),
    "latex": as_latex,
    "html": lambda table: as_html(grids(table)),
    "csv": as_csv,
    "json": as_json,
}
NAMES: Sequence[str] = tuple(FORMATS)


def render(table: ResultTable, format: str) -> str:
    """Return the table in one of `FORMATS`.

    Raises:
        SpecError: If there is no such format.
    """
    return known(FORMATS, format)(table)

"""The best configurations of each arm: as a table, and as text, Markdown, LaTeX, HTML or data."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from raysweep.formats.choice import known
from raysweep.formats.entries import entry_text
from raysweep.formats.grid import Cell, Grid
from raysweep.formats.latex import latex
from raysweep.formats.markup import as_html, as_markdown
from raysweep.formats.tables import setting_text
from raysweep.formats.text import as_text
from raysweep.results.table import Entry
from raysweep.results.top import RankedConfiguration, TopConfigurations
from raysweep.text import counted, csv_row

MARK = "shown in the result table"
NOTES = {
    "unfinished": "unfinished: some seeds of the search have not ended",
    "stopped": "stopped: ended early, with the mean at that step",
    "diverged": "diverged: a seed of the search diverged",
    "failed": "failed: a seed of the search failed",
}
NOTHING = "nothing is searched"


def top_grid(top: TopConfigurations) -> Grid:
    """Return the best configurations of each arm; narrower without their ids."""
    unit = f" [{top.unit}]" if top.unit else ""
    better = "lower" if top.mode == "min" else "higher"
    caption = (
        f"{top.sweep}: the best of {counted(top.total, 'configuration')}, at most {top.count} of "
        f"each arm, by mean {top.metric}{unit} ± std over the {counted(top.seeds, 'seed')} of the "
        f"search; {better} is better; those with all seeds done come first"
    )
    head = (top.row_kind, "task", "#", top.metric, "seeds", "status", "settings", "id")
    rows = tuple(_row(row, top.seeds) for row in top.rows)
    seen = {row.status for row in top.rows}
    without = any(row.status == "done" and row.mean is None for row in top.rows)
    lacking = [f"–: no run of the configuration has {top.metric}"] if without else []
    notes = (*(note for status, note in NOTES.items() if status in seen), *lacking)
    mark = MARK if any(row.is_selected for row in top.rows) else ""
    grid = Grid(caption, head, rows, notes, frozenset({3}), frozenset({6}), mark, keys=3)
    return dataclasses.replace(grid, narrower=(_without_ids(grid),))


def _without_ids(grid: Grid) -> Grid:
    rows = tuple(cells[:-1] for cells in grid.rows)
    return dataclasses.replace(grid, head=grid.head[:-1], rows=rows)


def _row(row: RankedConfiguration, seeds: int) -> tuple[Cell, ...]:
    entry = Entry(row.mean, row.std, word="–")
    settings = ", ".join(
        f"{key.partition('.')[2]} {setting_text(value)}" for key, value in row.settings.items()
    )
    return (
        *map(Cell, (row.estimator, row.task, str(row.position))),
        Cell(entry_text(entry), row.is_selected, entry),
        Cell(f"{row.seeds} of {seeds}"),
        *map(Cell, (row.status, settings or NOTHING, row.configuration_id)),
    )


def records(top: TopConfigurations) -> list[dict[str, Any]]:
    """Return the configurations as plain data, unrounded."""
    return [
        {
            **dataclasses.asdict(row),
            "metric": top.metric,
            "values": {str(seed): value for seed, value in row.values.items()},
        }
        for row in top.rows
    ]


def as_csv(top: TopConfigurations) -> str:
    """Return a line per configuration; settings and values are JSON."""
    out = io.StringIO()
    rows = records(top)
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["estimator"], lineterminator="\n")
    writer.writeheader()
    for record in rows:
        encoded = {key: json.dumps(record[key]) for key in ("settings", "values")}
        writer.writerow(csv_row({**record, **encoded}))
    return out.getvalue()


def as_json(top: TopConfigurations) -> str:
    """Return the list as one JSON object, unrounded."""
    data = {**dataclasses.asdict(top), "rows": records(top)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[TopConfigurations], str]] = {
    "text": lambda top: as_text([top_grid(top)]),
    "markdown": lambda top: as_markdown([top_grid(top)]),
    "latex": lambda top: latex([top_grid(top)]),
    "html": lambda top: as_html([top_grid(top)]),
    "csv": as_csv,
    "json": as_json,
}


def render_top(top: TopConfigurations, format: str) -> str:
    """Return the list in one of `FORMATS`.

    Raises:
        SpecError: If there is no such format.
    """
    return known(FORMATS, format)(top)

"""Section of the selected configurations: their searched settings and values by seed."""

from raysweep.formats.grid import NONE, Grid, row
from raysweep.report.parts import Views
from raysweep.report.tables import Tables
from raysweep.results.selection import Cell
from raysweep.results.table import ResultTable

MAX_VALUES = 150_000  # of all configurations and metrics together: about 3 MB
MIN_VALUES = 10  # of one configuration
MAX_SETTINGS = 1000  # cells of all metrics, up to which the settings are shown for each metric


def configurations_section(tables: Tables) -> Views:
    """Return, for every metric, the selected configurations with the metric of each seed."""
    cells = sum(len(table.cells) for table in tables.by_metric.values())
    limit = max(MIN_VALUES, MAX_VALUES // max(1, cells))
    views = {
        str(index): (_table(table, limit, settings=index == 0 or cells <= MAX_SETTINGS),)
        for index, table in enumerate(tables.by_metric.values())
    }
    return Views((tables.control("configurations-metric"),), views)


def _table(table: ResultTable, limit: int, *, settings: bool) -> Grid:
    rows = [
        row(
            [
                cell.estimator,
                cell.task,
                cell.status,
                *([_settings(cell)] if settings else []),
                None if cell.mean is None else f"{cell.mean:.6g}",
                cell.n,
                _values(cell, limit),
                cell.configuration_id,
            ]
        )
        for cell in table.cells
    ]
    many = any(len(cell.values) > limit for cell in table.cells)
    notes = [f"only the first {limit:,} seeds are shown"] if many else []
    if not settings:
        notes.append(f"settings by id: in the table of {table.select}")
    head = (
        *(table.row_kind, "task", "status", *(["searched settings"] if settings else [])),
        *("mean", "n", "values by seed", "id"),
    )
    caption = (
        f"Configurations selected by the {table.select_mode}imum mean {table.select}, with "
        f"{table.report} of each seed"
    )
    numbers = frozenset(map(head.index, ("mean", "n")))
    long = frozenset(map(head.index, (*head[3:-4], "values by seed")))
    return Grid(caption, head, tuple(rows), tuple(notes), numbers, long)


def _settings(cell: Cell) -> str:
    if cell.configuration_id is None:
        return NONE
    # In full, so that the configuration can be run again.
    texts = [f"{key} = {value}" for key, value in cell.settings.items()]
    return "\n".join(texts) or "nothing is searched"


def _values(cell: Cell, limit: int) -> str:
    values = sorted(cell.values.items())
    texts = [f"{seed}: {value:.6g}" for seed, value in values[:limit]]
    left = len(values) - limit
    return ", ".join(texts) + (f" and {left:,} more" if left > 0 else "") if texts else NONE

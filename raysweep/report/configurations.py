"""The report's selected configurations: their searched settings and their seeds' values."""

from raysweep.report.parts import NONE, Table, Views, row, shown
from raysweep.report.tables import Tables
from raysweep.results.selection import Cell
from raysweep.results.table import ResultTable

VALUES = 150_000  # of all configurations and metrics together: some 3 MB
FEWEST = 10  # of a configuration


def configurations_section(tables: Tables) -> Views:
    """For every metric, the configuration of each arm with the metric's value of each seed."""
    shown_at_all = sum(len(table.cells) for table in tables.by_metric.values())
    most = max(FEWEST, VALUES // max(1, shown_at_all))
    views = {
        str(place): (_table(table, most),) for place, table in enumerate(tables.by_metric.values())
    }
    return Views((tables.control("configurations-metric"),), views)


def _table(table: ResultTable, most: int) -> Table:
    rows = [
        row(
            [
                cell.estimator,
                cell.task,
                cell.status,
                _settings(cell),
                shown(cell.mean),
                cell.n,
                _values(cell, most),
                (cell.configuration_id or NONE),
            ]
        )
        for cell in table.cells
    ]
    many = any(len(cell.values) > most for cell in table.cells)
    notes = (f"of more than {most:,} seeds the first are shown",) if many else ()
    head = ("estimator", "task", "status", "searched settings", "mean", "n", "values by seed", "id")
    caption = (
        f"Configurations selected by the {table.select_mode}imum mean {table.select}, with "
        f"{table.report} of each seed"
    )
    return Table(caption, head, tuple(rows), notes, frozenset({4, 5}), frozenset({3, 6}))


def _settings(cell: Cell) -> str:
    if cell.configuration_id is None:
        return NONE
    # In full, so that the configuration can be run again.
    texts = [f"{key} = {value}" for key, value in cell.settings.items()]
    return "\n".join(texts) or "nothing is searched"


def _values(cell: Cell, most: int) -> str:
    found = sorted(cell.values.items())
    texts = [f"{seed}: {value:.6g}" for seed, value in found[:most]]
    left = len(found) - most
    return ", ".join(texts) + (f" and {left:,} more" if left > 0 else "") if texts else NONE

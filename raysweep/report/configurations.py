"""The report's selected configurations: their searched settings and their seeds' values."""

from raysweep.report.parts import NONE, Table, Views, row, shown
from raysweep.report.tables import Tables
from raysweep.results.forms.parts import setting_text
from raysweep.results.select import Cell
from raysweep.results.table import ResultTable

MOST_SEEDS = 100  # of a configuration, whose values are shown


def configurations_section(tables: Tables) -> Views:
    """For every metric, the configuration of each arm with the metric's value of each seed."""
    views = {str(place): (_table(table),) for place, table in enumerate(tables.by_metric.values())}
    return Views((tables.control("configurations-metric"),), views)


def _table(table: ResultTable) -> Table:
    rows = [
        row(
            [
                cell.estimator,
                cell.task,
                cell.status,
                _settings(cell),
                shown(cell.mean),
                cell.n,
                _values(cell),
                (cell.configuration_id or NONE),
            ]
        )
        for cell in table.cells
    ]
    many = any(len(cell.values) > MOST_SEEDS for cell in table.cells)
    notes = (f"of more than {MOST_SEEDS} seeds the first are shown",) if many else ()
    head = ("estimator", "task", "status", "searched settings", "mean", "n", "values by seed", "id")
    caption = (
        f"Configurations selected by the {table.select_mode}imum mean {table.select}, with "
        f"{table.report} of each seed"
    )
    return Table(caption, head, tuple(rows), notes, frozenset({4, 5}), frozenset({3, 6}))


def _settings(cell: Cell) -> str:
    if cell.configuration_id is None:
        return NONE
    texts = [f"{key} = {setting_text(value)}" for key, value in cell.settings.items()]
    return "\n".join(texts) or "nothing is searched"


def _values(cell: Cell) -> str:
    found = sorted(cell.values.items())
    texts = [f"{seed}: {value:.6g}" for seed, value in found[:MOST_SEEDS]]
    left = len(found) - MOST_SEEDS
    return ", ".join(texts) + (f" and {left:,} more" if left > 0 else "") if texts else NONE

"""The tables of a result table: means, medians, and Pareto fronts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from raysweep.formats.captions import mark, notes, title
from raysweep.formats.entries import entry_text
from raysweep.formats.grid import Cell, Grid, row
from raysweep.results.stats.summary import median
from raysweep.results.table import Column, Entry, ResultTable


def grids(table: ResultTable, *, counted: bool = True) -> list[Grid]:
    """Return the table of means, and the Pareto fronts if two metrics select.

    Args:
        table: The result table.
        counted: Whether every entry shows its number of seeds; otherwise the caption does.
    """
    fronts = [front_grid(table)] if table.front_metrics else []
    return [result_grid(table, counted=counted), *fronts]


def result_grid(table: ResultTable, *, counted: bool = True) -> Grid:
    """Return the table of means, as `grids` does.

    Narrower versions lack the numbers of seeds, then the average unless it was asked for, then the
    rank too.
    """
    kept = ("task", "average") if table.style.average else ("task",)
    optional = [column for column in table.columns if column.kind not in kept]
    first, *narrower = (
        _version(table, counted, ()),
        *([_version(table, False, ())] if counted else []),
        *(_version(table, False, optional[: count + 1]) for count in range(len(optional))),
    )
    return dataclasses.replace(first, narrower=tuple(narrower))


def _version(table: ResultTable, counted: bool, without: Sequence[Column]) -> Grid:
    """Return the table of means without some columns."""

    def cell(estimator: str, column: Column) -> Cell:
        entry = table.entry(estimator, column)
        entry = entry if counted else entry.uncounted
        return Cell(entry_text(entry), estimator in table.judgement(column).bold, entry)

    columns = [column for column in table.columns if column not in without]
    caption = title(table, counted=counted)
    below = notes(table, columns)
    return _by_row(table, caption, columns, cell, below, mark(table, columns))


def median_grid(table: ResultTable) -> Grid:
    """Return the table of medians over seeds, which has no marks."""

    def cell(estimator: str, column: Column) -> Cell:
        entry, known = table.entry(estimator, column), table.cell(estimator, column.label)
        if known is not None and entry.mean is not None:
            middle = median(list(known.values.values()))
            entry = Entry(middle, n=entry.n, provisional=entry.provisional)
        return Cell(entry_text(entry), entry=entry)

    tasks = [column for column in table.columns if column.kind == "task"]
    provisional = [note for note in notes(table) if note.startswith("?")]
    below = ["no marks: the tests compare means", *provisional]
    return _by_row(table, title(table, numbers="median (n)"), tasks, cell, below, None)


def _by_row(
    table: ResultTable,
    caption: str,
    columns: Sequence[Column],
    cell: Callable[[str, Column], Cell],
    below: Sequence[str],
    marked: str | None,
) -> Grid:
    """Return a table with a row for each estimator or method, whose other columns are numbers."""
    head = (table.row_kind, *(column.label for column in columns))
    rows = tuple(
        (Cell(estimator), *(cell(estimator, column) for column in columns))
        for estimator in table.estimators
    )
    numbers = frozenset(range(1, len(head)))
    return Grid(caption, head, rows, tuple(below), numbers, mark=marked)


def front_grid(table: ResultTable) -> Grid:
    """Return the Pareto fronts."""
    metrics = [select.metric for select in table.front_metrics]
    named = " against ".join(f"{select.metric} ({select.mode})" for select in table.front_metrics)
    caption = (
        f"Pareto front: {named}, mean ± std (n) over seeds; no other configuration of the arm is "
        "better in one and as good in the other"
    )
    rows = []
    for point in table.front:
        values = (
            entry_text(Entry(mean, std, n=point.n))
            for mean, std in zip(point.means, point.stds, strict=True)
        )
        settings = ", ".join(
            f"{key.partition('.')[2]} {setting_text(value)}"
            for key, value in point.settings.items()
        )
        rows.append(row([point.estimator, point.task, *values, settings]))
    if not rows:
        rows.append(
            row(["none yet: no configuration has all its seeds", *[""] * (len(metrics) + 2)])
        )
    head = (table.row_kind, "task", *metrics, "settings")
    return Grid(caption, head, tuple(rows), keys=2)


def setting_text(value: Any) -> str:
    """Return a setting's value as short text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

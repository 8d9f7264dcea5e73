"""The result table: rows estimators, columns tasks, and its printed forms."""

import csv
import dataclasses
import io
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from raysweep.results.front import FrontPoint
from raysweep.results.select import Cell
from raysweep.spec.options import Select

AVERAGE = "average"
WITHOUT_VALUE = ("missing", "diverged", "failed", "stopped", "unreported")


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """Mean ± std over seeds, per cell.

    Args:
        sweep: The sweep's name.
        tasks: Columns, in the file's order.
        estimators: Rows, in the file's order.
        cells: One for each arm.
        select: The metric that selected.
        select_mode: `min` or `max`.
        report: The metric shown.
        report_direction: `min` if smaller is better.
        unit: Of the metric shown.
        fresh_seeds: Seeds of the report, where they are not those of the search; else 0.
        front: Best trade-offs of each arm, where two metrics select.
        front_metrics: Those two.
    """

    sweep: str
    tasks: tuple[str, ...]
    estimators: tuple[str, ...]
    cells: tuple[Cell, ...]
    select: str
    select_mode: str
    report: str
    report_direction: str
    unit: str
    fresh_seeds: int = 0
    front: tuple[FrontPoint, ...] = ()
    front_metrics: tuple[Select, ...] = ()

    def cell(self, estimator: str, task: str) -> Cell | None:
        """The cell, or None if the file has no such arm."""
        return next(
            (each for each in self.cells if each.estimator == estimator and each.task == task), None
        )

    def average(self, estimator: str) -> float | None:
        """Mean of the row's means; None unless every column's cell is selected."""
        row = [self.cell(estimator, task) for task in self.tasks]
        means = [cell.mean for cell in row if cell is not None and cell.status == "selected"]
        known = [mean for mean in means if mean is not None]
        return statistics.fmean(known) if len(known) == len(self.tasks) else None

    def best(self, task: str) -> set[str]:
        """Estimators with the column's best selected mean; `average` is a column too."""
        means: dict[str, float] = {}
        for estimator in self.estimators:
            cell = self.cell(estimator, task)
            mean = cell.mean if cell and cell.status == "selected" else None
            if task == AVERAGE and self.has_average:
                mean = self.average(estimator)
            if mean is not None:
                means[estimator] = mean
        if len(means) < 2:
            return set()
        best = (min if self.report_direction == "min" else max)(means.values())
        return {estimator for estimator, mean in means.items() if mean == best}

    @property
    def has_average(self) -> bool:
        """Whether there is an average column: with one task it would repeat it."""
        return len(self.tasks) > 1 and AVERAGE not in self.tasks

    @property
    def columns(self) -> tuple[str, ...]:
        """The tasks, and the average if there is one."""
        return (*self.tasks, AVERAGE) if self.has_average else self.tasks

    @property
    def title(self) -> str:
        """What the numbers are."""
        unit = f" [{self.unit}]" if self.unit else ""
        better = "lower" if self.report_direction == "min" else "higher"
        seeds, searched = "seeds", ""
        if self.fresh_seeds:
            seeds = f"{self.fresh_seeds} fresh seeds"
            searched = " on the seeds of the search"
        return (
            f"{self.sweep}: {self.report}{unit}, mean ± std (n) over {seeds} at the "
            f"configuration with the {self.select_mode}imum mean {self.select}{searched}; "
            f"{better} is better"
        )

    def entry(self, estimator: str, column: str) -> str:
        """One cell's text."""
        if column == AVERAGE and self.has_average:
            mean = self.average(estimator)
            return "–" if mean is None else _number(mean, None)
        cell = self.cell(estimator, column)
        if cell is None:
            return ""
        return _entry(cell)

    @property
    def notes(self) -> list[str]:
        """What has to be known to read the table."""
        found = []
        if any(each.status == "provisional" for each in self.cells):
            found.append("? provisional: no configuration has all its seeds yet")
        if any(each.status == "unreported" for each in self.cells):
            found.append("unreported: no fresh seed of the selected configuration has ended yet")
        for cell in self.cells:
            for count, what in ((cell.diverged, "diverged"), (cell.failed, "failed")):
                if count:
                    found.append(
                        f"{cell.estimator} on {cell.task}: {count} of "
                        f"{cell.configurations} configurations have a {what} seed and "
                        "cannot be selected"
                    )
            if cell.fresh_diverged:
                found.append(
                    f"{cell.estimator} on {cell.task}: {cell.fresh_diverged} of "
                    f"{self.fresh_seeds} fresh seeds of the selected configuration diverged"
                )
        stopped = sum(each.stopped for each in self.cells)
        if stopped:
            total = sum(each.configurations for each in self.cells)
            found.append(f"stopped early: {stopped} of {total} configurations")
        return found

    def render(self, form: str) -> str:
        """The table as text in one of `FORMATS`."""
        return FORMATS[form](self)


def _entry(cell: Cell) -> str:
    if cell.mean is None:
        return cell.status if cell.status in WITHOUT_VALUE else "no value"
    text = f"{_number(cell.mean, cell.std)} ({cell.n})"
    return text + " ?" if cell.status == "provisional" else text


def _number(mean: float, std: float | None) -> str:
    """Mean ± std with the digits that the std leaves meaningful, or five significant ones."""
    if std is None or std == 0 or not abs(mean) + std < 1e15:
        text = f"{mean:.5g}"
        return text if std is None else f"{text} ± {std:.2g}"
    digits = 2 - int(f"{std:e}".partition("e")[2]) - 1
    if digits > 10 or abs(mean) >= 1e6:
        return f"{mean:.5g} ± {std:.2g}"
    digits = max(0, digits)
    return f"{mean:.{digits}f} ± {std:.{digits}f}"


def rich_table(table: ResultTable) -> RichTable:
    """The table for a terminal: the best of each column in bold."""
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("estimator")
    best = {column: table.best(column) for column in table.columns}
    for column in table.columns:
        shown.add_column(Text(column), justify="right", no_wrap=True)
    for estimator in table.estimators:
        row = [Text(estimator)]
        for column in table.columns:
            style = "bold green" if estimator in best[column] else ""
            row.append(Text(table.entry(estimator, column), style=style))
        shown.add_row(*row)
    return shown


def _as_text(table: ResultTable) -> str:
    best = {column: table.best(column) for column in table.columns}
    rows = [["estimator", *table.columns]]
    for estimator in table.estimators:
        row = [estimator]
        for column in table.columns:
            mark = "*" if estimator in best[column] else " "
            row.append(f"{table.entry(estimator, column)} {mark}")
        rows.append(row)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(each.rjust(width) for each, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    ruled = [lines[0], "-" * len(lines[0]), *lines[1:]]
    notes = [*(["* best of its column"] if any(best.values()) else []), *table.notes]
    text = "\n".join([table.title, "", *(line.rstrip() for line in ruled), *notes]) + "\n"
    return text + (f"\n{front_text(table)}" if table.front_metrics else "")


def front_text(table: ResultTable) -> str:
    """The fronts as aligned text."""
    rows = front_rows(table)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = (
        "  ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join([front_title(table), "", *lines]) + "\n"


def front_title(table: ResultTable) -> str:
    """What the fronts are."""
    named = " against ".join(f"{each.metric} ({each.mode})" for each in table.front_metrics)
    return (
        f"Pareto front: {named}, mean ± std (n) over seeds; no other configuration of the arm is "
        "better in one and as good in the other"
    )


def front_rows(table: ResultTable) -> list[list[str]]:
    """Head and rows of the fronts."""
    names = [each.metric for each in table.front_metrics]
    rows = [["estimator", "task", *names, "settings"]]
    for point in table.front:
        values = (
            f"{_number(mean, std)} ({point.n})"
            for mean, std in zip(point.means, point.stds, strict=True)
        )
        settings = ", ".join(
            f"{key.partition('.')[2]} {value:.4g}"
            if isinstance(value, float)
            else f"{key.partition('.')[2]} {value}"
            for key, value in point.settings.items()
        )
        rows.append([point.estimator, point.task, *values, settings])
    if not table.front:
        rows.append(["none yet: no configuration has all its seeds", *[""] * (len(names) + 2)])
    return rows


def _as_markdown(table: ResultTable) -> str:
    best = {column: table.best(column) for column in table.columns}

    def entry(estimator: str, column: str) -> str:
        text = table.entry(estimator, column)
        return f"**{text}**" if estimator in best[column] else text

    head = ["estimator", *table.columns]
    rows = [
        [estimator, *(entry(estimator, column) for column in table.columns)]
        for estimator in table.estimators
    ]
    rule = "| --- |" + " ---: |" * len(table.columns)
    notes = "".join(f"\n{note}\n" for note in table.notes)
    text = f"{table.title}\n\n" + _markdown_rows([head, *rows], rule) + notes
    if table.front_metrics:
        found = front_rows(table)
        listed = _markdown_rows(found, "|" + " --- |" * len(found[0]))
        text += f"\n{front_title(table)}\n\n{listed}"
    return text


def _markdown_rows(rows: Sequence[Sequence[str]], rule: str) -> str:
    lines = ["| " + " | ".join(_cell_text(each) for each in row) + " |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cell_text(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def records(table: ResultTable) -> list[dict[str, Any]]:
    """The cells as plain data, unrounded."""
    best = {task: table.best(task) for task in table.tasks}
    return [
        {
            "estimator": cell.estimator,
            "task": cell.task,
            "status": cell.status,
            "metric": table.report,
            "mean": cell.mean,
            "std": cell.std,
            "n": cell.n,
            "best": cell.estimator in best[cell.task],
            "configurations": cell.configurations,
            "diverged": cell.diverged,
            "failed": cell.failed,
            "stopped": cell.stopped,
            "configuration_id": cell.configuration_id,
            "settings": dict(cell.settings),
        }
        for cell in table.cells
    ]


def _as_csv(table: ResultTable) -> str:
    out = io.StringIO()
    found = records(table)
    names = list(found[0]) if found else ["estimator", "task"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for record in found:
        settings = json.dumps(record["settings"]) if "settings" in record else ""
        writer.writerow({**record, "settings": settings})
    return out.getvalue()


def _as_json(table: ResultTable) -> str:
    data = {
        "sweep": table.sweep,
        "select": table.select,
        "mode": table.select_mode,
        "report": table.report,
        "direction": table.report_direction,
        "unit": table.unit,
        "fresh_seeds": table.fresh_seeds,
        "cells": records(table),
        "front_metrics": [each.metric for each in table.front_metrics],
        "front": [dataclasses.asdict(each) for each in table.front],
        "average": {estimator: table.average(estimator) for estimator in table.estimators}
        if table.has_average
        else {},
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def print_table(table: ResultTable, console: Console) -> None:
    """The table on a console: styled in a terminal, plain elsewhere."""
    if not console.is_terminal:
        console.file.write(_as_text(table))
        return
    console.print(table.title, highlight=False, markup=False)
    console.print(rich_table(table))
    for note in table.notes:
        console.print(note, style="dim", highlight=False, markup=False)
    if table.front_metrics:
        console.print("\n" + front_text(table), highlight=False, markup=False, soft_wrap=True)


FORMATS: Mapping[str, Callable[[ResultTable], str]] = {
    "text": _as_text,
    "markdown": _as_markdown,
    "csv": _as_csv,
    "json": _as_json,
}
NAMES: Sequence[str] = tuple(FORMATS)

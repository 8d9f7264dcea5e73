"""A result table as data: CSV and JSON, unrounded."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.results.stats.intervals import mean_interval
from raysweep.results.stats.summary import sem
from raysweep.results.table import Column, ResultTable
from raysweep.text import csv_row


def records(table: ResultTable) -> list[dict[str, Any]]:
    """Return the cells as plain data."""
    rows = []
    for cell in table.cells:
        judged = table.judgement(Column("task", cell.task))
        values = list(cell.values.values())
        interval = mean_interval(values) if values else None
        rows.append(
            {
                "estimator": cell.estimator,
                "task": cell.task,
                "status": cell.status,
                "metric": table.report,
                "mean": cell.mean,
                "std": cell.std,
                "sem": sem(values) if values else None,
                "ci_low": interval.low if interval else None,
                "ci_high": interval.high if interval else None,
                "n": cell.n,
                "best": cell.estimator in judged.best,
                "bold": cell.estimator in judged.bold,
                "p_value": judged.p_values.get(cell.estimator),
                "configurations": cell.configurations,
                "diverged": cell.diverged,
                "failed": cell.failed,
                "stopped": cell.stopped,
                "configuration_id": cell.configuration_id,
                "settings": dict(cell.settings),
                "values": {str(seed): value for seed, value in cell.values.items()},
            }
        )
    return rows


def as_csv(table: ResultTable) -> str:
    """Return a line per cell; settings and values are JSON."""
    return csv_of(
        {**record, **{key: json.dumps(record[key]) for key in ("settings", "values")}}
        for record in records(table)
    )


def csv_of(records: Iterable[Mapping[str, Any]]) -> str:
    """Return records of arms as CSV: a line with the names of the first record, one for each."""
    out = io.StringIO()
    rows = [csv_row(record) for record in records]
    names = list(rows[0]) if rows else ["estimator", "task"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json(table: ResultTable) -> str:
    """Return the whole table as one JSON object."""
    columns = {column.kind: column for column in table.columns}
    data = {
        "sweep": table.sweep,
        "select": table.select,
        "mode": table.select_mode,
        "report": table.report,
        "direction": table.report_direction,
        "unit": table.unit,
        "fresh_seeds": table.fresh_seeds,
        "where": table.where,
        "row_kind": table.row_kind,
        "outdated": list(table.outdated),
        "test": table.style.test,
        "level": table.style.level,
        "tests": sorted({test for column in table.columns for test in _tests(table, column)}),
        "cells": records(table),
        "front_metrics": [select.metric for select in table.front_metrics],
        "front": [dataclasses.asdict(point) for point in table.front],
        "average": {label: table.average(label) for label in table.estimators}
        if "average" in columns
        else {},
        "rank": {label: table.rank(label) for label in table.estimators}
        if "rank" in columns
        else {},
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _tests(table: ResultTable, column: Column) -> frozenset[str]:
    return table.judgement(column).tests

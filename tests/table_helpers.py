"""Tables made by hand: cells from values, without a store."""

import re
import statistics

from raysweep.api import Table
from raysweep.results.selection import Cell
from raysweep.results.table import Column


def cell(estimator, task, values, status="selected", **more):
    """A cell with these values: of seeds 0, 1 … or by seed."""
    by_seed = values if isinstance(values, dict) else dict(enumerate(values))
    found = list(by_seed.values())
    return Cell(
        task,
        estimator,
        status,
        statistics.fmean(found) if found else None,
        statistics.stdev(found) if len(found) > 1 else None,
        len(found),
        values=by_seed,
        **more,
    )


def table_of(*cells, **more):
    """A table of cells; labels in the order in which they come."""
    about = {
        "sweep": "hand",
        "select": "loss",
        "select_mode": "min",
        "report": "loss",
        "report_direction": "min",
        "unit": "",
        **more,
    }
    tasks = tuple(dict.fromkeys(each.task for each in cells))
    estimators = tuple(dict.fromkeys(each.estimator for each in cells))
    return Table(tasks=tasks, estimators=estimators, cells=cells, **about)


def judged(table, label, kind="task"):
    """The judgement of a column."""
    return table.judgement(Column(kind, label))


def markdown_cells(line):
    """The cells of a row in Markdown: a backslash takes the next character as it is."""
    parts = re.findall(r"(?:\\.|[^|\\])+", line.removeprefix("| ").removesuffix(" |"))
    return [re.sub(r"\\(.)", r"\1", part).strip() for part in parts]

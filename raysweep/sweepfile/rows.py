"""Rows and columns of the result table: the entries of a sweep file, and how they pair."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.sweepfile.document import Node
from raysweep.text import counted

Kind = Literal["task", "estimator", "method"]
ROWS: Mapping[Kind, str] = {"estimator": "estimators", "method": "methods"}
"""Sections of the rows, by kind."""
MOST_ARMS = 10_000


@dataclasses.dataclass(frozen=True)
class Entry:
    """One labelled entry of `tasks`, `estimators` or `methods`.

    Args:
        kind: Kind of the entry.
        label: Label in the file.
        where: Position of the label in the file.
        name: Registry name of the task or the estimator; `NO_ESTIMATOR` for a method.
        name_where: Position of the name in the file.
        settings: Settings in the entry, by key, with their positions.
        only: Labels of the tasks that a row is restricted to; None for all tasks.
    """

    kind: Kind
    label: str
    where: str
    name: str
    name_where: str
    settings: Mapping[str, tuple[str, Node]]
    only: tuple[str, ...] | None = None


def pairs(tasks: Sequence[Entry], rows: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Return each task with its rows: methods if it takes no estimator, estimators otherwise.

    Raises:
        SpecError: If there are too many.
    """
    made = (
        (task, row)
        for task in tasks
        for row in rows
        if (row.only is None or task.label in row.only) and _fit(task, row)
    )
    first = list(itertools.islice(made, MOST_ARMS + 1))
    if len(first) > MOST_ARMS:
        raise SpecError(
            f"{tasks[0].where}: expected at most {MOST_ARMS:,} pairs of a task and a row, got more "
            f"with {counted(len(tasks), 'task')} and {counted(len(rows), 'row')}; divide the sweep"
        )
    return first


def unpaired(tasks: Sequence[Entry], rows: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Yield position and mistake of tasks and rows that only the other kind is there for."""
    for row in rows:
        fitting = [task for task in tasks if _fit(task, row)]
        wrong = [task for task in tasks if task not in fitting and task.label in (row.only or ())]
        takes = "takes an estimator" if row.kind == "method" else "takes no estimator"
        other = "estimators" if row.kind == "method" else "methods"
        for task in wrong:
            yield (
                row.where,
                f"{row.kind} {row.label!r} cannot run on the task {task.label!r}, which {takes}; "
                f"remove that task here, or write a row for it under {other}",
            )
        if tasks and not fitting and not wrong:
            yield (
                row.where,
                f"{row.kind} {row.label!r} fits no task, as every task {takes}; write it under "
                f"{other}",
            )
    for task in tasks:
        if rows and not any(_fit(task, row) for row in rows):
            kind: Kind = "method" if _takes_none(task) else "estimator"
            takes = "takes no estimator" if kind == "method" else "takes an estimator"
            yield (
                task.where,
                f"the task {task.label!r} {takes}; add at least one row for it under {ROWS[kind]}",
            )


def _fit(task: Entry, row: Entry) -> bool:
    return _takes_none(task) == (row.kind == "method")


def _takes_none(task: Entry) -> bool:
    return NO_ESTIMATOR in registry.estimator_names(registry.task(task.name).family)

"""Tasks whose runs lack the metric of a table, with the metrics that they have."""

from collections.abc import Mapping, Sequence

import numpy as np

from raysweep.results.frame import RunFrame
from raysweep.results.selection import Cell
from raysweep.results.table import WITHOUT_VALUE
from raysweep.sweep.spec import Spec


def without_value(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the labels of the tasks with selected configurations, but no value in any cell."""
    tasks = dict.fromkeys(
        cell.task for cell in cells if cell.mean is None and cell.status not in WITHOUT_VALUE
    )
    known = {cell.task for cell in cells if cell.mean is not None}
    return tuple(task for task in tasks if task not in known)


def metrics_of(spec: Spec, runs: RunFrame, task: str) -> tuple[str, ...]:
    """Return the metrics that some ended run of a task has, by name.

    Args:
        spec: Sweep of the runs.
        runs: Ended runs, with every metric of the sweep.
        task: Label of the task.
    """
    arms = [runs.of(arm) for arm in spec.arms if arm.task_label == task]
    rows = np.isin(runs.codes, np.concatenate(arms)) if arms else np.zeros(len(runs.codes), bool)
    return tuple(
        sorted(name for name in spec.metrics if not np.isnan(runs.metric(name)[rows]).all())
    )


def lacking(
    spec: Spec, runs: RunFrame, tasks: Sequence[str], metric: str
) -> Mapping[str, tuple[str, ...]]:
    """Return the metrics of those of the tasks of which no ended run has a metric.

    Args:
        spec: Sweep of the runs.
        runs: Ended runs, with every metric of the sweep.
        tasks: Labels of the tasks to check.
        metric: Name of the metric.
    """
    metrics = {task: metrics_of(spec, runs, task) for task in tasks}
    return {task: names for task, names in metrics.items() if names and metric not in names}

"""The report's statistics: arm by arm, and over tasks."""

from raysweep.report.parts import NONE, Table, Text, Views, row, shown
from raysweep.report.tables import Tables
from raysweep.results.aggregates import SEED_STATISTICS, Improvement, Statistics, statistics_of
from raysweep.results.stats.summary import Interval

ARM_HEAD = (
    *("estimator", "task", "status", "n"),
    *(each.label for each in SEED_STATISTICS),
    *("configurations", "diverged", "failed", "stopped"),
)
ARM_NOTES = (
    "n: seeds of the selected configuration; "
    + "".join(f"{each.note}; " for each in SEED_STATISTICS if each.note)
    + "configurations: those that have ended runs, and how many of them a diverged or failed seed "
    "or early stopping took out",
)
NORMALISED = (
    "scores: on each task linear, 0 the worst estimator's mean and 1 the best one's; they depend "
    "on which estimators are compared"
)


def statistics_section(tables: Tables) -> Views:
    """For every metric: its arms' statistics, and those over tasks."""
    views = {}
    for place, table in enumerate(tables.by_metric.values()):
        found = statistics_of(table)
        views[str(place)] = (_arms(found), *_over_tasks(found))
    return Views((tables.control("statistics-metric"),), views)


def _arms(found: Statistics) -> Table:
    rows = [
        row(
            [
                each.estimator,
                each.task,
                each.status,
                each.n,
                *map(_statistic, each.over_seeds.values()),
                each.configurations,
                each.diverged,
                each.failed,
                each.stopped,
            ]
        )
        for each in found.arms
    ]
    table = found.table
    unit = f" [{table.unit}]" if table.unit else ""
    caption = f"{table.report}{unit} of every arm"
    return Table(caption, ARM_HEAD, tuple(rows), ARM_NOTES, frozenset(range(3, len(ARM_HEAD))))


def _over_tasks(found: Statistics) -> list[Table]:
    """The interquartile mean of scores, and who improves on whom; none where nothing compares."""
    if not found.improvements:
        return []
    notes = []
    if found.left_out:
        left = ", ".join(found.left_out)
        notes.append(f"left out, without final values on every task: {left}")
    if empty := [task for task in found.table.tasks if task not in found.compared]:
        notes.append(f"tasks without values: {', '.join(empty)}")
    return [*_iqm(found, notes), _improvement(found, notes)]


def _iqm(found: Statistics, notes: list[str]) -> list[Table]:
    if not found.over_tasks:
        return []
    tasks = len(found.tasks)
    rows = [
        row([each.estimator, tasks, each.n, shown(each.iqm), _interval(each.interval)])
        for each in found.over_tasks
    ]
    equal = [task for task in found.compared if task not in found.tasks]
    below = [NORMALISED, "interval: stratified bootstrap over seeds; none with too few values"]
    below += [f"no scores, all means are equal: {', '.join(equal)}"] if equal else []
    metric = found.table.report
    caption = f"Interquartile mean (IQM) over tasks of normalised {metric}; higher is better"
    head = ("estimator", "tasks", "values", "IQM of scores", "95 % interval")
    return [Table(caption, head, tuple(rows), (*below, *notes), frozenset({1, 2, 3, 4}))]


def _improvement(found: Statistics, notes: list[str]) -> Table:
    known = found.matrix
    labels = [each for each in found.table.estimators if each not in found.left_out]
    rows = []
    for first in labels:
        cells = [Text(first)]
        for second in labels:
            each = known.get((first, second))
            cells.append(Text(_chance(each) if each else ""))
        rows.append(tuple(cells))
    caption = (
        f"Probability of improvement in {found.table.report}: how likely a run of the row's "
        "estimator is better than one of the column's, on average over tasks"
    )
    below = (
        "0.50 is no difference; in brackets the 95 % interval (Wilson's, with DeLong's variance), "
        "where there are enough values"
    )
    head = ("row better than column", *labels)
    return Table(caption, head, tuple(rows), (below, *notes), frozenset(range(1, len(head))))


def _chance(each: Improvement) -> str:
    interval = each.interval
    beside = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
    return f"{each.probability:.2f}{beside}"


def _statistic(value: float | Interval | None) -> str:
    return _interval(value) if isinstance(value, Interval) else shown(value)


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"[{interval.low:.6g}, {interval.high:.6g}]"

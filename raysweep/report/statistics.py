"""Section of statistics: of each arm, and over tasks."""

from raysweep.report.parts import NONE, Table, Text, Views, row, shown
from raysweep.report.tables import Tables
from raysweep.results.aggregates import SEED_STATISTICS, Improvement, Statistics, statistics_of
from raysweep.results.stats.summary import Interval

ARM_HEAD = (
    *("estimator", "task", "status", "n"),
    *(statistic.label for statistic in SEED_STATISTICS),
    *("configurations", "diverged", "failed", "stopped"),
)
ARM_NOTES = (
    "n: seeds of the selected configuration; "
    + "".join(f"{statistic.note}; " for statistic in SEED_STATISTICS if statistic.note)
    + "configurations: number with ended runs; diverged, failed, stopped: number of those that a "
    "diverged seed, a failed seed or early stopping excludes",
)
NORMALISED = (
    "scores: linear on each task, 0 for the worst estimator's mean and 1 for the best one's; they "
    "depend on which estimators are compared"
)


def statistics_section(tables: Tables) -> Views:
    """Return, for every metric, the statistics of each arm and over tasks."""
    views = {}
    for index, table in enumerate(tables.by_metric.values()):
        statistics = statistics_of(table)
        views[str(index)] = (_arms(statistics), *_over_tasks(statistics))
    return Views((tables.control("statistics-metric"),), views)


def _arms(statistics: Statistics) -> Table:
    rows = [
        row(
            [
                arm.estimator,
                arm.task,
                arm.status,
                arm.n,
                *map(_statistic, arm.over_seeds.values()),
                arm.configurations,
                arm.diverged,
                arm.failed,
                arm.stopped,
            ]
        )
        for arm in statistics.arms
    ]
    table = statistics.table
    unit = f" [{table.unit}]" if table.unit else ""
    caption = f"{table.report}{unit} of every arm"
    return Table(caption, ARM_HEAD, tuple(rows), ARM_NOTES, frozenset(range(3, len(ARM_HEAD))))


def _over_tasks(statistics: Statistics) -> list[Table]:
    """Return the tables of interquartile means and of probabilities of improvement, if any."""
    if not statistics.improvements:
        return []
    notes = []
    if statistics.left_out:
        left = ", ".join(statistics.left_out)
        notes.append(f"left out, without final values on every task: {left}")
    if empty := [task for task in statistics.table.tasks if task not in statistics.compared]:
        notes.append(f"tasks without values: {', '.join(empty)}")
    return [*_iqm(statistics, notes), _improvement(statistics, notes)]


def _iqm(statistics: Statistics, notes: list[str]) -> list[Table]:
    if not statistics.over_tasks:
        return []
    tasks = len(statistics.tasks)
    rows = [
        row([scores.estimator, tasks, scores.n, shown(scores.iqm), _interval(scores.interval)])
        for scores in statistics.over_tasks
    ]
    equal = [task for task in statistics.compared if task not in statistics.tasks]
    below = [NORMALISED, "interval: stratified bootstrap over seeds; none with too few values"]
    below += [f"no scores, all means are equal: {', '.join(equal)}"] if equal else []
    metric = statistics.table.report
    caption = f"Interquartile mean (IQM) over tasks of normalised {metric}; higher is better"
    head = ("estimator", "tasks", "values", "IQM of scores", "95 % interval")
    return [Table(caption, head, tuple(rows), (*below, *notes), frozenset({1, 2, 3, 4}))]


def _improvement(statistics: Statistics, notes: list[str]) -> Table:
    known = statistics.matrix
    labels = [label for label in statistics.table.estimators if label not in statistics.left_out]
    rows = []
    for first in labels:
        cells = [Text(first)]
        for second in labels:
            pair = known.get((first, second))
            cells.append(Text(_probability(pair) if pair else ""))
        rows.append(tuple(cells))
    caption = (
        f"Probability of improvement in {statistics.table.report}: that a run of the row's "
        "estimator is better than one of the column's, averaged over tasks"
    )
    below = (
        "0.50 is no difference; in brackets the 95 % interval (Wilson's, with DeLong's variance), "
        "where there are enough values"
    )
    head = ("row better than column", *labels)
    return Table(caption, head, tuple(rows), (below, *notes), frozenset(range(1, len(head))))


def _probability(pair: Improvement) -> str:
    interval = pair.interval
    beside = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
    return f"{pair.probability:.2f}{beside}"


def _statistic(value: float | Interval | None) -> str:
    return _interval(value) if isinstance(value, Interval) else shown(value)


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"[{interval.low:.6g}, {interval.high:.6g}]"

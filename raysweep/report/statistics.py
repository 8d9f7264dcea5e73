"""The report's statistics: arm by arm, and over tasks."""

from collections.abc import Mapping

from raysweep.report.parts import NONE, Table, Text, Views, row, shown
from raysweep.report.tables import Tables, finite
from raysweep.results.forms.data import records
from raysweep.results.stats.bootstrap import iqm_interval, probability_of_improvement
from raysweep.results.stats.summary import Interval, iqm, median, scores
from raysweep.results.table import ResultTable

Values = Mapping[str, Mapping[str, list[float]]]  # by estimator and task

ARM_HEAD = (
    "estimator",
    "task",
    "status",
    "n",
    "mean",
    "std",
    "sem",
    "median",
    "95 % interval",
    "configurations",
    "diverged",
    "failed",
    "stopped",
)
ARM_NOTES = (
    "n: seeds of the selected configuration; std: sample standard deviation; sem: std / √n; "
    "interval: studentised bootstrap of the mean, none for fewer than five seeds; "
    "configurations: those that have ended runs, and how many of them a diverged or failed seed "
    "or early stopping took out",
)
NORMALISED = (
    "scores: on each task linear, 0 the worst estimator's mean and 1 the best one's; they depend "
    "on which estimators are compared"
)


def statistics_section(tables: Tables) -> Views:
    """For every metric: its arms' statistics, and those over tasks."""
    views = {
        str(place): (_arms(table), *_over_tasks(table))
        for place, table in enumerate(tables.by_metric.values())
    }
    return Views((tables.control("statistics-metric"),), views)


def _arms(table: ResultTable) -> Table:
    rows = []
    for record in records(table):
        values = list(record["values"].values())
        low, high = record["ci_low"], record["ci_high"]
        interval = None if low is None or high is None else Interval(low, high)
        numbers = [record["mean"], record["std"], record["sem"]]
        rows.append(
            row(
                [
                    record["estimator"],
                    record["task"],
                    record["status"],
                    record["n"],
                    *map(shown, numbers),
                    shown(median(values) if values else None),
                    _interval(interval),
                    *(record[each] for each in ARM_HEAD[-4:]),
                ]
            )
        )
    unit = f" [{table.unit}]" if table.unit else ""
    caption = f"{table.report}{unit} of every arm"
    return Table(caption, ARM_HEAD, tuple(rows), ARM_NOTES, frozenset(range(3, len(ARM_HEAD))))


def _over_tasks(table: ResultTable) -> list[Table]:
    """The interquartile mean of scores, and who improves on whom; none where nothing compares."""
    values, notes = _compared(table)
    if len(values) < 2:
        return []
    tasks = list(next(iter(values.values())))
    return [*_iqm(table, values, tasks, notes), _improvement(table, values, tasks, notes)]


def _compared(table: ResultTable) -> tuple[Values, list[str]]:
    """Final values of the estimators that have some on every task with any, and who is left out."""
    known = {
        (cell.estimator, cell.task): found
        for cell in table.cells
        if cell.status == "selected" and (found := finite(cell.values))
    }
    tasks = [
        task for task in table.tasks if any((each, task) in known for each in table.estimators)
    ]
    whole = [each for each in table.estimators if all((each, task) in known for task in tasks)]
    values = {each: {task: known[each, task] for task in tasks} for each in whole}
    notes = []
    if left := [each for each in table.estimators if each not in whole]:
        notes.append(f"left out, without final values on every task: {', '.join(left)}")
    if empty := [task for task in table.tasks if task not in tasks]:
        notes.append(f"tasks without values: {', '.join(empty)}")
    return values if tasks else {}, notes


def _iqm(table: ResultTable, values: Values, tasks: list[str], notes: list[str]) -> list[Table]:
    lower = table.report_direction == "min"
    scored = {
        task: scores({each: own[task] for each, own in values.items()}, lower) for task in tasks
    }
    known = {task: found for task, found in scored.items() if found is not None}
    if not known:
        return []
    rows = []
    for estimator in values:
        own = [found[estimator] for found in known.values()]
        together = [score for task in own for score in task]
        numbers = len(together), shown(iqm(together)), _interval(iqm_interval(own))
        rows.append(row([estimator, len(own), *numbers]))
    equal = [task for task, found in scored.items() if found is None]
    below = [NORMALISED, "interval: stratified bootstrap over seeds; none with too few values"]
    below += [f"no scores, all means are equal: {', '.join(equal)}"] if equal else []
    caption = f"Interquartile mean (IQM) over tasks of normalised {table.report}; higher is better"
    head = ("estimator", "tasks", "values", "IQM of scores", "95 % interval")
    return [Table(caption, head, tuple(rows), (*below, *notes), frozenset({1, 2, 3, 4}))]


def _improvement(table: ResultTable, values: Values, tasks: list[str], notes: list[str]) -> Table:
    lower = table.report_direction == "min"
    rows = []
    for first, own in values.items():
        cells = [Text(first)]
        for second, theirs in values.items():
            if first == second:
                cells.append(Text(""))
                continue
            chance, interval = probability_of_improvement(
                [own[task] for task in tasks], [theirs[task] for task in tasks], lower
            )
            beside = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
            cells.append(Text(f"{chance:.2f}{beside}"))
        rows.append(tuple(cells))
    caption = (
        f"Probability of improvement in {table.report}: how likely a run of the row's estimator is "
        "better than one of the column's, on average over tasks"
    )
    below = (
        "0.50 is no difference; in brackets the 95 % interval (Wilson's, with DeLong's variance), "
        "where there are enough values"
    )
    head = ("row better than column", *values)
    return Table(caption, head, tuple(rows), (below, *notes), frozenset(range(1, len(head))))


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"[{interval.low:.6g}, {interval.high:.6g}]"

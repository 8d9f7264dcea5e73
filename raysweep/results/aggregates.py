"""Statistics of a sweep's results, for each arm and over tasks, as plain data."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysweep.results.stats import summary
from raysweep.results.stats.intervals import iqm_interval, mean_interval, probability_of_improvement
from raysweep.results.stats.summary import Interval
from raysweep.results.table import Column, ResultTable


@dataclasses.dataclass(frozen=True)
class SeedStatistic:
    """A statistic of one metric over the seeds of an arm: a column of every output.

    Args:
        name: Key in JSON and CSV, and attribute of `ArmStatistics`.
        label: Head of the column.
        compute: Function of at least one value; it returns None for too few values.
        note: Explanation for readers; empty where the label is enough.
        prefix: Prefix of an interval's two columns in CSV; empty for other statistics.
        digits: Significant digits in tables, for a statistic that is not in the metric's unit; None
            to round it like the mean, by the spread over seeds.
    """

    name: str
    label: str
    compute: Callable[[Sequence[float]], float | Interval | None]
    note: str = ""
    prefix: str = ""
    digits: int | None = None


SEED_STATISTICS: tuple[SeedStatistic, ...] = (
    SeedStatistic("mean", "mean", summary.mean),
    SeedStatistic("std", "std", summary.std, "std: sample standard deviation"),
    SeedStatistic("sem", "sem", summary.sem, "sem: std / √n"),
    SeedStatistic(
        "interval",
        "95 % interval",
        mean_interval,
        "interval: studentised bootstrap of the mean, none for fewer than five seeds",
        prefix="ci",
    ),
    SeedStatistic("median", "median", summary.median),
    SeedStatistic("iqm", "IQM", summary.iqm, "IQM: interquartile mean"),
)


@dataclasses.dataclass(frozen=True)
class ArmStatistics:
    """Statistics of one cell of the table over its seeds.

    Each of `SEED_STATISTICS` is also an attribute: `arm.median`.

    Args:
        estimator: Label of the estimator.
        task: Label of the task.
        status: Status of the cell, as in the table.
        n: Number of seeds with the metric, which all statistics are over.
        over_seeds: Value of each of `SEED_STATISTICS`, by name; None without a value.
        configurations: Number of configurations that have ended runs.
        diverged: Number of configurations with a diverged seed.
        failed: Number of configurations with a failed seed.
        stopped: Number of configurations that were stopped early.
    """

    estimator: str
    task: str
    status: str
    n: int
    over_seeds: Mapping[str, float | Interval | None]
    configurations: int
    diverged: int
    failed: int
    stopped: int

    def __getattr__(self, name: str) -> Any:
        """Return a statistic over seeds."""
        if name == "over_seeds" or name not in self.over_seeds:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return self.over_seeds[name]

    def record(self) -> dict[str, Any]:
        """Return one flat mapping; an interval is a mapping within it."""
        fields = dataclasses.asdict(self)
        position = list(fields).index("over_seeds")
        items = list(fields.items())
        return dict([*items[:position], *fields["over_seeds"].items(), *items[position + 1 :]])


@dataclasses.dataclass(frozen=True)
class OverTasks:
    """Scores of an estimator over all tasks.

    Args:
        estimator: Label of the estimator.
        n: Number of values over all tasks.
        iqm: Interquartile mean of the scores of all tasks and seeds; on each task the worst
            estimator's mean is 0 and the best one's is 1.
        interval: 95 % stratified bootstrap interval of `iqm`; None with too few seeds.
    """

    estimator: str
    n: int
    iqm: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True)
class Improvement:
    """Comparison of two estimators over all tasks.

    Args:
        first: Label of the first estimator.
        second: Label of the second estimator.
        probability: Probability that a run of the first is better than one of the second,
            averaged over tasks.
        interval: 95 % interval of `probability`; None with too few seeds, or where it is 0 or 1.
    """

    first: str
    second: str
    probability: float
    interval: Interval | None

    @property
    def turned(self) -> "Improvement":
        """The same comparison with the estimators swapped."""
        known = self.interval
        interval = Interval(1 - known.high, 1 - known.low) if known else None
        return Improvement(self.second, self.first, 1 - self.probability, interval)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """All statistics of a result table.

    Args:
        table: The result table.
        arms: Statistics of each arm, in the file's order, tasks first.
        compared: Tasks on which at least one estimator has a final mean.
        tasks: Compared tasks with a scale: at least two different means.
        over_tasks: Scores of the estimators that have a final mean on every compared task, in the
            file's order.
        left_out: Labels of the other estimators.
        improvements: Comparison of each pair of estimators that are not left out.
    """

    table: ResultTable
    arms: tuple[ArmStatistics, ...]
    compared: tuple[str, ...]
    tasks: tuple[str, ...]
    over_tasks: tuple[OverTasks, ...]
    left_out: tuple[str, ...]
    improvements: tuple[Improvement, ...]

    @property
    def matrix(self) -> dict[tuple[str, str], Improvement]:
        """Comparisons by ordered pair of different estimators."""
        ordered = [p for pair in self.improvements for p in (pair, pair.turned)]
        return {(pair.first, pair.second): pair for pair in ordered}


def statistics_of(table: ResultTable) -> Statistics:
    """Return the statistics of a result table."""
    shared = [task for task in table.tasks if _means(table, task)]
    complete = [
        estimator
        for estimator in table.estimators
        if shared and all(_values(table, estimator, task) is not None for task in shared)
    ]
    scaled = {}
    for task in shared:
        values = {estimator: _values(table, estimator, task) or [] for estimator in complete}
        scores = summary.scores(values, table.report_direction == "min") if values else None
        if scores is not None:
            scaled[task] = scores
    over_tasks = tuple(
        _over_tasks(estimator, list(scaled.values())) for estimator in complete if scaled
    )
    improvements = tuple(
        _improvement(table, first, second, shared)
        for first, second in itertools.combinations(complete, 2)
    )
    left_out = tuple(label for label in table.estimators if label not in complete)
    return Statistics(
        table,
        tuple(_arm(table, cell.estimator, cell.task) for cell in table.cells),
        tuple(shared),
        tuple(scaled),
        over_tasks,
        left_out,
        improvements,
    )


def _means(table: ResultTable, task: str) -> list[float]:
    """Return the final means on a task."""
    column = Column("task", task)
    means = (table.mean(estimator, column) for estimator in table.estimators)
    return [mean for mean in means if mean is not None]


def _values(table: ResultTable, estimator: str, task: str) -> list[float] | None:
    """Return the values of a final cell; None if the cell is not final."""
    values = table.values(estimator, Column("task", task))
    return None if values is None else list(values.values())


def _arm(table: ResultTable, estimator: str, task: str) -> ArmStatistics:
    cell = table.cell(estimator, task)
    if cell is None:
        raise ValueError(f"expected an arm of the table, got {estimator} on {task}")
    values = list(cell.values.values())
    return ArmStatistics(
        estimator,
        task,
        cell.status,
        cell.n,
        {
            statistic.name: statistic.compute(values) if values else None
            for statistic in SEED_STATISTICS
        },
        cell.configurations,
        cell.diverged,
        cell.failed,
        cell.stopped,
    )


def _over_tasks(estimator: str, scaled: Sequence[Mapping[str, Sequence[float]]]) -> OverTasks:
    scores = [task[estimator] for task in scaled]
    pooled = [value for task in scores for value in task]
    return OverTasks(estimator, len(pooled), summary.iqm(pooled), iqm_interval(scores))


def _improvement(table: ResultTable, first: str, second: str, tasks: Sequence[str]) -> Improvement:
    sides = [
        [_values(table, estimator, task) or [] for task in tasks] for estimator in (first, second)
    ]
    probability, interval = probability_of_improvement(
        sides[0], sides[1], table.report_direction == "min"
    )
    return Improvement(first, second, probability, interval)

"""Statistics of a sweep's results, arm by arm and over tasks. Plain data."""

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
        compute: Returns it for at least one value; None where there are too few.
        note: Explanation for readers; empty where the label says it all.
        prefix: Of an interval, what the names of its two columns in CSV begin with.
    """

    name: str
    label: str
    compute: Callable[[Sequence[float]], float | Interval | None]
    note: str = ""
    prefix: str = ""


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
    """What one cell of the table is over its seeds.

    Each of `SEED_STATISTICS` is an attribute, too: `arm.median`.

    Args:
        estimator: Label of the estimator.
        task: Label of the task.
        status: Status of the cell, as in the table.
        n: Number of seeds with the metric, which all statistics are over.
        over_seeds: Each of `SEED_STATISTICS`, by name; None without a value.
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
        """Return all of it as one flat mapping, an interval as a mapping of its own."""
        found = dataclasses.asdict(self)
        position = list(found).index("over_seeds")
        items = list(found.items())
        return dict([*items[:position], *found["over_seeds"].items(), *items[position + 1 :]])


@dataclasses.dataclass(frozen=True)
class OverTasks:
    """An estimator over all tasks.

    Args:
        estimator: Label.
        n: Values of all tasks together.
        iqm: Interquartile mean of the scores of all tasks and seeds: on each task 0 is the worst
            estimator's mean and 1 the best one's.
        interval: Of it, 95 %, stratified bootstrap; None with too few seeds.
    """

    estimator: str
    n: int
    iqm: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True)
class Improvement:
    """Two estimators compared over all tasks.

    Args:
        first: Label.
        second: Label.
        probability: That a run of the first is better than one of the second, averaged over tasks.
        interval: Of it, 95 %; None with too few seeds, or where it is 0 or 1.
    """

    first: str
    second: str
    probability: float
    interval: Interval | None

    @property
    def turned(self) -> "Improvement":
        """The second over the first."""
        known = self.interval
        interval = Interval(1 - known.high, 1 - known.low) if known else None
        return Improvement(self.second, self.first, 1 - self.probability, interval)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """All of them.

    Args:
        table: What they are of.
        arms: In the file's order, tasks first.
        compared: Tasks on which some estimator has a final mean.
        tasks: Those of them with a scale: at least two different means.
        over_tasks: Estimators that have a final mean on each of these tasks, in the file's order.
        left_out: The others.
        improvements: Each pair of these estimators, once.
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
        """Every ordered pair of different estimators."""
        both = [(each, each.turned) for each in self.improvements]
        return {(each.first, each.second): each for pair in both for each in pair}


def statistics_of(table: ResultTable) -> Statistics:
    """The statistics of what a table shows."""
    shared = [task for task in table.tasks if _means(table, task)]
    complete = [
        each
        for each in table.estimators
        if shared and all(_values(table, each, task) is not None for task in shared)
    ]
    scaled = {}
    for task in shared:
        values = {each: _values(table, each, task) or [] for each in complete}
        found = summary.scores(values, table.report_direction == "min") if values else None
        if found is not None:
            scaled[task] = found
    over_tasks = tuple(_over_tasks(each, list(scaled.values())) for each in complete if scaled)
    improvements = tuple(
        _improvement(table, first, second, shared)
        for first, second in itertools.combinations(complete, 2)
    )
    left_out = tuple(each for each in table.estimators if each not in complete)
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
    """Final means on a task."""
    column = Column("task", task)
    found = (table.mean(each, column) for each in table.estimators)
    return [mean for mean in found if mean is not None]


def _values(table: ResultTable, estimator: str, task: str) -> list[float] | None:
    """Of a final cell."""
    found = table.values(estimator, Column("task", task))
    return None if found is None else list(found.values())


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
        {each.name: each.compute(values) if values else None for each in SEED_STATISTICS},
        cell.configurations,
        cell.diverged,
        cell.failed,
        cell.stopped,
    )


def _over_tasks(estimator: str, scaled: Sequence[Mapping[str, Sequence[float]]]) -> OverTasks:
    scores = [task[estimator] for task in scaled]
    together = [value for task in scores for value in task]
    return OverTasks(estimator, len(together), summary.iqm(together), iqm_interval(scores))


def _improvement(table: ResultTable, first: str, second: str, tasks: Sequence[str]) -> Improvement:
    sides = [[_values(table, each, task) or [] for task in tasks] for each in (first, second)]
    probability, interval = probability_of_improvement(
        sides[0], sides[1], table.report_direction == "min"
    )
    return Improvement(first, second, probability, interval)

"""The result table: estimators or methods by tasks, with tests of the differences between means."""

import dataclasses
import functools
import statistics
from collections.abc import Mapping
from typing import Literal, get_args

from raysweep.errors import SpecError, one_of
from raysweep.results.pareto import FrontPoint
from raysweep.results.selection import Cell
from raysweep.results.stats.intervals import mean_interval
from raysweep.results.stats.significance import TESTS, compare, holm, smallest_p
from raysweep.results.stats.summary import Interval, sem, std
from raysweep.results.stats.summary import mean as mean_of
from raysweep.sweep.options import Select

Spread = Literal["std", "sem", "ci"]
SPREADS: tuple[str, ...] = get_args(Spread)
Kind = Literal["task", "average", "rank"]
SAME_SCALE = 10  # ratio of the typical means of two tasks, up to which an average is shown
WITHOUT_VALUE = ("missing", "diverged", "failed", "stopped", "unreported")


@dataclasses.dataclass(frozen=True)
class Style:
    """Statistics that a table shows and tests.

    Args:
        spread: Spread beside a mean: `std` for the sample standard deviation, `sem` for the
            standard error of the mean, `ci` for a 95 % bootstrap interval.
        test: Significance test, `welch` or `mann-whitney`; paired where seeds are shared.
        level: Significance level, after Holm's correction.
        average: Whether to show the average over tasks even if their units or scales differ.

    Raises:
        SpecError: If an argument has none of its allowed values.
    """

    spread: str = "std"
    test: str = "welch"
    level: float = 0.05
    average: bool = False

    def __post_init__(self) -> None:
        for field, value, known in (
            ("spread", self.spread, SPREADS),
            ("test", self.test, TESTS),
        ):
            if value not in known:
                raise SpecError(one_of(value, known), field=field)
        if not 0 < self.level < 1:
            raise SpecError(f"expected a number between 0 and 1, got {self.level:g}", field="level")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        kind: A `task`, the `average` over tasks, or the mean `rank` over tasks.
        label: Text of the column's head.
    """

    kind: Kind
    label: str


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Comparison of the estimators of a column with its best.

    Args:
        best: Estimators with the best mean.
        bold: The best estimators, and those that are not significantly worse.
        p_values: Holm's adjusted p-value of each other estimator against the best; None where no
            test was possible.
        tests: Names of the tests used.
        attainable: The smallest adjusted p-value that any of these tests could have given.
    """

    best: frozenset[str] = frozenset()
    bold: frozenset[str] = frozenset()
    p_values: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    tests: frozenset[str] = frozenset()
    attainable: float = 0.0


@dataclasses.dataclass(frozen=True)
class Entry:
    """The content of a cell: numbers, or a word instead.

    Args:
        mean: Mean over seeds; None if the cell shows a word or nothing.
        spread: Standard deviation or standard error; None without one.
        interval: Confidence interval, shown instead of a spread.
        n: Number of seeds; None in columns over several tasks.
        provisional: Whether some planned seeds have not finished.
        word: Word shown instead of numbers.
        is_rounded: Whether the mean has few digits already, and is shown with these.
    """

    mean: float | None = None
    spread: float | None = None
    interval: Interval | None = None
    n: int | None = None
    provisional: bool = False
    word: str = ""
    is_rounded: bool = False

    @property
    def uncounted(self) -> "Entry":
        """The same entry without the number of seeds."""
        return dataclasses.replace(self, n=None)


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """Means over seeds of every arm.

    Args:
        sweep: Name of the sweep.
        tasks: Labels of the columns, in the file's order.
        estimators: Labels of the rows, in the file's order.
        cells: A cell for each arm.
        select: The metric that selects configurations.
        select_mode: Direction of `select`, `min` or `max`.
        report: The metric shown.
        report_direction: Direction of `report`, `min` if lower is better.
        unit: Unit of the metric shown.
        fresh_seeds: Number of fresh seeds; 0 if the report uses the seeds of the search.
        front: Pareto front of each arm, if two metrics select.
        front_metrics: The two selection metrics, if there are two.
        style: Statistics to show, and the test.
        where: Condition on the runs of the table; empty if none.
        outdated: A line for each changed default whose former runs are left out.
        alike: Whether all tasks are of one kind, so that the metric means the same in each.
        lacking: Tasks without the metric shown, with the metrics that their runs have.
        renamed: A line for each label that is another one in the first of several sweeps.
        fresh_counts: Numbers of fresh seeds of the sweeps in a table of several, if they differ.
        row_kind: The file's word for a row, `estimator` or `method`; `row` for a table of sweeps
            with different words.
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
    style: Style = Style()
    where: str = ""
    outdated: tuple[str, ...] = ()
    alike: bool = True
    lacking: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    renamed: tuple[str, ...] = ()
    fresh_counts: tuple[int, ...] = ()
    row_kind: str = "estimator"

    @functools.cached_property
    def _by_labels(self) -> dict[tuple[str, str], Cell]:
        return {(cell.estimator, cell.task): cell for cell in self.cells}

    def cell(self, estimator: str, task: str) -> Cell | None:
        """Return the cell of an arm; None if the file has no such arm."""
        return self._by_labels.get((estimator, task))

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """The tasks, then their average and the mean rank where there are several.

        The average of numbers in other units, or of another size, means little: it is shown where
        all tasks are of one kind and their typical means differ by less than ten times, or if the
        style asks for it. Neither is shown if the file has no row for every task.
        """
        columns = [Column("task", task) for task in self.tasks]
        if len(self.tasks) > 1 and any(map(self._has_every_task, self.estimators)):
            if self.style.average or (self.alike and self._of_one_scale):
                columns.append(Column("average", self._unused("average")))
            if len(self.estimators) > 1:
                columns.append(Column("rank", self._unused("rank")))
        return tuple(columns)

    def _has_every_task(self, estimator: str) -> bool:
        return all(self.cell(estimator, task) is not None for task in self.tasks)

    @property
    def _of_one_scale(self) -> bool:
        sizes = []
        for task in self.tasks:
            known = (self._mean(estimator, task) for estimator in self.estimators)
            if means := [abs(mean) for mean in known if mean is not None]:
                sizes.append(statistics.median(means))
        return max(sizes, default=0.0) <= SAME_SCALE * min(sizes, default=0.0)

    def _unused(self, label: str) -> str:
        """Return the label, made longer if a task already has it."""
        return f"{label} of {len(self.tasks)} tasks" if label in self.tasks else label

    @functools.cached_property
    def seeds(self) -> int | None:
        """Number of seeds of every mean; None if the cells differ, or there is no mean."""
        counts = {cell.n for cell in self.cells if cell.mean is not None}
        return counts.pop() if len(counts) == 1 else None

    def average(self, estimator: str) -> float | None:
        """Return the average of the row's means; None unless every cell of it is selected."""
        means = [mean for task in self.tasks if (mean := self._mean(estimator, task)) is not None]
        return mean_of(means) if len(means) == len(self.tasks) else None

    def rank(self, estimator: str) -> float | None:
        """Return the mean rank over tasks, 1 being the best; None without a mean on every task.

        Only estimators with a mean on every task are ranked. Equal means share the mean of their
        ranks.
        """
        ranked = [label for label in self.estimators if self.average(label) is not None]
        if estimator not in ranked:
            return None
        return statistics.fmean(self._ranks(tuple(ranked), task)[estimator] for task in self.tasks)

    @functools.cached_property
    def _ranked(self) -> dict[tuple[tuple[str, ...], str], dict[str, float]]:
        return {}

    def _ranks(self, estimators: tuple[str, ...], task: str) -> dict[str, float]:
        key = estimators, task
        if key not in self._ranked:
            losses = {label: self._loss(self._mean(label, task)) for label in estimators}
            self._ranked[key] = {
                label: 1
                + sum(other < loss for other in losses.values())
                + (sum(other == loss for other in losses.values()) - 1) / 2
                for label, loss in losses.items()
            }
        return self._ranked[key]

    def values(self, estimator: str, column: Column) -> Mapping[int, float] | None:
        """Return the value of each seed, on a task or averaged over tasks; None without values.

        The average has values by seed only where all its cells have the same seeds.
        """
        if column.kind == "task":
            cell = self.cell(estimator, column.label)
            return cell.values if cell and cell.status == "selected" and cell.n else None
        row = [self.values(estimator, Column("task", task)) for task in self.tasks]
        if column.kind == "rank" or any(values is None for values in row):
            return None
        known = [values for values in row if values is not None]
        if any(values.keys() != known[0].keys() for values in known):
            return None
        return {seed: mean_of([values[seed] for values in known]) for seed in known[0]}

    def mean(self, estimator: str, column: Column) -> float | None:
        """Return the mean that is compared in a column; None if it is not final."""
        if column.kind == "average":
            return self.average(estimator)
        if column.kind == "rank":
            return self.rank(estimator)
        return self._mean(estimator, column.label)

    def _mean(self, estimator: str, task: str) -> float | None:
        cell = self.cell(estimator, task)
        return cell.mean if cell and cell.status == "selected" else None

    def _loss(self, mean: float | None) -> float:
        """Return the mean with the sign that makes lower better."""
        return (mean or 0.0) * (1 if self.report_direction == "min" else -1)

    def judgement(self, column: Column) -> Judgement:
        """Return which means of a column are the best, and which not significantly worse."""
        return self._judgements[column]

    @functools.cached_property
    def _judgements(self) -> dict[Column, Judgement]:
        return {column: self._judged(column) for column in self.columns}

    def _judged(self, column: Column) -> Judgement:
        known = {
            label: mean
            for label in self.estimators
            if (mean := self.mean(label, column)) is not None
        }
        if len(known) < 2:
            return Judgement()
        ranks = column.kind == "rank"
        losses = {label: mean if ranks else self._loss(mean) for label, mean in known.items()}
        least = min(losses.values())
        best = frozenset(label for label, loss in losses.items() if loss == least)
        if ranks:
            return Judgement(best, best)
        return self._tested(column, best, [label for label in known if label not in best])

    def _tested(self, column: Column, best: frozenset[str], others: list[str]) -> Judgement:
        """Test the others against the first of the best, with Holm's correction."""
        first = next(label for label in self.estimators if label in best)
        reference = self.values(first, column)
        p_values: dict[str, float | None] = dict.fromkeys(others)
        tests, least = set(), []
        for label in others:
            values = self.values(label, column)
            result = compare(values, reference, self.style.test) if values and reference else None
            if result and values and reference:
                p_values[label] = result.p_value
                tests.add(result.test)
                sizes = len(values), len(reference)
                least.append(smallest_p(self.style.test, *sizes, result.paired))
        tested = {label: p for label, p in p_values.items() if p is not None}
        p_values.update(zip(tested, holm(list(tested.values())), strict=True))
        equal = {label for label, p in p_values.items() if p is not None and p >= self.style.level}
        attainable = min(1.0, min(least, default=0.0) * len(tested))
        return Judgement(best, best | equal, p_values, frozenset(tests), attainable)

    def best(self, column: str) -> set[str]:
        """Return the estimators with a column's best mean, by the column's label."""
        return set(self._labelled(column).best)

    def bold(self, column: str) -> set[str]:
        """Return the estimators with a column's best mean, and those not significantly worse."""
        return set(self._labelled(column).bold)

    def _labelled(self, label: str) -> Judgement:
        return next(self.judgement(column) for column in self.columns if column.label == label)

    def entry(self, estimator: str, column: Column) -> Entry:
        """Return the content of a cell."""
        key = estimator, column
        if key not in self._entries:
            self._entries[key] = self._entry(estimator, column)
        return self._entries[key]

    @functools.cached_property
    def _entries(self) -> dict[tuple[str, Column], Entry]:
        return {}

    def _entry(self, estimator: str, column: Column) -> Entry:
        if column.kind == "rank":
            rank = self.rank(estimator)
            return Entry(None if rank is None else round(rank, 2), word="–", is_rounded=True)
        if column.kind == "average":
            mean = self.average(estimator)
            values = self.values(estimator, column)
            return self._shown(mean, values or {}, word="–")
        cell = self.cell(estimator, column.label)
        if cell is None:
            return Entry()
        if cell.mean is None:
            return Entry(word=cell.status if cell.status in WITHOUT_VALUE else "no value")
        shown = self._shown(cell.mean, cell.values)
        return dataclasses.replace(shown, n=cell.n, provisional=cell.status == "provisional")

    def _shown(self, mean: float | None, values: Mapping[int, float], word: str = "") -> Entry:
        by_seed = list(values.values())
        if mean is None or len(by_seed) < 2:
            return Entry(mean, word=word)
        if self.style.spread == "ci":
            return Entry(mean, interval=mean_interval(by_seed), word=word)
        spread = std(by_seed) if self.style.spread == "std" else sem(by_seed)
        return Entry(mean, spread, word=word)

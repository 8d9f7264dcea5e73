"""The result table: rows estimators, columns tasks, and which differences are real."""

import dataclasses
import functools
import statistics
from collections.abc import Mapping
from typing import Literal, get_args

from raysweep.errors import SpecError, nearest
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
WITHOUT_VALUE = ("missing", "diverged", "failed", "stopped", "unreported")


@dataclasses.dataclass(frozen=True)
class Style:
    """How a table is shown and judged.

    Args:
        spread: Beside a mean: the sample standard deviation, the standard error of the mean, or a
            95 % bootstrap interval.
        test: `welch` or `mann-whitney`; their paired forms where seeds are shared.
        level: Of significance, after Holm's correction.

    Raises:
        SpecError: If one of these is none of its values.
    """

    spread: str = "std"
    test: str = "welch"
    level: float = 0.05

    def __post_init__(self) -> None:
        for field, value, known in (
            ("spread", self.spread, SPREADS),
            ("test", self.test, TESTS),
        ):
            if value not in known:
                raise SpecError(
                    f"expected {' or '.join(known)}, got {value!r}{nearest(value, known)}",
                    field=field,
                )
        if not 0 < self.level < 1:
            raise SpecError(f"expected a number between 0 and 1, got {self.level:g}", field="level")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        kind: One `task`, the `average` over them, or the mean `rank` on them.
        label: At its head.
    """

    kind: Kind
    label: str


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What the estimators of a column are, compared with its best.

    Args:
        best: Those with the best mean.
        bold: These, and all others that are not significantly worse.
        p_values: Holm's adjusted p-value of each tested estimator against the best; None where
            no test was possible.
        tests: The tests that were made.
        attainable: The smallest adjusted p-value that any of these tests could have given.
    """

    best: frozenset[str] = frozenset()
    bold: frozenset[str] = frozenset()
    p_values: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    tests: frozenset[str] = frozenset()
    attainable: float = 0.0


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a cell shows: numbers, or a word instead.

    Args:
        mean: None where a word stands instead, or nothing.
        spread: Standard deviation or error; None where there is none.
        interval: Instead of a spread.
        n: Seeds; None where that says nothing.
        provisional: Whether planned seeds are missing.
        word: Instead of numbers.
    """

    mean: float | None = None
    spread: float | None = None
    interval: Interval | None = None
    n: int | None = None
    provisional: bool = False
    word: str = ""


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """Means over seeds, cell by cell.

    Args:
        sweep: The sweep's name.
        tasks: Columns, in the file's order.
        estimators: Rows, in the file's order.
        cells: One for each arm.
        select: The metric that selected.
        select_mode: `min` or `max`.
        report: The metric shown.
        report_direction: `min` if smaller is better.
        unit: Of the metric shown.
        fresh_seeds: Seeds of the report, where they are not those of the search; else 0.
        front: Best trade-offs of each arm, where two metrics select.
        front_metrics: Those two.
        style: How it is shown and judged.
        where: The condition on runs that the table is restricted to; empty if none.
        outdated: A line for each default that changed since runs were stored, which are left out.
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

    @functools.cached_property
    def _by_labels(self) -> dict[tuple[str, str], Cell]:
        return {(cell.estimator, cell.task): cell for cell in self.cells}

    def cell(self, estimator: str, task: str) -> Cell | None:
        """The cell, or None if the file has no such arm."""
        return self._by_labels.get((estimator, task))

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """The tasks, then their average and the mean rank where there are several."""
        found = [Column("task", task) for task in self.tasks]
        if len(self.tasks) > 1:
            found.append(Column("average", self._free("average")))
            if len(self.estimators) > 1:
                found.append(Column("rank", self._free("rank")))
        return tuple(found)

    def _free(self, label: str) -> str:
        """The label, told from a task of that name."""
        return f"{label} of {len(self.tasks)} tasks" if label in self.tasks else label

    @functools.cached_property
    def seeds(self) -> int | None:
        """How many seeds every mean is over; None if they differ, or there is no mean."""
        found = {cell.n for cell in self.cells if cell.mean is not None}
        return found.pop() if len(found) == 1 else None

    def average(self, estimator: str) -> float | None:
        """Mean of the row's means; None unless every column's cell is selected."""
        means = [mean for task in self.tasks if (mean := self._mean(estimator, task)) is not None]
        return mean_of(means) if len(means) == len(self.tasks) else None

    def rank(self, estimator: str) -> float | None:
        """Mean over tasks of its rank, 1 the best, among the estimators with a mean on each task.

        Equal means share the mean of their ranks.
        """
        ranked = [each for each in self.estimators if self.average(each) is not None]
        if estimator not in ranked:
            return None
        return statistics.fmean(self._ranks(tuple(ranked), task)[estimator] for task in self.tasks)

    @functools.cached_property
    def _ranked(self) -> dict[tuple[tuple[str, ...], str], dict[str, float]]:
        return {}

    def _ranks(self, estimators: tuple[str, ...], task: str) -> dict[str, float]:
        key = estimators, task
        if key not in self._ranked:
            losses = {each: self._loss(self._mean(each, task)) for each in estimators}
            self._ranked[key] = {
                each: 1
                + sum(other < own for other in losses.values())
                + (sum(other == own for other in losses.values()) - 1) / 2
                for each, own in losses.items()
            }
        return self._ranked[key]

    def values(self, estimator: str, column: Column) -> Mapping[int, float] | None:
        """The value of each seed: on a task, or averaged over all; None where that means nothing.

        An average over tasks has a value for each seed where all its cells have the same seeds.
        """
        if column.kind == "task":
            cell = self.cell(estimator, column.label)
            return cell.values if cell and cell.status == "selected" and cell.n else None
        row = [self.values(estimator, Column("task", task)) for task in self.tasks]
        if column.kind == "rank" or any(each is None for each in row):
            return None
        known = [each for each in row if each is not None]
        if any(each.keys() != known[0].keys() for each in known):
            return None
        return {seed: mean_of([each[seed] for each in known]) for seed in known[0]}

    def mean(self, estimator: str, column: Column) -> float | None:
        """What competes in a column: final means only."""
        if column.kind == "average":
            return self.average(estimator)
        if column.kind == "rank":
            return self.rank(estimator)
        return self._mean(estimator, column.label)

    def _mean(self, estimator: str, task: str) -> float | None:
        cell = self.cell(estimator, task)
        return cell.mean if cell and cell.status == "selected" else None

    def _loss(self, mean: float | None) -> float:
        """Less is better."""
        return (mean or 0.0) * (1 if self.report_direction == "min" else -1)

    def judgement(self, column: Column) -> Judgement:
        """Which of a column's means are the best, and which are not significantly worse."""
        return self._judgements[column]

    @functools.cached_property
    def _judgements(self) -> dict[Column, Judgement]:
        return {column: self._judged(column) for column in self.columns}

    def _judged(self, column: Column) -> Judgement:
        known = {
            each: mean for each in self.estimators if (mean := self.mean(each, column)) is not None
        }
        if len(known) < 2:
            return Judgement()
        ranks = column.kind == "rank"
        losses = {each: mean if ranks else self._loss(mean) for each, mean in known.items()}
        least = min(losses.values())
        best = frozenset(each for each, loss in losses.items() if loss == least)
        if ranks:
            return Judgement(best, best)
        return self._tested(column, best, [each for each in known if each not in best])

    def _tested(self, column: Column, best: frozenset[str], others: list[str]) -> Judgement:
        """The others against the first of the best, by the table's test with Holm's correction."""
        first = next(each for each in self.estimators if each in best)
        champion = self.values(first, column)
        p_values: dict[str, float | None] = dict.fromkeys(others)
        tests, least = set(), []
        for each in others:
            own = self.values(each, column)
            made = compare(own, champion, self.style.test) if own and champion else None
            if made and own and champion:
                p_values[each] = made.p_value
                tests.add(made.test)
                least.append(smallest_p(self.style.test, len(own), len(champion), made.paired))
        tested = {each: p for each, p in p_values.items() if p is not None}
        p_values.update(zip(tested, holm(list(tested.values())), strict=True))
        equal = {each for each, p in p_values.items() if p is not None and p >= self.style.level}
        attainable = min(1.0, min(least, default=0.0) * len(tested))
        return Judgement(best, best | equal, p_values, frozenset(tests), attainable)

    def best(self, column: str) -> set[str]:
        """Estimators with a column's best mean, by the column's label."""
        return set(self._labelled(column).best)

    def bold(self, column: str) -> set[str]:
        """Estimators with a column's best mean, and those not significantly worse."""
        return set(self._labelled(column).bold)

    def _labelled(self, label: str) -> Judgement:
        return next(self.judgement(column) for column in self.columns if column.label == label)

    def entry(self, estimator: str, column: Column) -> Entry:
        """What a cell shows."""
        if column.kind == "rank":
            return Entry(self.rank(estimator), word="–")
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
        found = list(values.values())
        if mean is None or len(found) < 2:
            return Entry(mean, word=word)
        if self.style.spread == "ci":
            return Entry(mean, interval=mean_interval(found), word=word)
        spread = std(found) if self.style.spread == "std" else sem(found)
        return Entry(mean, spread, word=word)

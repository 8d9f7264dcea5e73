"""Selection of the configuration that each cell of the table reports."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysweep.results.frame import Indices, Mask, Numbers, RunFrame
from raysweep.results.stats.summary import mean, std
from raysweep.sweep.spec import Arm, Spec

Status = Literal[
    "selected", "provisional", "unreported", "diverged", "failed", "stopped", "empty", "missing"
]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of the table: one arm.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        status: `selected` if all planned seeds of the configuration are done; `provisional` if no
            configuration has all its seeds yet, and the best eligible one is shown; `diverged` or
            `failed` if none is eligible, or a fresh seed did so; `stopped` if all were stopped
            early; `unreported` if none of the selected configuration's fresh seeds has ended;
            `empty` if the ended runs lack the metric; `missing` if no run ended.
        mean: Mean of the reported metric over seeds; None without values.
        std: Sample standard deviation over seeds; None for one seed.
        n: Number of seeds of the mean.
        configurations: Number of configurations with ended runs.
        diverged: Number of configurations that a diverged seed makes ineligible.
        failed: Number of configurations that a failed seed makes ineligible.
        stopped: Number of configurations that were stopped early.
        fresh_diverged: Number of diverged fresh seeds of the selected configuration.
        settings: Searched settings of the configuration shown.
        configuration_id: Identity of the configuration shown.
        run_ids: Ids of its `done` runs, on the reported seeds.
        values: The reported metric of each of these seeds, by rising seed.
    """

    task: str
    estimator: str
    status: Status
    mean: float | None = None
    std: float | None = None
    n: int = 0
    configurations: int = 0
    diverged: int = 0
    failed: int = 0
    stopped: int = 0
    fresh_diverged: int = 0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    configuration_id: str | None = None
    run_ids: tuple[str, ...] = ()
    values: Mapping[int, float] = dataclasses.field(default_factory=dict)


class ConfigurationStats:
    """Statistics of every configuration over the planned seeds.

    Arrays have an entry for each configuration of the store, in the order of the `RunFrame`.

    Args:
        runs: Every ended run.
        spec: The sweep, with the seeds of the search and the fresh ones.
    """

    def __init__(self, runs: RunFrame, spec: Spec) -> None:
        self.runs, self.spec = runs, spec
        self.searched: Mask = np.isin(runs.seeds, spec.seeds)
        self.fresh: Mask = np.isin(runs.seeds, spec.report_seeds)
        self.rows = runs.per_configuration(self.searched)
        self.done: Mask = self.searched & runs.done
        self._lost: dict[str, Mask] = {}
        self._means: dict[str, Means] = {}
        self.complete: Mask = runs.per_configuration(self.done) == len(set(spec.seeds))
        self.bad: Mask = self.has("diverged") | self.has("failed") | self.has("stopped")

    def has(self, status: str) -> Mask:
        """Return the mask of the configurations that have a run with this status."""
        if status not in self._lost:
            rows = self.searched & self.runs.with_status(status)
            self._lost[status] = self.runs.per_configuration(rows) > 0
        return self._lost[status]

    def means(self, metric: str) -> "Means":
        """Return the means of a metric over the `done` runs on the seeds of the search."""
        if metric not in self._means:
            values = self.runs.metric(metric)
            known = self.done & ~np.isnan(values)
            codes, values = self.runs.codes[known], values[known]
            count = np.bincount(codes, minlength=self.runs.count)
            total, sizes = self._sums(codes, values), self._sums(codes, np.abs(values))
            with np.errstate(invalid="ignore", divide="ignore"):
                means, error = total / count, 1e-12 * sizes / count
            if np.isinf(sizes).any():  # sums may overflow where means do not
                values = values / count[codes]
                means, error = self._sums(codes, values), 1e-12 * self._sums(codes, np.abs(values))
            self._means[metric] = Means(count, means, error)
        return self._means[metric]

    def _sums(self, codes: Indices, values: Numbers) -> Numbers:
        return np.asarray(np.bincount(codes, values, self.runs.count), np.float64)

    def of(self, arm: Arm) -> Indices:
        """Return the arm's configurations that have runs on the seeds of the search."""
        indices = self.runs.of(arm)
        return indices[self.rows[indices] > 0]

    def best(
        self, indices: Indices, select: str, mode: str
    ) -> tuple[int, Literal["selected", "provisional"]] | None:
        """Return the configuration with the best mean, and whether all its seeds are done.

        Args:
            indices: Configurations to choose from.
            select: The metric whose mean over the seeds of the search decides.
            mode: Direction of the metric, `min` or `max`.

        Returns:
            Its index and status; None if none is eligible. Ties go to the smaller id.
        """
        means = self.means(select)
        good = indices[(means.count[indices] > 0) & ~self.bad[indices]]
        eligible = good[self.complete[good] & (means.count[good] == self.rows[good])]
        pool = eligible if len(eligible) else good
        if not len(pool):
            return None
        sign = 1.0 if mode == "min" else -1.0
        losses, error = sign * means.mean[pool], means.error[pool]
        with np.errstate(over="ignore"):
            near = pool[losses - error <= np.min(losses + error)]
        # Sums in another order differ in the last bits, so possible ties are summed exactly.
        best = min(
            near.tolist(),
            key=lambda index: (
                sign * mean(self.values(index, select)),
                self.runs.ids[index],
            ),
        )
        return best, "selected" if len(eligible) else "provisional"

    def values(self, index: int, metric: str) -> list[float]:
        """Return the final metric of a configuration's `done` runs on the seeds of the search."""
        values = self.runs.metric(metric)[self.rows_of(index, self.done)]
        return values[~np.isnan(values)].tolist()

    def rows_of(self, index: int, mask: Mask) -> Indices:
        """Return the rows of a configuration that are in the mask."""
        rows = self.runs.rows_of(index)
        return rows[mask[rows]]


@dataclasses.dataclass(frozen=True, eq=False)
class Means:
    """Means of a metric, for every configuration.

    Args:
        count: Number of seeds with a value.
        mean: Mean over these seeds; NaN without any.
        error: Upper bound of the mean's rounding error.
    """

    count: NDArray[np.int64]
    mean: Numbers
    error: Numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A configuration of an arm, with its ended runs.

    Args:
        arm: The arm of the configuration.
        stats: Statistics of all configurations.
        index: Index of the configuration in `stats`.
    """

    arm: Arm
    stats: ConfigurationStats
    index: int

    @property
    def configuration_id(self) -> str:
        """Identity of the configuration."""
        return self.stats.runs.ids[self.index]

    @functools.cached_property
    def assignment(self) -> Mapping[str, Any]:
        """Searched settings of the configuration."""
        runs, arm = self.stats.runs, self.arm
        if runs.definition(self.index) == arm.definition:
            # Known to be in the arm's space, so the other settings need not be read.
            stored = runs.settings(self.index, arm.searched)
            chosen: dict[str, Any] = {}
            for key in arm.searched:
                if arm.applies(key, chosen):
                    chosen[key] = stored[key]
            return chosen
        settings = runs.settings(self.index)
        assignment = self.arm.locate(self.configuration_id, settings)
        if assignment is None:
            raise ValueError(f"expected a configuration of {self.arm.name}, got {settings}")
        return assignment

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Runs on the seeds of the search."""
        return self.stats.runs.records(self.stats.rows_of(self.index, self.stats.searched))

    @functools.cached_property
    def fresh(self) -> list[dict[str, Any]]:
        """Runs on the fresh seeds."""
        return self.stats.runs.records(self.stats.rows_of(self.index, self.stats.fresh))

    @property
    def complete(self) -> bool:
        """Whether all seeds of the search are done."""
        return bool(self.stats.complete[self.index])

    @property
    def seeds(self) -> int:
        """Number of seeds of the search with an ended run."""
        return int(self.stats.rows[self.index])

    def values(self, metric: str) -> list[float]:
        """Return the final metric of the `done` runs on the seeds of the search."""
        return self.stats.values(self.index, metric)

    def has(self, status: str) -> bool:
        """Return whether a run on a seed of the search has this status."""
        return bool(self.stats.has(status)[self.index])


def candidates(spec: Spec, runs: RunFrame) -> list[list[Candidate]]:
    """Return, for each arm, its configurations that have runs on the seeds of the search.

    Args:
        spec: The sweep; runs outside the spaces of its arms are left out.
        runs: Every ended run.
    """
    stats = ConfigurationStats(runs, spec)
    return [[Candidate(arm, stats, index) for index in stats.of(arm).tolist()] for arm in spec.arms]


def choose(
    tried: Iterable[Candidate], select: str, mode: str
) -> tuple[Candidate, Literal["selected", "provisional"]] | None:
    """Return the configuration with the best mean and its status; None if none is eligible.

    Args:
        tried: Configurations of one arm to choose from.
        select: The metric whose mean over seeds decides.
        mode: Direction of the metric, `min` or `max`.
    """
    by_index = {candidate.index: candidate for candidate in tried}
    if not by_index:
        return None
    stats = next(iter(by_index.values())).stats
    chosen = stats.best(np.array(list(by_index)), select, mode)
    return None if chosen is None else (by_index[chosen[0]], chosen[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """The configuration that an arm's cell shows, for any reported metric.

    Args:
        arm: The arm of the cell.
        chosen: Selected configuration; None if none is eligible.
        status: Status of the cell.
        counts: Number of configurations, and of those diverged, failed and stopped.
        rows: Rows of its `done` runs on the reported seeds, by rising seed.
        fresh_diverged: Number of its fresh seeds that diverged.
    """

    arm: Arm
    chosen: Candidate | None
    status: Status
    counts: Mapping[str, Any]
    rows: tuple[int, ...] = ()
    fresh_diverged: int = 0

    def cell(self, report: str) -> Cell:
        """Return the cell that shows this metric."""
        labels = self.arm.task_label, self.arm.estimator_label
        if self.chosen is None:
            return Cell(*labels, self.status, **self.counts)
        runs, rows = self.chosen.stats.runs, list(self.rows)
        values = {}
        if self.status in ("selected", "provisional"):
            pairs = zip(runs.seeds[rows].tolist(), runs.metric(report)[rows].tolist(), strict=True)
            values = {seed: value for seed, value in pairs if not math.isnan(value)}
        shown = list(values.values())
        return Cell(
            *labels,
            self.status,
            mean(shown) if shown else None,
            std(shown) if shown else None,
            len(shown),
            **self.counts,
            fresh_diverged=self.fresh_diverged,
            settings=self.chosen.assignment,
            configuration_id=self.chosen.configuration_id,
            run_ids=tuple(runs.run_ids.take(pa.array(rows, pa.int64())).to_pylist()),
            values=values,
        )


def selections(spec: Spec, runs: RunFrame, select: str, mode: str) -> list[Selection]:
    """Return the selection of each arm.

    Args:
        spec: The sweep; runs outside the spaces of its arms are left out.
        runs: Every ended run.
        select: The metric whose mean over seeds selects the configuration.
        mode: Direction of the metric, `min` or `max`.
    """
    stats = ConfigurationStats(runs, spec)
    return [_selection(arm, stats, select, mode) for arm in spec.arms]


def cells(spec: Spec, runs: RunFrame, select: str, mode: str, report: str) -> list[Cell]:
    """Return the cell of each arm with the metric `report`; for the rest see `selections`."""
    return [selection.cell(report) for selection in selections(spec, runs, select, mode)]


def _selection(arm: Arm, stats: ConfigurationStats, select: str, mode: str) -> Selection:
    indices = stats.of(arm)
    lost = ("diverged", "failed", "stopped")
    counts = {status: int(stats.has(status)[indices].sum()) for status in lost}
    counts["configurations"] = len(indices)
    chosen = stats.best(indices, select, mode)
    if chosen is None:
        return Selection(arm, None, _without_value(counts), counts)
    best, status = Candidate(arm, stats, chosen[0]), chosen[1]
    runs, reported = stats.runs, stats.done
    fresh_diverged = 0
    shown: Status = status
    if stats.spec.report_seeds:
        reported = stats.fresh & runs.done
        fresh = stats.rows_of(best.index, stats.fresh)
        fresh_diverged = int(runs.with_status("diverged")[fresh].sum())
        shown = _reported(stats, fresh, status)
    rows = stats.rows_of(best.index, reported)
    rows = rows[np.argsort(runs.seeds[rows], kind="stable")]
    return Selection(arm, best, shown, counts, tuple(rows.tolist()), fresh_diverged)


def _reported(stats: ConfigurationStats, fresh: Indices, status: Status) -> Status:
    """Return the status of a cell whose configuration is reported on these fresh rows."""
    runs = stats.runs
    if runs.with_status("diverged")[fresh].any():
        return "diverged"
    if runs.with_status("failed")[fresh].any():
        return "failed"
    done = int(runs.done[fresh].sum())
    if not done:
        return "unreported"
    return status if done == len(set(stats.spec.report_seeds)) else "provisional"


def _without_value(counts: Mapping[str, int]) -> Status:
    """Return the status of a cell without an eligible configuration."""
    if counts["diverged"]:
        return "diverged"
    if counts["failed"]:
        return "failed"
    if counts["stopped"] and counts["stopped"] == counts["configurations"]:
        return "stopped"
    return "empty" if counts["configurations"] else "missing"

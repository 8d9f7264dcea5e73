"""Statistics of every configuration of a sweep over the planned seeds."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysweep.results.frame import Numbers, RunFrame
from raysweep.results.setting_column import Indices, Mask
from raysweep.results.stats.summary import mean
from raysweep.store import schema
from raysweep.sweep.spec import Arm, Spec

UNKNOWN = np.iinfo(np.int64).max  # start of runs that do not know it


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
        self._reached: dict[str, Numbers] = {}
        self._exact: dict[tuple[str, int], float] = {}
        self._candidates: dict[tuple[Arm, int], Candidate] = {}
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

    @functools.cached_property
    def starts(self) -> Indices:
        """Time at which the first run of each configuration started, in units of the store.

        Runs on the seeds of the search count; where no start is known, it is the largest integer.
        """
        starts = np.full(self.runs.count, UNKNOWN, np.int64)
        if "started_at" in self.runs.table.column_names:
            times = self.runs.table["started_at"].cast(pa.int64()).fill_null(UNKNOWN).to_numpy()
            np.minimum.at(starts, self.runs.codes[self.searched], times[self.searched])
        return starts

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
        good, complete = self.eligible(indices, select)
        eligible = indices[complete]
        pool = eligible if len(eligible) else indices[good]
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

    def eligible(self, indices: Indices, select: str) -> tuple[Mask, Mask]:
        """Return the masks of configurations that may be shown, and of those that may be selected.

        Args:
            indices: Configurations to choose from.
            select: The metric whose mean over the seeds of the search decides.
        """
        count = self.means(select).count[indices]
        good = (count > 0) & ~self.bad[indices]
        return good, good & self.complete[indices] & (count == self.rows[indices])

    def reached(self, metric: str) -> Numbers:
        """Return the means of a metric over all runs on the seeds of the search that have it.

        For a configuration that was stopped early it is the mean where it was stopped; NaN where
        no run has the metric.
        """
        if metric not in self._reached:
            values = self.runs.metric(metric)
            known = self.searched & ~np.isnan(values)
            codes, values = self.runs.codes[known], values[known]
            count = np.bincount(codes, minlength=self.runs.count)
            with np.errstate(invalid="ignore", divide="ignore"):
                self._reached[metric] = self._sums(codes, values) / count
        return self._reached[metric]

    def mean(self, index: int, metric: str) -> float:
        """Return the mean of a configuration's `values`; NaN without any."""
        if (metric, index) not in self._exact:
            values = self.values(index, metric)
            self._exact[metric, index] = mean(values) if values else math.nan
        return self._exact[metric, index]

    def candidate(self, arm: Arm, index: int) -> "Candidate":
        """Return a configuration of an arm, the same object at every call."""
        if (arm, index) not in self._candidates:
            self._candidates[arm, index] = Candidate(arm, self, index)
        return self._candidates[arm, index]

    def candidates(self, arm: Arm, indices: Indices) -> list["Candidate"]:
        """Return configurations of an arm, whose settings are read together."""
        shown = [self.candidate(arm, index) for index in indices.tolist()]
        known = self.runs.has_definition(indices, arm.definition)
        columns = self.runs.configurations.select([f"param.{key}" for key in arm.searched])
        rows = columns.take(pa.array(indices[known])).to_pylist()
        stored = [schema.decode_settings(row, columns.schema) for row in rows]
        for position, settings in zip(np.flatnonzero(known).tolist(), stored, strict=True):
            # Fills the cached property.
            shown[position].__dict__["assignment"] = _assignment(arm, settings)
        return shown

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
            return _assignment(arm, runs.settings(self.index, arm.searched))
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


def _assignment(arm: Arm, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the searched settings that apply, among the settings of a configuration."""
    chosen: dict[str, Any] = {}
    for key in arm.searched:
        if arm.applies(key, chosen):
            chosen[key] = settings[key]
    return chosen

"""Which configuration each cell of the table reports, and what is known of the cell."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysweep.results.frame import Mask, Numbers, Places, RunFrame
from raysweep.results.stats.summary import mean, std
from raysweep.sweep.spec import Arm, Spec

Status = Literal[
    "selected", "provisional", "unreported", "diverged", "failed", "stopped", "empty", "missing"
]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One task × one estimator.

    Args:
        task: The column's label.
        estimator: The row's label.
        status: `selected` if the configuration's planned seeds all ended well; `provisional` if
            no configuration's have yet, and the best of those that still may is shown;
            `diverged` or `failed` if none may, or a fresh seed did; `stopped` if all were stopped
            early; `unreported` if one is selected and none of its fresh seeds has ended; `empty`
            if what ended lacks the metric; `missing` if nothing ended.
        mean: Of the reported metric over seeds.
        std: Sample standard deviation over seeds; None for one seed.
        n: Seeds that the mean is over.
        configurations: How many have ended runs.
        diverged: Configurations that a diverged seed makes ineligible.
        failed: Configurations that a failed seed makes ineligible.
        stopped: Configurations that were stopped early.
        fresh_diverged: Fresh seeds of the selected configuration that diverged.
        settings: Of the configuration shown: those searched.
        configuration_id: Of the configuration shown.
        run_ids: Its runs that ended well, on the seeds that are reported.
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


class Planned:
    """What is known of every configuration on the seeds that the sweep plans.

    Arrays have an entry for each configuration of the store, by its place there.

    Args:
        runs: Every ended run.
        spec: Says which seeds are searched with, and which are reported.
    """

    def __init__(self, runs: RunFrame, spec: Spec) -> None:
        self.runs, self.spec = runs, spec
        self.searched: Mask = np.isin(runs.seeds, spec.seeds)
        self.fresh: Mask = np.isin(runs.seeds, spec.report_seeds)
        self.rows = runs.per_configuration(self.searched)
        self.well: Mask = self.searched & runs.done
        self._lost: dict[str, Mask] = {}
        self._means: dict[str, Means] = {}
        self.complete: Mask = runs.per_configuration(self.well) == len(set(spec.seeds))
        self.bad: Mask = self.has("diverged") | self.has("failed") | self.has("stopped")

    def has(self, status: str) -> Mask:
        """Which configurations have a run that ended so."""
        if status not in self._lost:
            rows = self.searched & self.runs.with_status(status)
            self._lost[status] = self.runs.per_configuration(rows) > 0
        return self._lost[status]

    def means(self, metric: str) -> "Means":
        """A metric's, over the seeds of the search that ended well."""
        if metric not in self._means:
            values = self.runs.metric(metric)
            known = self.well & ~np.isnan(values)
            codes, values = self.runs.codes[known], values[known]
            count = np.bincount(codes, minlength=self.runs.count)
            total, sizes = self._sums(codes, values), self._sums(codes, np.abs(values))
            with np.errstate(invalid="ignore", divide="ignore"):
                means, error = total / count, 1e-12 * sizes / count
            if np.isinf(sizes).any():  # the sums are too large for a number, the means are not
                values = values / count[codes]
                means, error = self._sums(codes, values), 1e-12 * self._sums(codes, np.abs(values))
            self._means[metric] = Means(count, means, error)
        return self._means[metric]

    def _sums(self, codes: Places, values: Numbers) -> Numbers:
        return np.asarray(np.bincount(codes, values, self.runs.count), np.float64)

    def of(self, arm: Arm) -> Places:
        """The arm's configurations that have runs on the seeds of the search."""
        places = self.runs.of(arm)
        return places[self.rows[places] > 0]

    def best(
        self, places: Places, select: str, mode: str
    ) -> tuple[int, Literal["selected", "provisional"]] | None:
        """The configuration with the best mean, and whether all its seeds are in.

        Args:
            places: Configurations to choose from.
            select: The metric whose mean over the seeds of the search decides.
            mode: `min` or `max`.

        Returns:
            None if none may be chosen. Ties go to the smaller id.
        """
        found = self.means(select)
        may = places[(found.count[places] > 0) & ~self.bad[places]]
        eligible = may[self.complete[may] & (found.count[may] == self.rows[may])]
        pool = eligible if len(eligible) else may
        if not len(pool):
            return None
        sign = 1.0 if mode == "min" else -1.0
        losses, error = sign * found.mean[pool], found.error[pool]
        with np.errstate(over="ignore"):
            near = pool[losses - error <= np.min(losses + error)]
        # Sums in another order differ in the last bits: those that may tie are summed exactly.
        best = min(
            near.tolist(),
            key=lambda place: (
                sign * mean(self.values(place, select)),
                self.runs.ids[place],
            ),
        )
        return best, "selected" if len(eligible) else "provisional"

    def values(self, place: int, metric: str) -> list[float]:
        """The final metric of a configuration's runs that ended well on the search's seeds."""
        found = self.runs.metric(metric)[self.own(place, self.well)]
        return found[~np.isnan(found)].tolist()

    def own(self, place: int, rows: Mask) -> Places:
        """Those of these rows that are the configuration's."""
        mine = self.runs.rows_of(place)
        return mine[rows[mine]]


@dataclasses.dataclass(frozen=True, eq=False)
class Means:
    """A metric of every configuration.

    Args:
        count: Seeds with a value.
        mean: Over them; NaN without any.
        error: More than its rounding error.
    """

    count: NDArray[np.int64]
    mean: Numbers
    error: Numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A configuration of an arm with the runs that it has.

    Args:
        arm: Whose.
        planned: All that is known.
        place: Its own there.
    """

    arm: Arm
    planned: Planned
    place: int

    @property
    def configuration_id(self) -> str:
        """Its identity."""
        return self.planned.runs.ids[self.place]

    @functools.cached_property
    def assignment(self) -> Mapping[str, Any]:
        """Its searched settings."""
        runs, arm = self.planned.runs, self.arm
        if runs.definition(self.place) == arm.definition:
            # Known to be a point of the arm: only what is searched has to be looked up.
            given = runs.settings(self.place, arm.searched)
            chosen: dict[str, Any] = {}
            for key in arm.searched:
                if arm.applies(key, chosen):
                    chosen[key] = given[key]
            return chosen
        settings = runs.settings(self.place)
        found = self.arm.locate(self.configuration_id, settings)
        if found is None:
            raise ValueError(f"expected a point of {self.arm.name}, got {settings}")
        return found

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Its runs on the seeds of the search."""
        return self.planned.runs.records(self.planned.own(self.place, self.planned.searched))

    @functools.cached_property
    def fresh(self) -> list[dict[str, Any]]:
        """Its runs on the seeds to report."""
        return self.planned.runs.records(self.planned.own(self.place, self.planned.fresh))

    @property
    def complete(self) -> bool:
        """Whether all its runs on the seeds of the search ended well."""
        return bool(self.planned.complete[self.place])

    @property
    def seeds(self) -> int:
        """How many seeds of the search it has ended runs of."""
        return int(self.planned.rows[self.place])

    def values(self, metric: str) -> list[float]:
        """The final metric of the runs that ended well on the seeds of the search."""
        return self.planned.values(self.place, metric)

    def has(self, status: str) -> bool:
        """Whether a run on a seed of the search ended so."""
        return bool(self.planned.has(status)[self.place])


def candidates(spec: Spec, runs: RunFrame) -> list[list[Candidate]]:
    """For each arm, its configurations that have runs on the seeds of the search.

    Args:
        spec: Says which arms there are and what their spaces hold; runs outside are left out.
        runs: Every ended run.
    """
    planned = Planned(runs, spec)
    return [
        [Candidate(arm, planned, place) for place in planned.of(arm).tolist()] for arm in spec.arms
    ]


def choose(
    found: Iterable[Candidate], select: str, mode: str
) -> tuple[Candidate, Literal["selected", "provisional"]] | None:
    """The configuration with the best mean, and whether all its seeds are in; None if none may.

    Args:
        found: Configurations of one arm to choose from.
        select: The metric whose mean over seeds decides.
        mode: `min` or `max`.
    """
    by_place = {each.place: each for each in found}
    if not by_place:
        return None
    planned = next(iter(by_place.values())).planned
    chosen = planned.best(np.array(list(by_place)), select, mode)
    return None if chosen is None else (by_place[chosen[0]], chosen[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """What an arm's cell shows, whichever metric is reported.

    Args:
        arm: Whose.
        chosen: The configuration; None if none may be.
        status: As a cell's.
        counts: Configurations, and how many were lost to what.
        rows: The chosen configuration's runs that ended well, on the seeds that are reported, by
            seed.
        fresh_diverged: How many of its fresh seeds diverged.
    """

    arm: Arm
    chosen: Candidate | None
    status: Status
    counts: Mapping[str, Any]
    rows: tuple[int, ...] = ()
    fresh_diverged: int = 0

    def cell(self, report: str) -> Cell:
        """The cell, with this metric shown."""
        labels = self.arm.task_label, self.arm.estimator_label
        if self.chosen is None:
            return Cell(*labels, self.status, **self.counts)
        runs, rows = self.chosen.planned.runs, list(self.rows)
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
    """What each arm's cell shows, arm by arm.

    Args:
        spec: Says which arms there are and what their spaces hold; runs outside are left out.
        runs: Every ended run.
        select: The metric whose mean over seeds selects the configuration.
        mode: `min` or `max`.
    """
    planned = Planned(runs, spec)
    return [_selection(arm, planned, select, mode) for arm in spec.arms]


def cells(spec: Spec, runs: RunFrame, select: str, mode: str, report: str) -> list[Cell]:
    """The table's cells, arm by arm; `report` is the metric shown, the rest as `selections`."""
    return [each.cell(report) for each in selections(spec, runs, select, mode)]


def _selection(arm: Arm, planned: Planned, select: str, mode: str) -> Selection:
    places = planned.of(arm)
    lost = ("diverged", "failed", "stopped")
    counts = {status: int(planned.has(status)[places].sum()) for status in lost}
    counts["configurations"] = len(places)
    chosen = planned.best(places, select, mode)
    if chosen is None:
        return Selection(arm, None, _without_value(counts), counts)
    best, status = Candidate(arm, planned, chosen[0]), chosen[1]
    runs, reported = planned.runs, planned.well
    fresh_diverged = 0
    shown: Status = status
    if planned.spec.report_seeds:
        reported = planned.fresh & runs.done
        fresh = planned.own(best.place, planned.fresh)
        fresh_diverged = int(runs.with_status("diverged")[fresh].sum())
        shown = _reported(planned, fresh, status)
    rows = planned.own(best.place, reported)
    rows = rows[np.argsort(runs.seeds[rows], kind="stable")]
    return Selection(arm, best, shown, counts, tuple(rows.tolist()), fresh_diverged)


def _reported(planned: Planned, fresh: Places, status: Status) -> Status:
    """What is known of the selected configuration on its fresh seeds."""
    runs = planned.runs
    if runs.with_status("diverged")[fresh].any():
        return "diverged"
    if runs.with_status("failed")[fresh].any():
        return "failed"
    done = int(runs.done[fresh].sum())
    if not done:
        return "unreported"
    return status if done == len(set(planned.spec.report_seeds)) else "provisional"


def _without_value(counts: Mapping[str, int]) -> Status:
    """Why a cell has nothing to show."""
    if counts["diverged"]:
        return "diverged"
    if counts["failed"]:
        return "failed"
    if counts["stopped"] and counts["stopped"] == counts["configurations"]:
        return "stopped"
    return "empty" if counts["configurations"] else "missing"

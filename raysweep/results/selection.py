"""Selection of the configuration that each cell of the table reports."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raysweep.results.configuration_stats import Candidate, ConfigurationStats
from raysweep.results.frame import RunFrame
from raysweep.results.setting_column import Indices
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
        values = self.finals(report) if self.status in ("selected", "provisional") else {}
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

    def finals(self, metric: str) -> dict[int, float]:
        """Return the final values of a metric by seed, of the runs that have one."""
        if self.chosen is None:
            return {}
        runs, rows = self.chosen.stats.runs, list(self.rows)
        pairs = zip(runs.seeds[rows].tolist(), runs.metric(metric)[rows].tolist(), strict=True)
        return {seed: value for seed, value in pairs if not math.isnan(value)}


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

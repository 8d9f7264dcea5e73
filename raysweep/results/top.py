"""The best configurations of each arm, those that cannot be selected too."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from raysweep.results.configuration_stats import Candidate, ConfigurationStats
from raysweep.results.setting_column import Indices, Mask
from raysweep.results.stats.summary import mean, std
from raysweep.sweep.spec import Arm

# In the order of the list: only the first can be selected once all seeds are done.
States = Literal["done", "unfinished", "stopped", "diverged", "failed"]
STATES: tuple[States, ...] = ("done", "unfinished", "stopped", "diverged", "failed")


@dataclasses.dataclass(frozen=True)
class RankedConfiguration:
    """A configuration in the list of its arm.

    Args:
        estimator: Label of the estimator.
        task: Label of the task.
        position: Position in the list of the arm, from 1.
        status: `done` if all seeds of the search are done; `failed`, `diverged` or `stopped` if a
            seed is; else `unfinished`.
        is_selected: Whether the table shows this configuration.
        mean: Mean of the metric over the seeds of the search that have it; None without any. For a
            configuration that was stopped early it is the mean where it was stopped.
        std: Sample standard deviation over these seeds; None for fewer than two.
        values: The metric of each of these seeds.
        seeds: Number of seeds of the search whose runs have ended.
        settings: Values of the searched settings, by key.
        configuration_id: Identity of the configuration.
    """

    estimator: str
    task: str
    position: int
    status: States
    is_selected: bool
    mean: float | None
    std: float | None
    values: Mapping[int, float]
    seeds: int
    settings: Mapping[str, Any]
    configuration_id: str


@dataclasses.dataclass(frozen=True)
class TopConfigurations:
    """The best configurations of each arm of a sweep.

    Args:
        sweep: Name of the sweep.
        metric: Metric whose mean over the seeds of the search sorts configurations.
        mode: Direction of the metric, `min` or `max`.
        unit: Unit of the metric.
        seeds: Number of seeds of the search.
        count: Number of configurations that each arm has at most in the list.
        total: Number of configurations of all arms.
        rows: The configurations, arm by arm in the file's order, the best first.
        row_kind: The file's word for a row of the result table: `estimator` or `method`.
    """

    sweep: str
    metric: str
    mode: str
    unit: str
    seeds: int
    count: int
    total: int
    rows: tuple[RankedConfiguration, ...]
    row_kind: str = "estimator"


def best_of(
    arm: Arm, stats: ConfigurationStats, metric: str, mode: str, count: int
) -> list[RankedConfiguration]:
    """Return the best configurations of an arm: by status, then by the mean of the metric.

    Args:
        arm: The arm whose configurations are listed.
        stats: Statistics of all configurations.
        metric: Metric whose mean sorts them.
        mode: Direction of the metric, `min` or `max`.
        count: Largest number of configurations.
    """
    indices = stats.of(arm)
    states = _states(stats)[indices]
    means = stats.reached(metric)[indices]
    losses = np.where(np.isnan(means), np.inf, means if mode == "min" else -means)
    ids = np.array([stats.runs.ids[index] for index in indices.tolist()], dtype=str)
    best = stats.best(indices, metric, mode)
    selected = -1 if best is None else best[0]
    # Of equal means the table shows one, which is the first here too.
    order = np.lexsort((ids, indices != selected, losses, states))[:count]
    return [
        _ranked(
            Candidate(arm, stats, int(indices[at])),
            metric,
            (position, STATES[states[at]], int(indices[at]) == selected),
        )
        for position, at in enumerate(order.tolist(), 1)
    ]


def _states(stats: ConfigurationStats) -> Indices:
    """Return the index in `STATES` of each configuration's status."""
    states: Indices = np.where(stats.complete, 0, 1).astype(np.int64)
    for status in ("stopped", "diverged", "failed"):  # a worse one wins
        states[stats.has(status)] = STATES.index(status)
    return states


def _known(stats: ConfigurationStats, metric: str) -> Mask:
    """Return the mask of the rows on seeds of the search that have the metric."""
    return stats.searched & ~np.isnan(stats.runs.metric(metric))


def _ranked(
    candidate: Candidate, metric: str, listed: tuple[int, States, bool]
) -> RankedConfiguration:
    runs, stats = candidate.stats.runs, candidate.stats
    rows = stats.rows_of(candidate.index, _known(stats, metric))
    pairs = zip(runs.seeds[rows].tolist(), runs.metric(metric)[rows].tolist(), strict=True)
    values = dict(sorted(pairs))
    shown = list(values.values())
    position, status, is_selected = listed
    return RankedConfiguration(
        candidate.arm.estimator_label,
        candidate.arm.task_label,
        position,
        status,
        is_selected,
        mean(shown) if shown else None,
        std(shown) if len(shown) > 1 else None,
        values,
        candidate.seeds,
        candidate.assignment,
        candidate.configuration_id,
    )

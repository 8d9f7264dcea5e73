"""Pareto fronts: the best trade-offs of each arm between two metrics."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.results.configuration_stats import Candidate
from raysweep.results.stats.summary import mean, std
from raysweep.sweep.spec import Spec


@dataclasses.dataclass(frozen=True)
class FrontPoint:
    """A configuration that no other of its arm dominates in the two metrics.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        configuration_id: Identity of the configuration.
        settings: Values of the searched settings.
        means: Means of both metrics over seeds.
        stds: Sample standard deviations over seeds; None for one seed.
        n: Number of seeds.
    """

    task: str
    estimator: str
    configuration_id: str
    settings: Mapping[str, Any]
    means: tuple[float, float]
    stds: tuple[float | None, float | None]
    n: int


def fronts(spec: Spec, tried: Sequence[Sequence[Candidate]]) -> list[FrontPoint]:
    """Return the front of each arm, in the file's order, sorted by the first metric.

    Args:
        spec: The sweep, with two metrics in `select`; with one there are no fronts.
        tried: Configurations of each arm, as `candidates` returns them.
    """
    if spec.select.second is None:
        return []
    points = []
    signs = [1 if select.mode == "min" else -1 for select in spec.select.all]
    for arm, members in zip(spec.arms, tried, strict=True):
        complete = [
            _point(arm.task_label, arm.estimator_label, member, spec)
            for member in members
            if member.complete and all(_has_all(member, s.metric) for s in spec.select.all)
        ]
        best = [
            point
            for point in complete
            if not any(_beats(rival, point, signs) for rival in complete)
        ]
        points += sorted(
            best, key=lambda point: (signs[0] * point.means[0], point.configuration_id)
        )
    return points


def _has_all(candidate: Candidate, metric: str) -> bool:
    """Return whether every seed of the candidate has the metric."""
    return len(candidate.values(metric)) == candidate.seeds


def _point(task: str, estimator: str, candidate: Candidate, spec: Spec) -> FrontPoint:
    first, second = (candidate.values(one.metric) for one in spec.select.all)
    return FrontPoint(
        task,
        estimator,
        candidate.configuration_id,
        candidate.assignment,
        (mean(first), mean(second)),
        (std(first), std(second)),
        candidate.seeds,
    )


def _beats(first: FrontPoint, second: FrontPoint, signs: Sequence[int]) -> bool:
    """Return whether the first point is better in one metric and not worse in the other."""
    gains = [
        sign * (loser - winner)
        for sign, winner, loser in zip(signs, first.means, second.means, strict=True)
    ]
    return min(gains) >= 0 and max(gains) > 0

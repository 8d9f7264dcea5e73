"""The best trade-offs between two metrics: each arm's Pareto front."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.results.selection import Candidate
from raysweep.results.stats.summary import mean, std
from raysweep.sweep.spec import Spec


@dataclasses.dataclass(frozen=True)
class FrontPoint:
    """A configuration that no other of its arm beats in one metric without losing in the other.

    Args:
        task: The column's label.
        estimator: The row's label.
        configuration_id: Which.
        settings: Those searched.
        means: Of both metrics, over seeds.
        stds: Sample standard deviations; None for one seed.
        n: Seeds.
    """

    task: str
    estimator: str
    configuration_id: str
    settings: Mapping[str, Any]
    means: tuple[float, float]
    stds: tuple[float | None, float | None]
    n: int


def fronts(spec: Spec, found: Sequence[Sequence[Candidate]]) -> list[FrontPoint]:
    """The front of each arm, in the file's order, each by its first metric.

    Args:
        spec: With two metrics in `select`; with one there are no fronts.
        found: The configurations of each arm, as `candidates` gives them.
    """
    if spec.select.second is None:
        return []
    points = []
    for arm, members in zip(spec.arms, found, strict=True):
        complete = [
            _point(arm.task_label, arm.estimator_label, each, spec)
            for each in members
            if each.complete and all(_whole(each, one.metric) for one in spec.select.all)
        ]
        signs = [1 if one.mode == "min" else -1 for one in spec.select.all]
        best = [each for each in complete if not any(_beats(o, each, signs) for o in complete)]
        points += sorted(best, key=lambda each: (signs[0] * each.means[0], each.configuration_id))
    return points


def _whole(candidate: Candidate, metric: str) -> bool:
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


def _beats(one: FrontPoint, other: FrontPoint, signs: Sequence[int]) -> bool:
    """Whether one is nowhere worse than the other and somewhere better."""
    gains = [
        sign * (theirs - own)
        for sign, own, theirs in zip(signs, one.means, other.means, strict=True)
    ]
    return min(gains) >= 0 and max(gains) > 0

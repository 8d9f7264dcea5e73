"""What a handful of values is summarised by."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

TRIMMED = 0.25  # of the values, at each end, left out of the interquartile mean


@dataclasses.dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is for.

    Args:
        low: Its lower end.
        high: Its upper end; >= `low`.
    """

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    try:
        return statistics.fmean(known(values))
    except OverflowError:  # of their sum
        return math.fsum(value / len(values) for value in values)


def std(values: Sequence[float]) -> float | None:
    """The sample standard deviation, with n - 1 in the denominator; None for one value.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    if len(known(values)) < 2:
        return None
    try:
        return statistics.stdev(values)
    except OverflowError:  # of their squares
        return 2.0**600 * statistics.stdev([value / 2.0**600 for value in values])


def sem(values: Sequence[float]) -> float | None:
    """The standard error of the mean, `std / sqrt(n)`; None for one value.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    spread = std(values)
    return None if spread is None else spread / math.sqrt(len(values))


def median(values: Sequence[float]) -> float:
    """The median: of an even number of values the mean of the middle two.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    return statistics.median(known(values))


def iqm(values: Sequence[float]) -> float:
    """The interquartile mean: of what is left without a quarter of the values at each end.

    As many values are left out at each end as a quarter of n has whole ones: none of three, one of
    five, two of ten. Scores of several tasks are given together, as one sequence.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.

    References:
        Agarwal et al. (2021), arXiv:2108.13264, section 4.3; `scipy.stats.trim_mean` computes it.
    """
    from scipy import stats

    # in order, so that rounding is the same for every order they come in
    return float(stats.trim_mean(sorted(known(values)), TRIMMED))


def scores(
    values_by_estimator: Mapping[str, Sequence[float]], lower_is_better: bool
) -> dict[str, list[float]] | None:
    """One task's values on a scale that other tasks share.

    The worst estimator's mean is 0 and the best one's 1, in a straight line, so that higher is
    better whatever the metric. Single values may lie outside of 0 to 1. A score depends on
    which estimators are compared: adding one that is worse than all others moves the rest up.

    Args:
        values_by_estimator: Its values, at least one each, finite, in the metric's unit.
        lower_is_better: The metric's direction.

    Returns:
        The dimensionless scores of each estimator, in the order of its values; None if all means
        are equal, or there is one estimator or none: then no scale is known.

    Raises:
        ValueError: If an estimator has no values, or one is not finite.
    """
    means = [mean(values) for values in values_by_estimator.values()]
    if not means or min(means) == max(means):
        return None
    worst, best = (max(means), min(means)) if lower_is_better else (min(means), max(means))
    return {
        estimator: [(value - worst) / (best - worst) for value in values]
        for estimator, values in values_by_estimator.items()
    }


def known(values: Sequence[float]) -> Sequence[float]:
    """The values themselves.

    Args:
        values: At least one, finite.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    if not len(values):
        raise ValueError("statistics need one value or more, got none")
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"values must be finite, got {value}; leave those runs out")
    return values

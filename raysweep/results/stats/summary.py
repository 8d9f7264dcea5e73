"""Summary statistics of a few values."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

TRIMMED = 0.25  # share of the values left out of the interquartile mean at each end


@dataclasses.dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of its statistic.

    Args:
        low: Lower end of the interval.
        high: Upper end of the interval; >= `low`.
    """

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    try:
        return statistics.fmean(known(values))
    except OverflowError:  # their sum overflows
        return math.fsum(value / len(values) for value in values)


def std(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, with n - 1 in the denominator; None for one value.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    if len(known(values)) < 2:
        return None
    try:
        return statistics.stdev(values)
    except OverflowError:  # their squares overflow
        return 2.0**600 * statistics.stdev([value / 2.0**600 for value in values])


def sem(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, `std / sqrt(n)`; None for one value.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    spread = std(values)
    return None if spread is None else spread / math.sqrt(len(values))


def median(values: Sequence[float]) -> float:
    """Return the median; for an even number of values, the mean of the middle two.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    return statistics.median(known(values))


def iqm(values: Sequence[float]) -> float:
    """Return the interquartile mean: the mean without a quarter of the values at each end.

    The number of values left out at each end is n / 4, rounded down: none of three, one of five,
    two of ten. Scores of several tasks are passed together, as one sequence.

    Args:
        values: At least one, finite, in any order.

    Raises:
        ValueError: If there is none, or one is not finite.

    References:
        Agarwal et al. (2021), arXiv:2108.13264, section 4.3; `scipy.stats.trim_mean` computes it.
    """
    from scipy import stats

    # Sorted, so that rounding does not depend on the order of the values.
    return float(stats.trim_mean(sorted(known(values)), TRIMMED))


def scores(
    values_by_estimator: Mapping[str, Sequence[float]], lower_is_better: bool
) -> dict[str, list[float]] | None:
    """Return one task's values on a scale that all tasks share.

    The scale is linear: the worst estimator's mean is 0 and the best one's is 1, so higher is
    better for every metric. Single values may lie outside of 0 to 1. A score depends on which
    estimators are compared: adding one that is worse than all others moves the rest up.

    Args:
        values_by_estimator: Values of each estimator, at least one, finite, in the metric's unit.
        lower_is_better: The metric's direction.

    Returns:
        The dimensionless scores of each estimator, in the order of its values; None without a
        scale: if all means are equal, or there is one estimator or none.

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
    """Check that there are values and all are finite, and return them.

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

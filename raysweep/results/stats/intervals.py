"""Confidence intervals that keep their level with few seeds.

Results are reproducible: every call starts a new generator with the same seed and sorts the values
first, so equal values always give equal intervals.
"""

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from raysweep.results.stats import summary
from raysweep.results.stats.summary import Interval, known

RESAMPLES = 10_000
"""Number of resamples; another generator seed moves an end by 1 to 2 % of half the width."""
ALL_UP_TO = 50_000
"""Number of distinct resamples up to which each is used once: five or six values."""
AT_ONCE = 1_000_000
"""Numbers resampled at a time, which limits memory to 8 MB an array."""
FEWEST_FOR_MEAN = 5
OF_MEAN = "95 % studentised bootstrap interval"
"""Name of the interval of a mean, for captions."""
FEWEST_IN_A_TASK = 3
FEWEST_TOGETHER = 10
FEWEST_OF_SMALL_TASKS = 15
"""Values over all tasks that an interquartile mean needs if a task has fewer than five."""

Array = NDArray[np.float64]


def student_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return Student's interval of the mean, which is exact for any number of normal values.

    Args:
        values: At least one, finite, in any order.
        level: Confidence level, between 0 and 1.

    Returns:
        The interval in the values' unit, around their mean; None for one value.

    Raises:
        ValueError: If there is no value, one is not finite, or the level is not between 0 and 1.

    References:
        Student (1908), Biometrika 6(1).
    """
    from scipy import special

    tail = _tail(level)
    middle, error = summary.mean(values), summary.sem(values)
    if error is None:
        return None
    reach = float(-special.stdtrit(len(values) - 1, tail)) * error
    return Interval(middle - reach, middle + reach)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return the studentised bootstrap interval (bootstrap-t) of the mean.

    Each resample's distance from the mean is divided by its own standard error, and the quantiles
    of that ratio replace Student's. Resamples without spread have no such ratio and are left out.
    The interval extends further to the side to which the values are skewed. It is very wide if one
    value is far from all others, since the mean is then uncertain.

    Args:
        values: At least one, finite, in any order.
        level: Confidence level, between 0 and 1.

    Returns:
        The interval in the values' unit, of zero width if all values are equal; None for fewer
        than five values.

    Raises:
        ValueError: If there is no value, one is not finite, or the level is not between 0 and 1.

    References:
        Efron (1979), Annals of Statistics 7(1); Hall (1988), Annals of Statistics 16(3).
    """
    return _mean_interval(tuple(values), _tail(level))


@functools.lru_cache(maxsize=10_000)  # a report asks for the interval of each cell a few times
def _mean_interval(values: tuple[float, ...], tail: float) -> Interval | None:
    middle, error = summary.mean(values), summary.sem(values)
    if error is None or len(values) < FEWEST_FOR_MEAN:
        return None
    deviations = np.array([value - middle for value in sorted(values)])
    largest = np.abs(deviations).max()
    if largest <= 4 * np.finfo(float).eps * max(map(abs, values)):
        return Interval(middle, middle)  # equal except for rounding
    deviations = deviations / largest
    deviations -= deviations.mean()
    ratios = np.concatenate([_ratios(deviations, picks) for picks in _picks(len(values))])
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(middle - float(high) * error, middle - float(low) * error)


def _picks(n: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices that resamples of `n` values draw, `resamples n`, in batches."""
    if n**n <= ALL_UP_TO:
        yield np.indices((n,) * n).reshape(n, -1).T
        return
    generator = np.random.default_rng(0)
    for size in _sizes(n):
        yield generator.integers(n, size=(size, n))


def _sizes(width: int) -> list[int]:
    """Return the sizes of batches of resamples that are `width` numbers wide."""
    size = max(1, min(RESAMPLES, AT_ONCE // width))
    return [min(size, RESAMPLES - start) for start in range(0, RESAMPLES, size)]


def _ratios(deviations: Array, picks: NDArray[np.int64]) -> Array:
    """Return mean over standard error of each resample that has a spread."""
    drawn = deviations[picks]
    drawn = drawn[drawn.max(1) > drawn.min(1)]
    return drawn.mean(1) / (drawn.std(1, ddof=1) / math.sqrt(drawn.shape[1]))


def iqm_interval(scores: Sequence[Sequence[float]], level: float = 0.95) -> Interval | None:
    """Return the stratified bootstrap interval of the interquartile mean over all tasks' scores.

    As in rliable, seeds are resampled within each task, and tasks are not resampled: the interval
    is for these tasks with other seeds. Unlike there, two corrections keep its level with few
    seeds: n - 1 of a task's n values are drawn, each with the weight n / (n - 1), which makes the
    bootstrap's variance of a mean unbiased; and the percentiles are those that widen a normal
    interval to Student's. The degrees of freedom are Welch's and Satterthwaite's for the sum of
    the tasks' variances, computed from winsorised values to match the trimming.

    Args:
        scores: The values of each task on a common scale, as `summary.scores` returns; finite.
        level: Confidence level, between 0 and 1.

    Returns:
        The interval in the scores' unit; None if a task has fewer than three values, all tasks
        together have fewer than ten, or a task has fewer than five and all have fewer than fifteen.

    Raises:
        ValueError: If there is no task, a task has no value, one is not finite, or the level is
            not between 0 and 1.

    References:
        Agarwal et al. (2021), arXiv:2108.13264, section 4.1; Rao and Wu (1988), JASA 83(401);
        Hesterberg (2015), American Statistician 69(4), "expanded percentile"; Satterthwaite
        (1946), Biometrics Bulletin 2(6).
    """
    tail = _tail(level)
    # Sorted, so that rounding and draws do not depend on the order of values and tasks.
    tasks = [np.array(task) for task in sorted(sorted(task) for task in _tasks(scores))]
    sizes = [len(task) for task in tasks]
    fewest = FEWEST_TOGETHER if min(sizes) >= FEWEST_FOR_MEAN else FEWEST_OF_SMALL_TASKS
    if min(sizes) < FEWEST_IN_A_TASK or sum(sizes) < fewest:
        return None
    pooled = np.concatenate(tasks)
    order = np.argsort(pooled, kind="stable")
    means = [_weighted_iqm(pooled[order], weights[:, order]) for weights in _weights(sizes)]
    tail = _expanded(tail, _degrees(tasks))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def _weights(sizes: Sequence[int]) -> Iterator[Array]:
    """Yield the weights of the values in resamples, `resamples sum(sizes)`, in batches."""
    generator = np.random.default_rng(0)
    for size in _sizes(sum(sizes)):
        columns = []
        for n in sizes:
            picks = generator.integers(n, size=(size, n - 1))
            picks += n * np.arange(size)[:, None]
            counts = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
            columns.append(counts * (n / (n - 1)))
        yield np.concatenate(columns, axis=1)


def _weighted_iqm(ordered: Array, weights: Array) -> Array:
    """Return the interquartile mean of each resample.

    As many whole values are trimmed as of the n values themselves; where that cuts through a
    weight, the rest of the weight is kept.

    Args:
        ordered: Values in ascending order, `n`.
        weights: Weights of the values in each resample, `resamples n`; each row adds up to n.
    """
    n = len(ordered)
    cut = int(summary.TRIMMED * n)
    reached = np.clip(np.cumsum(weights, axis=1), cut, n - cut)
    kept = np.diff(reached, axis=1, prepend=cut)
    return (kept @ ordered) / (n - 2 * cut)


def _degrees(tasks: Sequence[Array]) -> float:
    """Return the degrees of freedom of the sum of the tasks' winsorised variances."""
    ordered = np.sort(np.concatenate(tasks))
    cut = int(summary.TRIMMED * len(ordered))
    low, high = ordered[cut], ordered[-cut - 1]
    free = np.array([len(task) - 1.0 for task in tasks])
    parts = np.array([len(task) * np.var(np.clip(task, low, high), ddof=1) for task in tasks])
    if parts.max() == 0:
        return float(free.sum())
    parts /= parts.max()
    return float(parts.sum() ** 2 / (parts**2 / free).sum())


def _expanded(tail: float, degrees: float) -> float:
    """Return the tail to cut off so that a normal distribution is as wide as Student's."""
    from scipy import special

    return float(special.ndtr(special.stdtrit(degrees, tail)))


def probability_of_improvement(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    lower_is_better: bool,
    level: float = 0.95,
) -> tuple[float, Interval | None]:
    """Return the probability that a run of the first is better than one of the second.

    In each task it is the share of all pairs of values in which the first is better, a tie counting
    one half; these are averaged over tasks, as in rliable. Runs are not paired by seed. A bootstrap
    interval would be too narrow for a probability near 0 or 1, so the interval is Wilson's, with
    n replaced by the number of independent pairs that has DeLong's variance.

    Args:
        first: The values of each task; finite, the same unit within a task.
        second: The values to compare with, for the same tasks in the same order.
        lower_is_better: The metric's direction.
        level: Confidence level of the interval, between 0 and 1.

    Returns:
        The probability and its interval, which lies within 0 to 1 and contains the probability. The
        interval is None if a task has fewer than three values on a side, if a side has fewer
        than ten over all tasks, or if in every task all pairs have the same outcome, so that the
        variance is unknown.

    Raises:
        ValueError: If the tasks differ in number, there is none, a task has no value, one is not
            finite, or the level is not between 0 and 1.

    References:
        Agarwal et al. (2021), arXiv:2108.13264, section 4.3; Mann and Whitney (1947), Annals of
        Mathematical Statistics 18(1); DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44(3);
        Wilson (1927), JASA 22(158).
    """
    tail = _tail(level)
    if len(first) != len(second):
        raise ValueError(f"both sides need the same tasks, got {len(first)} and {len(second)}")
    sign = -1 if lower_is_better else 1
    pairs = [
        _placements(np.sort(sign * one), np.sort(sign * other))
        for one, other in zip(_tasks(first), _tasks(second), strict=True)
    ]
    chance = math.fsum(one.mean() for one, _ in pairs) / len(pairs)
    sizes = np.array([[len(one), len(other)] for one, other in pairs])
    if sizes.min() < FEWEST_IN_A_TASK or sizes.sum(0).min() < FEWEST_TOGETHER:
        return chance, None
    variance = math.fsum(part.var(ddof=1) / len(part) for pair in pairs for part in pair)
    return chance, _wilson(chance, variance / len(pairs) ** 2, tail) if variance > 0 else None


def _placements(one: Array, other: Array) -> tuple[Array, Array]:
    """Return the share of `other` below each of `one`, and of `one` above each of `other`.

    Ties count one half.
    """
    below = np.searchsorted(other, one, "left") + np.searchsorted(other, one, "right")
    above = np.searchsorted(one, other, "left") + np.searchsorted(one, other, "right")
    return below / (2 * len(other)), 1 - above / (2 * len(one))


def _wilson(chance: float, variance: float, tail: float) -> Interval:
    """Return Wilson's interval of a share that has this variance."""
    from scipy import special

    # z^2 over the number of independent pairs that have this variance
    pull = float(special.ndtri(tail)) ** 2 * variance / (chance * (1 - chance))
    middle = (chance + pull / 2) / (1 + pull)
    reach = math.sqrt(pull * chance * (1 - chance) + pull**2 / 4) / (1 + pull)
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def _tasks(values: Sequence[Sequence[float]]) -> list[Array]:
    """Return the values of each task as arrays."""
    if not len(values):
        raise ValueError("statistics over tasks need one task or more, got none")
    return [np.array(known(task), float) for task in values]


def _tail(level: float) -> float:
    """Return the probability outside of the interval at each end."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    return (1 - level) / 2

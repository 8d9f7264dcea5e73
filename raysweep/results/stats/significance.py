"""Significance tests of the difference between two sets of values over seeds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from raysweep.results.stats.summary import known

TESTS = ("welch", "mann-whitney")
ROUNDING = float(np.finfo(float).eps)
"""Relative rounding error of one number."""
SAME = 64 * ROUNDING
"""Difference, relative to the largest value, up to which values are equal except for rounding."""
CONSTANT = 4 * ROUNDING
"""Standard deviation, relative to the largest value, up to which it is rounding alone."""
EXACT_SIZE = 50
"""Values on the larger side up to which the test without ties is exact."""
EXACT_SPLITS = 20_000
"""Splits of the values up to which the test with ties is exact; takes a tenth of a second."""

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A test of the hypothesis that two sets of values do not differ.

    Args:
        p_value: Two-sided p-value, 0 to 1: the probability of a difference at least this large
            under the hypothesis.
        paired: Whether values of the same seed were compared.
        test: `paired t`, `Welch's t`, `Wilcoxon signed-rank` or `Mann-Whitney`.
    """

    p_value: float
    paired: bool
    test: str


def compare(
    first: Mapping[int, float], second: Mapping[int, float], test: str = "welch"
) -> Comparison | None:
    """Test whether two sets of values differ, in pairs where both have the same seeds.

    Values that differ by rounding alone (64 units in the last place of the largest value) count as
    equal. `mann-whitney` is exact up to 50 values a side, with ties up to 20,000 splits of the
    values; beyond that it uses the normal distribution, corrected for ties. The signed-rank test
    leaves out pairs without a difference and is exact where SciPy's `auto` is.

    Args:
        first: Values by seed, finite, any unit.
        second: Values by seed of the other side, in the same unit.
        test: One of `TESTS`: `welch` compares means by Student's distribution (the paired t-test
            or Welch's); `mann-whitney` compares ranks (Wilcoxon's signed-rank test or
            Mann-Whitney's).

    Returns:
        The comparison, or None where no test is possible: fewer than two values on a side.

    Raises:
        ValueError: If the test is unknown or a value is not finite.

    References:
        Student (1908), Biometrika 6(1); Welch (1947), Biometrika 34(1/2); Wilcoxon (1945),
        Biometrics Bulletin 1(6); Mann and Whitney (1947), Annals of Mathematical Statistics 18(1).
    """
    _check(test)
    if min(len(first), len(second)) < 2:
        return None
    known([*first.values(), *second.values()])
    paired = first.keys() == second.keys()
    one, other = (
        np.array([side[seed] for seed in sorted(side)], float) for side in (first, second)
    )
    # A power of two changes no digit, and keeps squares from overflow and from underflow.
    exponent = -int(np.frexp(max(np.abs(one).max(), np.abs(other).max()))[1])
    one, other = np.ldexp(one, exponent), np.ldexp(other, exponent)
    # Sorted, so that the order of seeds does not change the last digits of sums.
    if paired:
        differences = np.sort(one - other)
        if test == "welch":
            return Comparison(_paired_t(differences), paired, "paired t")
        return Comparison(_signed_rank(differences), paired, "Wilcoxon signed-rank")
    one, other = np.sort(one), np.sort(other)
    if test == "welch":
        return Comparison(_welch(one, other), paired, "Welch's t")
    return Comparison(_mann_whitney(one, other), paired, "Mann-Whitney")


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's method, in the given order.

    If those below .05 are reported as different, at most 5 % of families of comparisons contain
    any wrong report, even if the comparisons depend on one another.

    Args:
        p_values: P-values of one family of comparisons, 0 to 1; may be empty.

    Returns:
        As many adjusted p-values, at least the original ones and at most 1, in the same order of
        size.

    Raises:
        ValueError: If one is outside of 0 to 1.

    References:
        Holm (1979), Scandinavian Journal of Statistics 6(2).
    """
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise ValueError(f"a p-value must be from 0 to 1, got {p_value}")
    ranked = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(ranked):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def smallest_p(test: str, n_first: int, n_second: int, paired: bool) -> float:
    """Return the smallest two-sided p-value that the test can give, before any adjustment.

    Args:
        test: One of `TESTS`.
        n_first: Number of values on one side, >= 2.
        n_second: Number of values on the other side, >= 2.
        paired: Whether values are compared in pairs.

    Returns:
        0 for `welch`; for `mann-whitney` 2 / 2^n in pairs, else 2 / C(n + m, n).

    Raises:
        ValueError: If the test is unknown, a side has fewer than two values, or pairs differ in
            number.
    """
    _check(test)
    if min(n_first, n_second) < 2:
        raise ValueError(f"a test needs two values or more a side, got {n_first} and {n_second}")
    if paired and n_first != n_second:
        raise ValueError(f"pairs need as many values on both sides, got {n_first} and {n_second}")
    if test == "welch":
        return 0.0
    return 2 / (2**n_first if paired else math.comb(n_first + n_second, n_first))


def _check(test: str) -> None:
    if test not in TESTS:
        raise ValueError(f"test must be one of {', '.join(TESTS)}, got {test!r}")


def _paired_t(differences: Array) -> float:
    if np.abs(differences).max() <= SAME:
        return 1.0
    spread = differences.std(ddof=1)
    if spread <= CONSTANT:
        return 0.0  # every seed differs by the same amount, so t is infinite
    t = differences.mean() / (spread / math.sqrt(len(differences)))
    return _two_sided(len(differences) - 1, t)


def _welch(one: Array, other: Array) -> float:
    difference = one.mean() - other.mean()
    if max(one.std(ddof=1), other.std(ddof=1)) <= CONSTANT:
        return 1.0 if abs(difference) <= SAME else 0.0  # t is 0 / 0, or infinite
    first, second = one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)
    share = first / (first + second)
    degrees = 1 / (share**2 / (len(one) - 1) + (1 - share) ** 2 / (len(other) - 1))
    return _two_sided(degrees, difference / math.sqrt(first + second))


def _two_sided(degrees: float, t: float) -> float:
    # `scipy.stats` takes a second to import and warns about nearly equal values.
    from scipy import special

    return min(1.0, 2 * float(special.stdtr(degrees, -abs(t))))


def _signed_rank(differences: Array) -> float:
    rounded = _rounded(differences)
    if not rounded.any():
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(rounded).pvalue)


def _mann_whitney(one: Array, other: Array) -> float:
    one, other = _rounded(one), _rounded(other)
    distinct = len(np.unique(np.concatenate([one, other])))
    if distinct == 1:
        return 1.0
    from scipy import stats

    method: str | stats.PermutationMethod = "asymptotic"
    if distinct == len(one) + len(other):
        method = "exact" if max(len(one), len(other)) <= EXACT_SIZE else "asymptotic"
    elif math.comb(len(one) + len(other), len(one)) <= EXACT_SPLITS:
        method = stats.PermutationMethod(n_resamples=EXACT_SPLITS)
    return float(stats.mannwhitneyu(one, other, method=method).pvalue)


def _rounded(values: Array) -> Array:
    """Round away the digits that rounding errors change, which would break ties."""
    return np.round(values / SAME) * SAME

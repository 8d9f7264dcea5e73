import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raysweep.results.stats.significance import compare, holm, smallest_p

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SIDES = st.dictionaries(st.integers(0, 20), FINITE, max_size=8)
NAMES = ["welch", "mann-whitney"]
P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def by_seed(values, start=0):
    return dict(enumerate(map(float, values), start))


def two_sides(n_first, n_second, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=n_first), generator.normal(0.7, 2.0, size=n_second)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_same_seeds_give_the_paired_t_test(n):
    first, second = two_sides(n, n)
    found = compare(by_seed(first), by_seed(second))
    assert (found.paired, found.test) == (True, "paired t")
    assert found.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-12)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5), (10, 4), (40, 40)])
def test_other_seeds_give_welchs_test(sizes):
    first, second = two_sides(*sizes)
    found = compare(by_seed(first), by_seed(second, start=100))
    expected = stats.ttest_ind(first, second, equal_var=False).pvalue
    assert (found.paired, found.test) == (False, "Welch's t")
    assert found.p_value == pytest.approx(expected, rel=1e-12)


def test_one_seed_more_on_a_side_gives_welchs_test():
    first, second = two_sides(5, 6)
    assert compare(by_seed(first), by_seed(second)).test == "Welch's t"


def test_tiny_p_values_are_those_of_scipy():
    first, second = two_sides(20, 20)
    second += 100
    found = compare(by_seed(first), by_seed(second)).p_value
    assert found == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-10)


@pytest.mark.parametrize("n", [3, 5, 12, 60])
def test_same_seeds_give_the_signed_rank_test(n):
    first, second = two_sides(n, n)
    found = compare(by_seed(first), by_seed(second), "mann-whitney")
    expected = stats.wilcoxon(first, second).pvalue
    assert (found.paired, found.test) == (True, "Wilcoxon signed-rank")
    assert found.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", [(2, 3), (5, 5), (20, 50)])
def test_other_seeds_give_the_exact_mann_whitney_test(sizes):
    first, second = two_sides(*sizes)
    found = compare(by_seed(first), by_seed(second, start=100), "mann-whitney")
    expected = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert (found.paired, found.test) == (False, "Mann-Whitney")
    assert found.p_value == pytest.approx(expected, rel=1e-12)


def test_mann_whitney_with_ties_looks_at_every_split():
    first, second = [1, 2, 2, 5], [2, 3, 5, 5, 6]
    ranks = stats.rankdata(first + second)
    sums = np.array([ranks[list(split)].sum() for split in itertools.combinations(range(9), 4)])
    own = ranks[:4].sum()
    expected = 2 * min((sums <= own).mean(), (sums >= own).mean())
    found = compare(by_seed(first), by_seed(second, start=100), "mann-whitney")
    assert found.p_value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sizes", [(60, 55), (30, 51)])
def test_many_ranks_follow_the_normal_distribution(sizes):
    first, second = two_sides(*sizes)
    found = compare(by_seed(first), by_seed(second, start=100), "mann-whitney")
    expected = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("start", [0, 100], ids=["paired", "unpaired"])
def test_equal_values_give_p_of_one(test, start):
    assert compare(by_seed([3.0] * 5), by_seed([3.0] * 5, start), test).p_value == 1


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("start", [0, 100], ids=["paired", "unpaired"])
def test_values_equal_but_for_rounding_give_p_of_one(test, start):
    first, second = [0.3, 0.3, 0.1 + 0.2], [0.1 + 0.2, 0.3, 0.1 + 0.2]
    assert compare(by_seed(first), by_seed(second, start), test).p_value == 1


def test_one_difference_for_all_seeds_gives_p_of_zero():
    first = np.linspace(0, 1, 7)
    assert compare(by_seed(first), by_seed(first + 0.1)).p_value == 0


def test_two_different_constants_give_p_of_zero_by_welch():
    assert compare(by_seed([1.0] * 3), by_seed([1.1] * 4)).p_value == 0


def test_one_constant_side_gives_welchs_p_value():
    found = compare(by_seed([1.0] * 4), by_seed([1.0, 2.0, 4.0])).p_value
    expected = stats.ttest_1samp([1.0, 2.0, 4.0], 1.0).pvalue
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_difference_that_rounding_spreads_is_tied_in_ranks():
    first = np.array([0.1, 0.7, 1.3, 2.9, 5.1])
    shifted = first + np.array([0.1, 0.1, 0.1, 0.1, -0.1])
    found = compare(by_seed(first), by_seed(shifted), "mann-whitney").p_value
    assert found == pytest.approx(stats.wilcoxon([1, 1, 1, 1, -1]).pvalue, abs=1e-12)


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("sides", [({}, {}), ({1: 2.0}, {1: 3.0}), ({1: 2.0}, {1: 3.0, 2: 4.0})])
def test_fewer_than_two_values_on_a_side_cannot_be_compared(test, sides):
    assert compare(*sides, test) is None


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, st.sampled_from(NAMES))
def test_any_finite_values_give_a_p_value_that_ignores_the_order_of_sides(first, second, test):
    found = compare(first, second, test)
    if found is None:
        assert min(len(first), len(second)) < 2
        return
    assert 0 <= found.p_value <= 1
    assert compare(second, first, test).p_value == pytest.approx(found.p_value, rel=1e-12)
    assert found.p_value >= smallest_p(test, len(first), len(second), found.paired)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(0, 9), FINITE, min_size=2), st.sampled_from(NAMES))
def test_any_finite_values_do_not_differ_from_themselves(values, test):
    assert compare(values, values, test).p_value == 1


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("start", [0, 100], ids=["paired", "unpaired"])
def test_order_and_names_of_seeds_do_not_matter(test, start):
    first, second = two_sides(6, 6)
    found = compare(by_seed(first), by_seed(second, start), test)
    turned = compare(by_seed(first[::-1], 40), by_seed(second[::-1], start + 40), test)
    assert turned == found


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("start", [0, 100], ids=["paired", "unpaired"])
@pytest.mark.parametrize("scale", [1e-200, -3.0, 1e200])
def test_scale_does_not_matter(test, start, scale):
    first, second = two_sides(6, 6)
    found = compare(by_seed(first), by_seed(second, start), test).p_value
    scaled = compare(by_seed(first * scale), by_seed(second * scale, start), test).p_value
    assert scaled == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("test", NAMES)
@pytest.mark.parametrize("start", [0, 100], ids=["paired", "unpaired"])
def test_a_common_shift_does_not_matter(test, start):
    first, second = two_sides(6, 6)
    found = compare(by_seed(first), by_seed(second, start), test).p_value
    shifted = compare(by_seed(first + 64), by_seed(second + 64, start), test).p_value
    assert shifted == pytest.approx(found, rel=1e-9)


def test_many_ranks_with_ties_follow_the_normal_distribution_corrected_for_ties():
    first, second = [1.0, 2.0, 2.0, 5.0] * 4, [2.0, 3.0, 5.0, 6.0] * 5
    found = compare(by_seed(first), by_seed(second, start=100), "mann-whitney")
    expected = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match=f"values must be finite, got {value}"):
        compare({1: 2.0, 2: value}, {1: 2.0, 2: 3.0})


def test_unknown_tests_are_refused():
    with pytest.raises(ValueError, match="must be one of welch, mann-whitney, got 'anova'"):
        compare({}, {}, "anova")


def test_holm_gives_the_numbers_worked_by_hand():
    # in order: 3 x .01 = .03, 2 x .02 = .04, 1 x .03 = .03 and so .04
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04], abs=1e-15)


@given(P_VALUES)
def test_holm_is_the_largest_of_the_steps_up_to_a_p_value(p_values):
    found = holm(p_values)
    ranked = sorted(p_values)
    for p_value, adjusted in zip(p_values, found, strict=True):
        last = len(ranked) - 1 - ranked[::-1].index(p_value)
        steps = [min(1, (len(ranked) - rank) * ranked[rank]) for rank in range(last + 1)]
        assert adjusted == pytest.approx(max(steps), abs=1e-12)


@given(P_VALUES)
def test_holm_keeps_the_order_and_lowers_nothing(p_values):
    found = holm(p_values)
    assert all(own <= adjusted <= 1 for own, adjusted in zip(p_values, found, strict=True))
    ranked = sorted(range(len(found)), key=p_values.__getitem__)
    assert all(found[a] <= found[b] for a, b in itertools.pairwise(ranked))


@given(P_VALUES, st.floats(0, 1))
def test_another_comparison_lowers_no_p_value(p_values, another):
    more = holm([*p_values, another])
    assert all(own <= now for own, now in zip(holm(p_values), more, strict=False))


@pytest.mark.parametrize("p_value", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_p_value(p_value):
    with pytest.raises(ValueError, match=f"a p-value must be from 0 to 1, got {p_value}"):
        holm([0.5, p_value])


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("n", [2, 5, 7])
def test_complete_separation_reaches_the_smallest_p_value(paired, n):
    first, second = by_seed(range(n)), by_seed(np.arange(n) * 1.1 + 100, 0 if paired else 50)
    found = compare(first, second, "mann-whitney").p_value
    assert found == pytest.approx(smallest_p("mann-whitney", n, n, paired), rel=1e-12)


def test_five_pairs_cannot_reach_five_percent_by_ranks():
    assert smallest_p("mann-whitney", 5, 5, paired=True) == 0.0625


def test_means_can_reach_any_p_value():
    assert smallest_p("welch", 2, 2, paired=False) == 0


def test_a_smallest_p_value_needs_two_values_a_side():
    with pytest.raises(ValueError, match="two values or more a side, got 1 and 4"):
        smallest_p("welch", 1, 4, paired=False)


def test_a_smallest_p_value_needs_as_many_values_in_pairs():
    with pytest.raises(ValueError, match="as many values on both sides, got 3 and 4"):
        smallest_p("welch", 3, 4, paired=True)


def test_a_smallest_p_value_needs_a_known_test():
    with pytest.raises(ValueError, match="must be one of welch, mann-whitney, got 't'"):
        smallest_p("t", 3, 4, paired=False)


@pytest.mark.slow
def test_comparing_means_and_intervals_load_no_scipy_stats():
    code = (
        "import sys\n"
        "from raysweep.results.stats import intervals, significance\n"
        "sides = {1: 1.0, 2: 2.5, 3: 3.0}, {1: 1.5, 2: 2.0, 3: 9.0}\n"
        "significance.compare(*sides); significance.compare(sides[0], {4: 1.0, 5: 2.0})\n"
        "significance.holm([0.1, 0.2])\n"
        "intervals.mean_interval([1.0, 2.0, 4.0, 5.0, 7.0])\n"
        "intervals.iqm_interval([[1.0, 2.0, 4.0, 5.0, 7.0]] * 2)\n"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raysweep.results.stats.summary import iqm, mean, median, scores, sem, std

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)
WHOLE = st.lists(st.integers(-50, 50), min_size=1, max_size=6)
ALL = pytest.mark.parametrize("summary", [mean, std, sem, median, iqm])


@ALL
def test_summaries_are_those_of_numpy_and_scipy(summary):
    values = np.random.default_rng(0).normal(3, 2, size=11)
    expected = {
        mean: values.mean(),
        std: values.std(ddof=1),
        sem: stats.sem(values),
        median: np.median(values),
        iqm: stats.trim_mean(values, 0.25),
    }
    assert summary(values.tolist()) == pytest.approx(expected[summary], rel=1e-12)


@pytest.mark.parametrize(
    ("powers", "expected"),
    [(1, 1.0), (3, 7 / 3), (4, 6 / 2), (5, 14 / 3), (8, 60 / 4), (10, 252 / 6)],
)
def test_interquartile_mean_leaves_out_whole_quarters(powers, expected):
    # of 1, 2, 4 and so on, at each end: none of three, one of four to seven, two of eight to ten
    values = [2.0**place for place in range(powers)]
    assert iqm(values) == pytest.approx(expected, abs=1e-12)


@ALL
def test_order_of_values_does_not_matter(summary):
    values = np.random.default_rng(1).normal(size=13).tolist()
    assert summary(values[::-1]) == summary(values)


@ALL
@settings(max_examples=40)
@given(VALUES)
def test_twice_the_values_give_twice_the_summary(summary, values):
    found = summary([2 * value for value in values])
    assert found == pytest.approx(2 * summary(values), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("summary", [mean, median, iqm])
@settings(max_examples=40)
@given(VALUES)
def test_centres_are_within_the_values(summary, values):
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= summary(values) <= max(values) + slack


@pytest.mark.parametrize("summary", [std, sem])
def test_one_value_has_no_spread(summary):
    assert summary([3.0]) is None


@ALL
def test_no_values_have_no_summary(summary):
    with pytest.raises(ValueError, match="need one value or more, got none"):
        summary([])


@ALL
def test_values_that_are_not_finite_have_no_summary(summary):
    with pytest.raises(ValueError, match="values must be finite, got nan"):
        summary([1.0, math.nan])


def test_scores_run_from_the_worst_mean_to_the_best():
    values = {"a": [1.0, 3.0], "b": [4.0], "c": [6.0, 6.0]}
    assert scores(values, lower_is_better=False) == {"a": [-0.25, 0.25], "b": [0.5], "c": [1, 1]}


def test_scores_turn_round_where_lower_is_better():
    values = {"a": [1.0, 3.0], "b": [4.0], "c": [6.0, 6.0]}
    assert scores(values, lower_is_better=True) == {"a": [1.25, 0.75], "b": [0.5], "c": [0, 0]}


@given(st.dictionaries(st.text(max_size=2), WHOLE, min_size=2, max_size=5), st.booleans())
def test_best_and_worst_means_score_one_and_zero(values, lower_is_better):
    found = scores(values, lower_is_better)
    if found is None:
        assert len({mean(each) for each in values.values()}) == 1
        return
    means = [mean(each) for each in found.values()]
    assert (min(means), max(means)) == pytest.approx((0, 1), abs=1e-12)


@given(st.dictionaries(st.text(max_size=2), WHOLE, min_size=2, max_size=5))
def test_scores_do_not_depend_on_the_unit(values):
    found = scores(values, lower_is_better=False)
    scaled = {name: [8 * value + 100 for value in each] for name, each in values.items()}
    again = scores(scaled, lower_is_better=False)
    assert (found is None) == (again is None)
    for name in found or ():
        assert again[name] == pytest.approx(found[name], abs=1e-9)


@pytest.mark.parametrize("values", [{}, {"a": [1.0]}, {"a": [1.0, 3.0], "b": [2.0]}])
def test_equal_means_give_no_scale(values):
    assert scores(values, lower_is_better=True) is None

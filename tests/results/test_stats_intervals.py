import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raysweep.results.stats import intervals
from raysweep.results.stats.intervals import (
    iqm_interval,
    mean_interval,
    probability_of_improvement,
    student_interval,
)
from raysweep.results.stats.summary import Interval, iqm, mean

VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=5, max_size=12)
TASK = st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=6)
TASKS = st.lists(TASK, min_size=5, max_size=6)
OF_VALUES = pytest.mark.parametrize("interval", [student_interval, mean_interval])
ALL = pytest.mark.parametrize(
    "interval",
    [
        student_interval,
        mean_interval,
        lambda values, level=0.95: iqm_interval([values[:5], values[5:]], level),
        lambda values, level=0.95: probability_of_improvement(
            [values], [[each + 0.3 for each in values]], lower_is_better=True, level=level
        )[1],
    ],
    ids=["student", "mean", "iqm", "improvement"],
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).tolist()


def ends(interval):
    return interval.low, interval.high


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_student_interval_is_that_of_scipy(n, level):
    values = normal(n)
    expected = stats.t.interval(level, n - 1, np.mean(values), stats.sem(values))
    assert ends(student_interval(values, level)) == pytest.approx(expected, rel=1e-12)


def test_five_values_take_each_resample_once():
    values = [0.0, 1.0, 3.0, 7.0, 8.0]
    picks = np.array(list(np.ndindex(5, 5, 5, 5, 5)))
    drawn = np.array(values)[picks[picks.std(1) > 0]]
    ratios = (drawn.mean(1) - np.mean(values)) / stats.sem(drawn, axis=1)
    high, low = np.quantile(ratios, [0.025, 0.975])
    expected = np.mean(values) - np.array([low, high]) * stats.sem(values)
    assert ends(mean_interval(values)) == pytest.approx(expected.tolist(), rel=1e-12)


def test_many_values_have_nearly_students_interval():
    values = normal(400)
    expected = student_interval(values)
    slack = 0.05 * (expected.high - expected.low)
    assert ends(mean_interval(values)) == pytest.approx(ends(expected), abs=slack)


def test_resamples_without_spread_are_left_out():
    found = mean_interval([0.0, 0.0, 0.0, 0.0, 1.0])
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_equal_values_have_an_interval_of_no_width(value):
    centre = mean([value] * 7)
    assert mean_interval([value] * 7) == Interval(centre, centre)


@OF_VALUES
@settings(deadline=None, max_examples=25)
@given(VALUES)
def test_intervals_of_a_mean_hold_the_mean(interval, values):
    found = interval(values)
    assert found.low <= mean(values) <= found.high


@OF_VALUES
@settings(deadline=None, max_examples=25)
@given(VALUES, st.sampled_from([0.25, 2.0]), st.integers(-100, 100))
def test_intervals_of_a_mean_follow_scale_and_shift(interval, values, scale, shift):
    moved = interval([scale * value + shift for value in values])
    expected = [scale * end + shift for end in ends(interval(values))]
    assert ends(moved) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_interval_of_a_skewed_mean_reaches_further_to_the_long_side():
    values = np.random.default_rng(2).exponential(size=30).tolist()
    found = mean_interval(values)
    assert found.high - mean(values) > 1.2 * (mean(values) - found.low)


@ALL
def test_a_higher_level_gives_a_wider_interval(interval):
    values = normal(10)
    narrow, wide = interval(values, 0.8), interval(values, 0.95)
    assert wide.low < narrow.low < narrow.high < wide.high


@ALL
def test_intervals_do_not_depend_on_earlier_calls(interval):
    found = interval(normal(10))
    interval(normal(10, seed=1))
    np.random.default_rng().normal()
    assert interval(normal(10)) == found


@pytest.mark.parametrize("interval", [student_interval, mean_interval])
def test_order_of_values_does_not_matter(interval):
    values = normal(11)
    assert interval(values[::-1]) == interval(values)


def test_order_of_tasks_and_of_their_values_does_not_matter():
    tasks = [normal(3, seed=1), normal(5, seed=2), normal(4, seed=3)]
    turned = [task[::-1] for task in reversed(tasks)]
    assert iqm_interval(turned) == iqm_interval(tasks)


@settings(deadline=None, max_examples=15)
@given(TASKS)
def test_interval_of_an_interquartile_mean_is_within_the_scores(tasks):
    found = iqm_interval(tasks)
    pooled = np.concatenate(tasks)
    assert pooled.min() - 1e-9 <= found.low <= found.high <= pooled.max() + 1e-9


def test_interval_of_an_interquartile_mean_holds_it():
    tasks = normal(4, 5)
    found = iqm_interval(tasks)
    assert found.low < iqm(np.ravel(tasks)) < found.high


def test_interval_of_an_interquartile_mean_follows_scale_and_shift():
    tasks = np.array(normal(4, 5))
    expected = [-3 * end + 2 for end in ends(iqm_interval(tasks.tolist()))]
    found = ends(iqm_interval((-3 * tasks + 2).tolist()))
    # another direction has other draws: equal up to the noise of 10,000 resamples
    assert found[::-1] == pytest.approx(expected, abs=0.06 * (found[1] - found[0]))


def test_weights_of_one_are_the_interquartile_mean_itself():
    ordered = np.sort(normal(11))
    found = intervals._weighted_iqm(ordered, np.ones((1, 11)))
    assert found == pytest.approx([iqm(ordered)], abs=1e-12)


def test_weights_count_values_as_often_as_they_say():
    ordered, weights = np.sort(normal(8)), np.array([[0, 3, 1, 0, 2, 2, 0, 0]])
    expected = iqm(np.repeat(ordered, weights[0]))
    assert intervals._weighted_iqm(ordered, weights) == pytest.approx([expected], abs=1e-12)


def test_weights_make_the_variance_of_a_mean_unbiased():
    values = np.array(normal(2, 4)) + np.array([[0.0], [3.0]])
    weights = np.concatenate(list(intervals._weights([4, 4])))
    means = weights @ values.ravel() / 8
    expected = values.var(axis=1, ddof=1).sum() / 4 / 4
    # a variance from 10,000 draws has a standard error of 1.4 %
    assert means.var() == pytest.approx(expected, rel=5 * 0.014)
    assert means.mean() == pytest.approx(values.mean(), abs=5 * math.sqrt(expected / 10_000))


def test_tasks_alike_add_up_their_degrees_of_freedom():
    task = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert intervals._degrees([task, task, task]) == pytest.approx(12, abs=1e-12)


def test_a_task_that_is_all_trimmed_adds_no_degree_of_freedom():
    tasks = [np.linspace(0, 1, 10), np.linspace(5, 6, 5), np.linspace(-6, -5, 5)]
    assert intervals._degrees(tasks) == pytest.approx(9, abs=1e-12)


def test_equal_scores_have_an_interval_of_no_width():
    found = iqm_interval([[0.5] * 5, [0.5] * 5])
    assert ends(found) == pytest.approx((0.5, 0.5), abs=1e-12)


def test_percentiles_widen_a_normal_interval_to_students():
    tail = intervals._expanded(0.025, 4)
    assert stats.norm.ppf(tail) == pytest.approx(stats.t.ppf(0.025, 4), rel=1e-12)


def by_pairs(first, second, lower_is_better):
    """The probability of improvement, pair by pair."""
    shares = []
    for own, theirs in zip(first, second, strict=True):
        won = 0.0
        for a in own:
            for b in theirs:
                won += 0.5 if a == b else float((a < b) == lower_is_better)
        shares.append(won / (len(own) * len(theirs)))
    return sum(shares) / len(shares)


@settings(deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_improvement_is_the_share_of_pairs_won(data, tasks, lower_is_better):
    sides = [data.draw(st.lists(TASK, min_size=tasks, max_size=tasks)) for _ in range(2)]
    found, _ = probability_of_improvement(*sides, lower_is_better)
    assert found == pytest.approx(by_pairs(*sides, lower_is_better), abs=1e-12)


def test_improvement_of_one_task_is_mann_whitneys_statistic():
    first, second = normal(6), normal(9, seed=1)
    expected = stats.mannwhitneyu(first, second).statistic / 54
    found, _ = probability_of_improvement([first], [second], lower_is_better=False)
    assert found == pytest.approx(expected, abs=1e-12)


def test_interval_of_an_improvement_solves_wilsons_equation():
    first, second = normal(1, 12), normal(1, 15, seed=1)
    chance, interval = probability_of_improvement(first, second, lower_is_better=False)
    won = np.greater.outer(first[0], second[0])
    variance = won.mean(1).var(ddof=1) / 12 + won.mean(0).var(ddof=1) / 15
    for end in ends(interval):
        ratio = (chance - end) ** 2 / (variance * end * (1 - end) / (chance * (1 - chance)))
        assert ratio == pytest.approx(stats.norm.ppf(0.975) ** 2, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(TASKS, TASKS, st.booleans())
def test_sides_swapped_turn_an_improvement_round(first, second, lower_is_better):
    tasks = min(len(first), len(second))
    sides = first[:tasks], second[:tasks]
    chance, interval = probability_of_improvement(*sides, lower_is_better)
    swapped, other = probability_of_improvement(*sides[::-1], lower_is_better)
    assert swapped == pytest.approx(1 - chance, abs=1e-12)
    assert (interval is None) == (other is None)
    if interval is not None:
        assert ends(other) == pytest.approx((1 - interval.high, 1 - interval.low), abs=1e-9)
        assert 0 <= interval.low <= chance <= interval.high <= 1


def test_an_improvement_is_the_same_in_any_rising_unit():
    first, second = np.array(normal(3, 5)), np.array(normal(3, 5, seed=1))
    found = probability_of_improvement(first, second, lower_is_better=True)
    assert probability_of_improvement(np.exp(first), np.exp(second), lower_is_better=True) == found


@pytest.mark.parametrize(
    ("first", "second", "chance"), [(0.0, 9.0, 0.0), (9.0, 0.0, 1.0), (5.0, 5.0, 0.5)]
)
def test_pairs_that_all_go_one_way_have_no_interval(first, second, chance):
    sides = [[first] * 10], [[second] * 10]
    assert probability_of_improvement(*sides, lower_is_better=False) == (chance, None)


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        (lambda: student_interval(normal(1)), False),
        (lambda: student_interval(normal(2)), True),
        (lambda: mean_interval(normal(4)), False),
        (lambda: mean_interval(normal(5)), True),
        (lambda: iqm_interval([normal(9)]), False),
        (lambda: iqm_interval([normal(10)]), True),
        (lambda: iqm_interval(normal(2, 5)), True),
        (lambda: iqm_interval(normal(3, 4)), False),
        (lambda: iqm_interval(normal(5, 3)), True),
        (lambda: iqm_interval([*normal(5, 5), normal(2)]), False),
        (lambda: probability_of_improvement(normal(3, 3), normal(3, 4), True)[1], False),
        (lambda: probability_of_improvement(normal(2, 5), normal(2, 5, seed=1), True)[1], True),
        (lambda: probability_of_improvement(normal(9, 2), normal(9, 5), True)[1], False),
    ],
)
def test_too_few_values_have_no_interval(found, enough):
    assert (found() is not None) == enough


@ALL
@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels_are_between_zero_and_one(interval, level):
    with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
        interval(normal(10), level)


@ALL
def test_values_that_are_not_finite_are_refused(interval):
    with pytest.raises(ValueError, match="values must be finite, got inf"):
        interval([*normal(9), math.inf])


@OF_VALUES
def test_no_values_have_no_interval(interval):
    with pytest.raises(ValueError, match="need one value or more, got none"):
        interval([])


@pytest.mark.parametrize(
    "interval", [iqm_interval, lambda tasks: probability_of_improvement(tasks, tasks, True)]
)
@pytest.mark.parametrize(
    ("tasks", "message"), [([], "one task or more, got none"), ([[]], "one value or more")]
)
def test_tasks_without_values_are_refused(interval, tasks, message):
    with pytest.raises(ValueError, match=message):
        interval(tasks)


def test_both_sides_need_the_same_tasks():
    with pytest.raises(ValueError, match="the same tasks, got 2 and 3"):
        probability_of_improvement(normal(2, 5), normal(3, 5), lower_is_better=True)


@pytest.mark.parametrize("interval", [mean_interval, lambda values: iqm_interval([values])])
def test_resampling_in_parts_gives_what_resampling_at_once_does(interval, monkeypatch):
    found = interval(normal(12))
    monkeypatch.setattr(intervals, "AT_ONCE", 12 * 64)
    assert interval(normal(12)) == found

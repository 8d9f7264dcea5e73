"""Performance profiles: fractions of runs, their direction and bands, and scores of all tasks."""

import itertools

import numpy as np
import pytest
from chart_helpers import caption, data, panels, texts
from figure_helpers import ESTIMATORS, TASKS, loss, only_begun, spec_of, store_of
from scipy.stats import binom

from raysweep.errors import SpecError
from raysweep.figures import profiles
from raysweep.figures.profiles import ALL_TASKS, ProfileRequest

ONE = {"A": TASKS["A"]}
RF = {"RF": ESTIMATORS["RF"]}


def prepared_of(results, **options):
    return profiles.prepare(results, ProfileRequest(**options))


def profile_of(prepared, estimator="RF", title="A"):
    (panel,) = (panel for panel in prepared.panels if panel.title == title)
    (profile,) = (i for i in panel.lines if i.estimator == estimator)
    return profile


def ended_with(values):
    """Final losses by seed, the same in every cell."""
    return lambda task, estimator, place, seed: float(values[seed])


def one(tmp_path, values, **options):
    """The profile of one estimator on one task, whose seeds ended with these losses."""
    results = store_of(tmp_path, spec_of(ONE, RF, seeds=len(values)), ended_with(values), None)
    return profile_of(prepared_of(results, **options))


@pytest.mark.parametrize("counts", ["at most", "at least", "above"])
def test_fractions_are_those_of_enumeration(counts):
    counted = {"at most": float.__le__, "at least": float.__ge__, "above": float.__gt__}[counts]
    x = np.arange(-1.0, 4.5, 0.5)
    for values in itertools.product([0.0, 1.0, 2.0, 3.0], repeat=3):
        expected = [np.mean([counted(value, float(at)) for value in values]) for at in x]
        shares = profiles.shares_at(np.array(values), x, counts)
        np.testing.assert_allclose(shares, expected, atol=1e-15)


def test_a_profile_of_a_metric_to_minimise_rises_by_one_run_at_each_value(tmp_path):
    profile = one(tmp_path, [3.0, 1.0, 2.0, 5.0])
    assert profile.x[1:-1].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert profile.y.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_profile_of_a_metric_to_maximise_falls_after_each_value(tmp_path):
    profile = one(tmp_path, [3.0, 1.0, 2.0, 5.0], metric="distance")
    assert profile.x[1:-1].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert profile.y.tolist() == [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]


def test_equal_values_are_one_step(tmp_path):
    profile = one(tmp_path, [2.0, 1.0, 2.0, 2.0])
    assert profile.x[1:-1].tolist() == [1.0, 2.0]
    assert profile.y.tolist() == [0.0, 0.25, 1.0, 1.0]


def test_runs_that_are_all_equal_are_one_step(tmp_path):
    profile = one(tmp_path, [2.0] * 5)
    np.testing.assert_allclose(profile.x, [1.94, 2.0, 2.06])
    assert profile.y.tolist() == [0.0, 1.0, 1.0]


def test_one_seed_is_a_step_without_a_band(tmp_path):
    profile = one(tmp_path, [2.0])
    assert profile.y.tolist() == [0.0, 1.0, 1.0]
    assert profile.band is None


def test_lines_of_a_panel_all_begin_and_end_at_the_same_values(hand):
    panel = prepared_of(hand).panels[0]
    assert len({(i.x[0], i.x[-1]) for i in panel.lines}) == 1


@pytest.mark.parametrize(("metric", "step"), [("train_loss", "after"), ("distance", "before")])
def test_a_line_has_its_step_at_the_value_where_the_run_counts(metric, step, hand):
    layers = panels(hand.plot("profile", metric=metric))["A"]["layer"]
    shapes = {i["mark"].get("interpolate") for i in layers if i["mark"]["type"] != "point"}
    assert shapes == {f"step-{step}"}


def test_the_band_needs_five_seeds_and_the_caption_says_so(tmp_path):
    four, five = (store_of(tmp_path / str(n), spec_of(ONE, RF, seeds=n)) for n in (4, 5))
    assert profile_of(prepared_of(four)).band is None
    assert np.isfinite(profile_of(prepared_of(five)).band).all()
    assert "band" not in caption(four.plot("profile"))
    assert ("band: pointwise 95 % percentile bootstrap over seeds, from five seeds") in caption(
        five.plot("profile")
    )


def test_tips_name_no_band_where_a_row_has_none(tmp_path):
    ended = lambda *cell: None if cell[1] == "ST" and cell[3] else loss(*cell)  # noqa: E731
    layers = panels(store_of(tmp_path, spec_of(seeds=5), ended).plot("profile"))["A"]["layer"]
    tips = {
        part["transform"][0]["filter"]: {tip["field"] for tip in part["encoding"]["tooltip"]}
        for part in layers
        if "tooltip" in part["encoding"]
    }
    assert "low" in tips["isValid(datum.low)"]
    assert "low" not in tips["!isValid(datum.low)"]


@pytest.mark.parametrize("metric", ["train_loss", "distance"])
@pytest.mark.parametrize("seeds", [5, 6, 20, 101])
def test_the_band_holds_the_line_and_is_within_zero_to_one(metric, seeds, tmp_path):
    values = np.random.default_rng(seeds).normal(size=seeds).round(1)
    profile = one(tmp_path, values, metric=metric)
    low, high = profile.band
    assert (low >= 0).all()
    assert (low <= profile.y).all()
    assert (profile.y <= high).all()
    assert (high <= 1).all()


def test_the_band_of_a_task_has_the_percentiles_of_the_binomial_distribution():
    share = np.arange(21) / 20
    low, high = profiles.band([share], [20])
    for end, percentile in ((low, 0.025), (high, 0.975)):
        np.testing.assert_allclose(end, binom.ppf(percentile, 20, share) / 20, atol=0.0501)


def test_the_band_over_tasks_is_that_of_a_mean_of_independent_tasks():
    share = np.full(1, 0.5)
    low, high = profiles.band([share] * 4, [100] * 4)
    half = 1.96 * 0.5 / np.sqrt(400)
    np.testing.assert_allclose([low[0], high[0]], [0.5 - half, 0.5 + half], atol=0.008)


def test_bands_are_the_same_at_every_call():
    share = np.arange(8) / 7
    np.testing.assert_array_equal(profiles.band([share], [7]), profiles.band([share], [7]))


def two_tasks(task, estimator, place, seed):
    """Losses of A from 10 to 14, and of B from 200 to 240; RF is the better one by two seeds."""
    base, step = {"A": (10.0, 1.0), "B": (200.0, 10.0)}[task]
    return base + step * (seed + (2 if estimator == "ST" else 0))


def test_all_tasks_have_the_fraction_of_scores_above_each_value(tmp_path):
    estimators = {"ST": {"estimator": "straight_through"}, "RF": ESTIMATORS["RF"]}
    results = store_of(tmp_path, spec_of(None, estimators, seeds=3), two_tasks, None)
    prepared = prepared_of(results)
    best, worst = (profile_of(prepared, name, ALL_TASKS) for name in ("RF", "ST"))
    # The scores of RF are 1, 3/4 and 1/2 on both tasks, those of ST 1/2, 1/4 and 0.
    np.testing.assert_allclose(best.x, [-0.03, 0.5, 0.75, 1.0, 1.03])
    np.testing.assert_allclose(best.y, [1, 2 / 3, 1 / 3, 0, 0])
    np.testing.assert_allclose(worst.x, [-0.03, 0.0, 0.25, 0.5, 1.03])
    np.testing.assert_allclose(worst.y, [1, 2 / 3, 1 / 3, 0, 0])
    assert best.count == worst.count == 6


def test_scores_of_a_metric_to_maximise_are_best_at_its_largest_value(tmp_path):
    estimators = {"ST": {"estimator": "straight_through"}, "RF": ESTIMATORS["RF"]}
    results = store_of(tmp_path, spec_of(None, estimators, seeds=3), two_tasks, None)
    prepared = prepared_of(results, metric="distance")
    best = profile_of(prepared, "ST", ALL_TASKS)
    np.testing.assert_allclose(best.x, [-0.03, 0.5, 0.75, 1.0, 1.03])


def test_tasks_have_the_same_weight_whatever_their_number_of_runs():
    cells = [profiles.SeedsRow("RF", 0, "selected", *[np.zeros(0)] * 2, 0, 0, 0, ())]
    tasks = {"A": np.array([0.0, 0.0]), "B": np.array([1.0] * 6)}
    profile = profiles.profile(profiles.Runs(cells, tasks), np.array([0.5, 0.5]), "above", 100)
    np.testing.assert_allclose(profile.y[profile.x == 0.5], [0.5])


def test_one_task_has_no_panel_of_all_tasks(hand):
    assert [panel.title for panel in prepared_of(hand, tasks="B").panels] == ["B"]


def test_the_panel_of_all_tasks_says_what_its_axis_is(hand):
    figure = hand.plot("profile")
    assert list(panels(figure)) == ["A", "B", ALL_TASKS]
    assert "normalised score (0 worst, 1 best)" in texts(figure)
    assert "0 at the worst and 1 at the best value of the task over all rows shown" in caption(
        figure
    )


def test_a_row_without_a_value_on_some_task_is_not_in_all_tasks_and_named(tmp_path):
    ended = lambda *cell: "diverged" if cell[:2] == ("A", "RF") else loss(*cell)  # noqa: E731
    results = store_of(tmp_path, spec_of(), ended)
    prepared = prepared_of(results)
    assert [profile.estimator for profile in prepared.panels[-1].lines] == ["ST"]
    text = caption(results.plot("profile"))
    assert "no profile: RF on A (diverged)" in text
    assert "not in all tasks: RF" in text


def test_a_task_whose_values_are_all_equal_has_no_score_and_is_named(tmp_path):
    tasks = {**TASKS, "C": {"task": "toy", "size": 3}}
    ended = lambda *cell: 1.0 if cell[0] == "C" else loss(*cell)  # noqa: E731
    results = store_of(tmp_path, spec_of(tasks), ended, None)
    assert profile_of(prepared_of(results), "RF", ALL_TASKS).count == 6
    assert "all values are equal on C" in caption(results.plot("profile"))


def test_provisional_profiles_are_pale_and_marked_in_the_legend(tmp_path):
    figure = store_of(tmp_path, spec_of(), only_begun).plot("profile")
    by_task = {
        task: {i["row"]: (i["opacity"], i["state"]) for i in data(figure, task)}
        for task in ("A", "B", ALL_TASKS)
    }
    assert by_task["A"]["ST (?)"] == by_task[ALL_TASKS]["ST (?)"] == (0.45, "provisional")
    assert by_task["B"]["ST (?)"] == by_task["A"]["RF"] == (1.0, "selected")
    assert "pale (?): provisional" in caption(figure)


def test_a_long_profile_keeps_its_ends_and_few_points_between(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "MAX_POINTS", 20)
    profile = one(tmp_path, np.arange(300.0))
    assert len(profile.x) == 20
    assert (profile.y[0], profile.y[-1]) == (0.0, 1.0)
    expected = [np.mean(np.arange(300.0) <= at) for at in profile.x]
    np.testing.assert_allclose(profile.y, expected, atol=1e-15)


def test_the_numbers_of_profiles_are_the_values_that_quarters_of_the_runs_reach(tmp_path):
    values = [3.0, 1.0, 2.0, 5.0]
    for metric, quarters in (("train_loss", ("1", "2", "3")), ("distance", ("5", "3", "2"))):
        results = store_of(tmp_path / metric, spec_of(ONE, RF, seeds=4), ended_with(values), None)
        (row,) = prepared_of(results, metric=metric).numbers.rows
        assert row == ("RF", "A", *quarters, "4", "selected")


def test_a_profile_has_one_metric(hand):
    with pytest.raises(SpecError, match="metric: expected one metric for a figure of profiles"):
        hand.plot("profile", metric=["train_loss", "distance"])


def test_a_sweep_without_ended_runs_has_no_profile(tmp_path):
    results = store_of(tmp_path, spec_of(), lambda *_: None)
    with pytest.raises(SpecError, match="no run of hand has finished"):
        results.plot("profile")

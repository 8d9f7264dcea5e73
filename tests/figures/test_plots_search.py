"""The progress of searches: in which order configurations count, and what the best so far is."""

import datetime

import numpy as np
import pytest
from figure_helpers import ESTIMATORS, TASKS, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import search_progress

BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
TEMPERATURES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
LOSSES = (5.0, 7.0, 3.0, 4.0, 1.0, 2.0)  # the configurations begin in the reverse of this order
SPEC = spec_of(
    {"A": TASKS["A"]}, {"ST": {**ESTIMATORS["ST"], "temperature": TEMPERATURES}}, seeds=2
)


def backwards(task, estimator, place, seed):
    return {"started_at": BEGAN - datetime.timedelta(minutes=place)}


def losses(task, estimator, place, seed):
    return LOSSES[place] + (seed or -1)  # seeds 0 and 1: one below and one above the mean


def search_of(results, **options):
    return search_progress.prepare(results, search_progress.SearchRequest(**options))


def line_of(results, **options):
    (panel,) = search_of(results, **options).panels
    return panel.lines[0]


def test_configurations_count_in_the_order_in_which_they_began(tmp_path):
    line = line_of(store_of(tmp_path, SPEC, losses, about=backwards))
    assert line.numbers.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(line.means, LOSSES[::-1], atol=1e-12)


def test_the_best_so_far_changes_where_a_better_mean_comes(tmp_path):
    forwards = lambda *cell: {"started_at": BEGAN + (BEGAN - backwards(*cell)["started_at"])}  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, losses, about=forwards))
    assert line.improved.tolist() == [1, 3, 5]
    np.testing.assert_allclose(line.best, [5.0, 3.0, 1.0], atol=1e-12)


def test_the_best_of_a_metric_to_maximise_is_the_largest(tmp_path):
    line = line_of(store_of(tmp_path, SPEC, losses, about=backwards), select="distance")
    assert line.improved.tolist() == [1, 3, 5]
    np.testing.assert_allclose(line.best, [2.0, 4.0, 7.0], atol=1e-12)


@pytest.mark.parametrize("status", ["diverged", "stopped", "failed"])
def test_what_did_not_end_well_counts_without_a_value(status, tmp_path):
    ended = lambda *cell: status if cell[2] in (0, 4) else losses(*cell)  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, ended, about=backwards))
    assert line.ended == 6
    assert line.numbers.tolist() == [1, 3, 4, 5]
    np.testing.assert_allclose(line.best, [2.0], atol=1e-12)


def test_what_has_yet_to_end_does_not_count(tmp_path):
    ended = lambda *cell: None if cell[2:] == (4, 1) else losses(*cell)  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, ended, about=backwards))
    assert (line.ended, line.numbers.tolist()) == (5, [1, 2, 3, 4, 5])


def test_of_many_configurations_few_dots_are_kept_and_every_improvement(tmp_path, monkeypatch):
    monkeypatch.setattr(search_progress, "MAX_DOTS", 20)
    count = search_progress.MAX_DOTS + 30
    points = [{"estimator.temperature": 1 + place / count} for place in range(count)]
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": {"low": 1.0, "high": 2.0}}}
    search = {"sampler": "random", "configurations": count}
    spec = spec_of({"A": TASKS["A"]}, estimators, seeds=1, search=search)
    ended = lambda task, estimator, place, seed: float(place)  # noqa: E731
    line = line_of(
        store_of(tmp_path, spec, ended, None, points=lambda arm: points, about=backwards)
    )
    assert (line.ended, len(line.numbers)) == (count, search_progress.MAX_DOTS)
    assert len(line.best) == count


def test_the_axis_leaves_out_what_would_flatten_the_rest(tmp_path):
    ended = lambda *cell: 1e6 if cell[2] == 5 else losses(*cell)  # noqa: E731
    (panel,) = search_of(store_of(tmp_path, SPEC, ended, about=backwards)).panels
    assert panel.limits == pytest.approx((0.475, 12.025), abs=1e-12)


def test_a_search_without_complete_configurations_is_told(tmp_path):
    results = store_of(tmp_path, SPEC, lambda *_: "stopped")
    with pytest.raises(SpecError, match=r"kind: search .* hand .*`raysweep status hand`"):
        results.plot("search")


def test_a_logarithmic_axis_of_a_search_needs_a_positive_value(tmp_path):
    results = store_of(tmp_path, SPEC, lambda *cell: -losses(*cell))
    with pytest.raises(SpecError, match="log: expected positive values of train_loss, got none"):
        results.plot("search", log=True)


def test_a_search_has_no_metric_but_the_one_that_selects(hand):
    with pytest.raises(SpecError, match=r"metric: .* kind search .*\(known: .*select"):
        hand.plot("search", metric="distance")

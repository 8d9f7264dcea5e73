"""Heatmaps: which configurations their cells show, and how they are shaded."""

import dataclasses

import numpy as np
import pytest
from figure_helpers import ESTIMATORS, loss, only_begun, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.results import bins
from raysweep.sweep.space import Choice

SPEC = spec_of()
TEMPERATURE = "estimator.temperature"


def heatmap_of(results, **options):
    return heatmaps.prepare(results, heatmaps.HeatmapRequest(**options))


def panel_of(what, estimator):
    (panel,) = (panel for panel in what.panels if panel.estimator == estimator)
    return panel


def test_a_heatmap_has_the_best_mean_at_each_value(hand):
    panel = panel_of(heatmap_of(hand, over=TEMPERATURE), "ST")
    assert [column.label for column in panel.columns] == ["1", "2"]
    np.testing.assert_allclose(panel.means, [[11.0, 10.0], [21.0, 20.0]])


def test_a_heatmap_takes_the_best_over_the_other_settings(tmp_path):
    spec = spec_of(training={"lr": [0.3, 0.1]})
    panel = panel_of(heatmap_of(store_of(tmp_path, spec), over="temperature"), "ST")
    np.testing.assert_allclose(panel.means, [[9.0, 8.0], [19.0, 18.0]])


def test_an_estimator_without_the_setting_has_no_panel_and_the_caption_says_so(hand):
    what = heatmap_of(hand, over="temperature")
    assert [panel.estimator for panel in what.panels] == ["ST"]
    figure = hand.plot("heatmap", over="temperature")
    assert len(figure.axes) == 1
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.endswith("; not shown, without estimator.temperature: RF")


def test_a_heatmap_of_estimators_without_the_setting_is_refused(hand):
    message = "over: none of the estimators shown has estimator.temperature"
    with pytest.raises(SpecError, match=message):
        hand.plot("heatmap", over="temperature", estimators="RF")


def test_the_only_searched_setting_need_not_be_named(hand):
    assert heatmap_of(hand).setting == TEMPERATURE


def test_another_metric_is_shown_of_the_selected_configuration(hand):
    panel = panel_of(heatmap_of(hand, metric="distance"), "ST")
    np.testing.assert_allclose(panel.means[0], [11.0, 10.0])


def test_cells_without_runs_are_blank(tmp_path):
    ended = lambda *cell: None if cell[:3] == ("A", "ST", 0) else loss(*cell)  # noqa: E731
    panel = panel_of(heatmap_of(store_of(tmp_path, SPEC, ended)), "ST")
    assert np.isnan(panel.means[0, 0])
    assert np.isnan(panel.scores[0, 0])


def test_a_value_whose_seeds_are_missing_is_provisional(tmp_path):
    panel = panel_of(heatmap_of(store_of(tmp_path, SPEC, only_begun)), "ST")
    assert panel.provisional == ((True, True), (False, False))


def test_shades_go_from_the_worst_to_the_best_of_each_task(hand):
    np.testing.assert_allclose(panel_of(heatmap_of(hand), "ST").scores, [[0, 1], [0, 1]])


def test_shades_of_a_metric_to_maximise_are_lighter_where_it_is_larger(hand):
    panel = panel_of(heatmap_of(hand, metric="distance"), "ST")
    np.testing.assert_allclose(panel.scores[0], [1, 0])


def test_one_bad_value_does_not_make_the_others_look_alike(tmp_path):
    spec = spec_of(estimators={"ST": {**ESTIMATORS["ST"], "temperature": [1.0, 2.0, 3.0]}})
    results = store_of(tmp_path, spec, lambda t, e, place, seed: (1.0, 2.0, 1e6)[place])
    np.testing.assert_allclose(panel_of(heatmap_of(results), "ST").scores[0], [1, 2 / 3, 0])


def test_a_range_is_cut_into_intervals():
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": {"low": 0.1, "high": 10, "log": True}}}
    spec = spec_of(estimators=estimators, search={"sampler": "random", "configurations": 2})
    found = bins.columns(spec.arms, TEMPERATURE)
    assert len(found) == bins.INTERVALS
    assert [found[0].label, found[-1].label] == ["0.1–0.18", "5.6–10"]
    assert found[3].interval == pytest.approx((0.1 * 100 ** (3 / 8), 1.0))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([2.0, 0.5], ["0.5", "2"]),
        (["b", "a"], ["b", "a"]),
        ([True, None], ["true", "null"]),
        ([(512, 256), (64,)], ["[512,256]", "[64]"]),
    ],
)
def test_columns_are_values_in_order(values, labels):
    arm = dataclasses.replace(SPEC.arms[0], space={"task.size": Choice(tuple(values))})
    assert [column.label for column in bins.columns([arm], "task.size")] == labels


@pytest.mark.parametrize(
    ("spec", "over", "message"),
    [
        (SPEC, "temprature", "'temprature'; did you mean 'estimator.temperature'"),
        (spec_of(training={"lr": [0.3, 0.1]}), None, "choose one of estimator.temp.*, training.lr"),
        (spec_of(estimators={"RF": ESTIMATORS["RF"]}), "lr", "searches no setting"),
    ],
)
def test_a_setting_that_is_not_searched_is_told(spec, over, message, tmp_path):
    with pytest.raises(SpecError, match=rf"over: .*{message}"):
        store_of(tmp_path, spec).plot("heatmap", over=over)


def test_a_heatmap_has_one_metric(hand):
    with pytest.raises(SpecError, match=r"metric: .* a heatmap, got distance, tr"):
        hand.plot("heatmap", metric=["distance", "train_loss"])

"""Slices of a search: where each configuration's point is, and which points are drawn."""

import numpy as np
import pytest
from chart_helpers import caption, data, panels, svg, texts
from figure_helpers import (
    ESTIMATORS,
    POINTS,
    TASKS,
    loss,
    only_begun,
    searching,
    spec_of,
    store_of,
)

from raysweep.errors import SpecError
from raysweep.figures import slices
from raysweep.figures.size import COLOURS
from raysweep.figures.slice_charts import NARROWEST

ONE = {"A": TASKS["A"]}


def slices_of(results, **options):
    return slices.prepare(results, slices.SliceRequest(**options))


def panel_of(results, setting, task="A", **options):
    found = slices_of(results, **options).panels
    (panel,) = (panel for panel in found if (panel.setting, panel.task) == (setting, task))
    return panel


def three(folder, ended=lambda task, estimator, place, seed: 4.0 - place + seed, **more):
    """Three configurations, with means 5, 4 and 3 unless they end otherwise."""
    return store_of(folder, searching(), ended, points=lambda arm: POINTS, **more)


def test_a_point_is_at_its_settings_value_and_its_mean_over_seeds(tmp_path):
    (points,) = panel_of(three(tmp_path), "lr").points
    assert sorted(zip(points.x.tolist(), points.means.tolist(), strict=True)) == [
        (1e-4, 4.0),
        (1e-3, 5.0),
        (1e-2, 3.0),
    ]


def test_there_is_a_panel_for_each_searched_setting_of_each_task(tmp_path):
    results = store_of(tmp_path, spec_of(training={"lr": [0.3, 0.1]}))
    found = [(panel.task, panel.setting) for panel in slices_of(results).panels]
    assert found == [("A", "lr"), ("A", "temperature"), ("B", "lr"), ("B", "temperature")]
    titles = ["lr · A", "temperature · A", "lr · B", "temperature · B"]
    assert list(panels(results.plot("slice"))) == titles


def test_a_configuration_is_left_out_where_the_setting_does_not_apply(tmp_path):
    (points,) = panel_of(three(tmp_path), "momentum").points
    assert points.x.tolist() == [0.6, 0.0] or points.x.tolist() == [0.0, 0.6]


def test_the_axis_of_a_logarithmic_range_is_logarithmic_and_spans_it(tmp_path):
    results = three(tmp_path)
    panel = panel_of(results, "lr")
    assert (panel.log, panel.ends) == (True, (1e-4, 1e-2))
    scale = panels(results.plot("slice"))["lr"]["layer"][0]["encoding"]["x"]["scale"]
    assert (scale["type"], scale["domain"]) == ("log", [1e-4, 1e-2])


def test_values_of_a_choice_are_side_by_side_with_the_points_spread_around_them(tmp_path):
    panel = panel_of(three(tmp_path), "optimizer")
    assert panel.choices == ("adam", "sgd")
    (points,) = panel.points
    assert [round(x) for x in points.x] == [("adam", "sgd").index(text) for text in points.values]
    assert len(set(points.x.tolist())) == 3
    assert np.array_equal(points.x, panel_of(three(tmp_path / "again"), "optimizer").points[0].x)


def test_numbers_of_a_choice_are_in_order(tmp_path):
    results = store_of(tmp_path, spec_of(ONE, training={"lr": [0.3, 0.1]}))
    assert panel_of(results, "lr").choices == ("0.1", "0.3")


def test_the_selected_configuration_is_ringed(tmp_path):
    results = three(tmp_path)
    (points,) = panel_of(results, "lr").points
    assert [x for x, state in zip(points.x, points.states, strict=True) if state == "selected"] == [
        1e-2
    ]
    assert "; ringed: selected" in caption(results.plot("slice"))


def test_provisional_configurations_are_pale(tmp_path):
    results = store_of(tmp_path, spec_of(ONE), only_begun)
    chart = results.plot("slice")
    assert {row["opacity"] for row in data(chart) if row["row"] == "ST"} == {0.45}
    assert "; pale (?): provisional, seeds are missing" in caption(chart)


def test_configurations_that_were_stopped_early_are_grey_where_they_stopped(tmp_path):
    ended = lambda task, estimator, place, seed: (1.0, 2.0, "stopped")[place]  # noqa: E731
    reached = lambda task, estimator, place, seed: (  # noqa: E731
        {"metric.train_loss": 2.5} if place == 2 else {}
    )
    chart = three(tmp_path, ended, about=reached).plot("slice", over="lr")
    stopped = [(row["x"], row["y"]) for row in data(chart) if row["state"] == "stopped early"]
    assert stopped == [(0.01, 2.5)]
    assert "; grey: stopped early, its mean where it stopped" in caption(chart)


def test_stopped_configurations_without_a_value_are_counted(tmp_path):
    ended = lambda task, estimator, place, seed: (1.0, 2.0, "stopped")[place]  # noqa: E731
    text = caption(three(tmp_path, ended).plot("slice"))
    assert text.endswith("; not shown: 1 configuration stopped without a value")


def test_bad_configurations_are_outside_the_axes_and_counted(tmp_path):
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.1**place} for place in range(5)]
    ended = lambda task, estimator, place, seed: (1.0, 2.0, 3.0, 4.0, 1e6)[place]  # noqa: E731
    results = store_of(tmp_path, searching(), ended, points=lambda arm: points)
    low, high = panel_of(results, "lr").limits
    assert 0 < low < 1
    assert 7 < high < 8
    text = caption(results.plot("slice"))
    assert "; 1 configuration outside the y axes, which end at three times as far from" in text
    assert "outside" not in caption(results.plot("slice", log=True))


def test_a_metric_to_maximise_is_cut_at_its_low_end(tmp_path):
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.1**place} for place in range(5)]
    ended = lambda task, estimator, place, seed: (9.0, 8.0, 7.0, 6.0, -1e6)[place]  # noqa: E731
    results = store_of(tmp_path, searching(), ended, points=lambda arm: points)
    low, high = panel_of(results, "lr", metric="distance").limits
    assert 2 < low < 3
    assert 9 < high < 10


def test_panels_of_a_task_have_the_same_y_axis(tmp_path):
    found = slices_of(three(tmp_path)).panels
    assert len({panel.limits for panel in found}) == 1


def test_settings_may_be_chosen(tmp_path):
    chart = three(tmp_path).plot("slice", over=("momentum", "training.lr"))
    assert list(panels(chart)) == ["momentum", "lr"]


def test_a_setting_that_is_not_searched_is_refused(hand):
    with pytest.raises(SpecError, match=r"over: .* 'temprature'; did you mean"):
        hand.plot("slice", over="temprature")


def test_of_many_settings_the_first_are_shown_and_the_caption_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "MAX_SETTINGS", 2)
    chart = three(tmp_path).plot("slice")
    assert len(panels(chart)) == 2
    assert "; 2 of 3 searched settings" in caption(chart)


def test_a_sweep_that_searches_nothing_is_refused(tmp_path):
    results = store_of(tmp_path, spec_of(estimators={"RF": ESTIMATORS["RF"]}))
    with pytest.raises(SpecError, match=r"kind: slices .* searches no setting"):
        results.plot("slice")


def test_slices_have_one_metric(hand):
    with pytest.raises(SpecError, match=r"metric: .* slices, got distance, tr"):
        hand.plot("slice", metric=["distance", "train_loss"])


def test_a_logarithmic_axis_needs_positive_values(tmp_path):
    results = three(tmp_path, lambda *_: -1.0)
    with pytest.raises(SpecError, match="log: expected positive values of train_loss"):
        results.plot("slice", log=True)


def test_of_many_configurations_some_are_drawn_with_the_selected_one(tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "MAX_POINTS", 5)
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.001**place} for place in range(40)]
    ended = lambda task, estimator, place, seed: float(abs(place - 7))  # noqa: E731
    results = store_of(tmp_path, searching(seeds=1), ended, points=lambda arm: points)
    (of_row,) = panel_of(results, "lr").points
    assert len(of_row.x) in (5, 6)
    assert of_row.means[of_row.states.index("selected")] == 0
    assert f"; {len(of_row.x)} of 40 configurations" in caption(results.plot("slice"))


def test_rows_have_their_colours_in_the_legend(tmp_path):
    results = store_of(tmp_path, spec_of(training={"lr": [0.3, 0.1]}))
    found = texts(results.plot("slice"))
    assert {"ST", "RF"} <= set(found)


def test_values_that_are_no_number_are_counted_where_others_are(tmp_path):
    spec = spec_of(
        ONE,
        {
            "ST": {**ESTIMATORS["ST"], "temperature": {"low": 1.0, "high": 2.0}},
            "GST": {"estimator": "gapped_st", "gap": ["expected", 1.0]},
            "GS2": {"estimator": "gapped_st", "gap": {"low": 0.5, "high": 1.0}},
        },
        search={"sampler": "random", "configurations": 2},
    )
    points = {
        "ST": [{"estimator.temperature": 1.5}],
        "GST": [{"estimator.gap": "expected"}, {"estimator.gap": 1.0}],
        "GS2": [{"estimator.gap": 0.7}],
    }
    results = store_of(tmp_path, spec, loss, points=lambda arm: points[arm.estimator_label])
    text = caption(results.plot("slice", over="gap"))
    assert text.endswith("; not shown: 1 point whose value is no number")


LONG = "a row whose label says with many words what it is, and more than a line of them"


def test_long_labels_of_rows_are_wrapped_in_the_legend(tmp_path):
    estimators = {LONG: {"estimator": "reinforce"}}
    results = store_of(tmp_path, spec_of(TASKS, estimators, training={"lr": [0.3, 0.1]}))
    chart = results.plot("slice", size="column")
    assert 'width="234"' in svg(chart)
    assert LONG in texts(chart)
    assert min(panel["width"] for panel in panels(chart).values()) >= NARROWEST


def test_rows_with_one_colour_differ_in_their_shapes(tmp_path):
    estimators = {f"RF {index}": {"estimator": "reinforce"} for index in range(20)}
    spec = spec_of({"A": TASKS["A"]}, estimators, training={"lr": [0.3, 0.1]})
    chart = store_of(tmp_path, spec).plot("slice")
    layers = panels(chart)["lr"]["layer"]
    (scale,) = (e["shape"]["scale"] for e in (one["encoding"] for one in layers) if "shape" in e)
    looks = {(COLOURS[i % len(COLOURS)], shape) for i, shape in enumerate(scale["range"])}
    assert len(looks) == len(scale["domain"]) == 20

"""Parallel coordinates: where each configuration's line passes, and which lines are drawn."""

import numpy as np
import pytest
from chart_helpers import caption, data, panels, texts
from figure_helpers import (
    ESTIMATORS,
    POINTS,
    TASKS,
    only_begun,
    searching,
    spec_of,
    store_of,
)

from raysweep.errors import SpecError
from raysweep.figures import axes, parallel
from raysweep.figures.scale import Scale
from raysweep.sweep.space import Choice, Range

ONE = {"A": TASKS["A"]}


def parallel_of(results, **options):
    return parallel.prepare(results, parallel.ParallelRequest(**options))


def panel_of(results, estimator="RF", **options):
    (panel,) = (
        each for each in parallel_of(results, **options).panels if each.estimator == estimator
    )
    return panel


@pytest.fixture
def three(tmp_path):
    """Three configurations with means 5, 4 and 3."""
    ended = lambda task, estimator, place, seed: 4.0 - place + seed  # noqa: E731
    return store_of(tmp_path, searching(), ended, points=lambda arm: POINTS)


def test_a_line_passes_each_setting_at_its_value_and_ends_at_its_score(three):
    panel = panel_of(three)
    assert [axis.name for axis in panel.axes] == ["optimizer", "lr", "momentum", "train_loss"]
    expected = [[0, 0.5, np.nan, 0], [1, 0, 0.75, 0.5], [1, 1, 0, 1]]
    np.testing.assert_allclose(panel.lines.positions, expected, atol=1e-12)


def test_lines_are_drawn_from_the_worst_to_the_best(three):
    np.testing.assert_allclose(panel_of(three).lines.scores, [0, 0.5, 1], atol=1e-12)


def test_lines_of_a_metric_to_maximise_end_the_other_way_round(three):
    panel = panel_of(three, metric="distance")
    np.testing.assert_allclose(panel.lines.scores, [0, 0.5, 1], atol=1e-12)
    assert panel.selected == 0


def test_the_selected_line_is_the_tables(three):
    panel = panel_of(three)
    (cell,) = three.table().cells
    assert panel.lines.configuration_ids[panel.selected] == cell.configuration_id


def test_configurations_that_did_not_end_well_have_no_line(tmp_path):
    ended = lambda task, estimator, place, seed: (1.0, "stopped", "diverged")[place]  # noqa: E731
    panel = panel_of(store_of(tmp_path, searching(), ended, points=lambda arm: POINTS))
    assert (len(panel.lines.scores), panel.configurations) == (1, 1)


def test_where_no_configuration_has_all_seeds_those_begun_are_drawn(tmp_path):
    ended = lambda *cell: None if cell[3] == 2 else float(cell[2])  # noqa: E731
    panel = panel_of(store_of(tmp_path, searching(), ended, points=lambda arm: POINTS))
    assert panel.provisional
    assert len(panel.lines.scores) == 3


def test_of_many_configurations_the_best_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "MAX_LINES", 5)
    count = parallel.MAX_LINES + 20
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.001**place} for place in range(count)]
    ended = lambda task, estimator, place, seed: float(place)  # noqa: E731
    results = store_of(tmp_path, searching(seeds=1), ended, points=lambda arm: points)
    panel = panel_of(results)
    assert (len(panel.lines.scores), panel.configurations) == (parallel.MAX_LINES, count)
    assert panel.lines.scores[0] == pytest.approx(
        1 - (parallel.MAX_LINES - 1) / (count - 1), abs=1e-12
    )
    assert "the best 5 of up to 25" in caption(results.plot("parallel"))


def test_the_selected_line_is_drawn_though_it_is_not_among_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "MAX_LINES", 5)
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.001**place} for place in range(15)]
    ended = lambda task, estimator, place, seed: float(place)  # noqa: E731
    results = store_of(tmp_path, searching(seeds=1), ended, points=lambda arm: points)
    panel = panel_of(results, select="train_loss", metric="distance")
    assert panel.selected == 0
    assert (len(panel.lines.scores), panel.lines.scores[0]) == (5, 0.0)


def test_an_estimator_that_searches_nothing_has_no_panel(hand):
    assert {panel.estimator for panel in parallel_of(hand).panels} == {"ST"}


def test_scores_share_a_scale_within_a_task(tmp_path):
    spec = spec_of(ONE, training={"lr": [0.3, 0.1]})
    panel = panel_of(store_of(tmp_path, spec))
    np.testing.assert_allclose(panel.lines.scores, [0, 1 / 3], atol=1e-12)


def test_a_running_cell_is_marked(tmp_path):
    spec = spec_of(ONE, {"ST": {**ESTIMATORS["ST"], "temperature": [1.0, 2.0]}})
    results = store_of(tmp_path, spec, only_begun)
    assert panel_of(results, "ST").provisional
    assert list(panels(results.plot("parallel"))) == ["ST ?"]


def test_a_sweep_that_searches_nothing_is_told(tmp_path):
    results = store_of(tmp_path, spec_of(estimators={"RF": ESTIMATORS["RF"]}))
    with pytest.raises(SpecError, match=r"kind: parallel .* searches no setting"):
        results.plot("parallel")


def test_parallel_coordinates_have_one_metric(hand):
    with pytest.raises(SpecError, match=r"metric: .* parallel coordinates, got distance, tr"):
        hand.plot("parallel", metric=["distance", "train_loss"])


@pytest.mark.parametrize(
    ("domain", "ticks"),
    [
        (Choice((2.0, 0.5, 1.0)), {0.0: "0.5", 0.5: "1", 1.0: "2"}),
        (Choice(("b", "a")), {0.0: "b", 1.0: "a"}),
        (Range(0.0, 1.0), {0.0: "0", 0.25: "0.25", 0.5: "0.5", 0.75: "0.75", 1.0: "1"}),
        (Range(1e-4, 1e-2, log=True), {0.0: "0.0001", 0.5: "0.001", 1.0: "0.01"}),
        (Range(-3.0, 5.0), {0.0: "-3", 0.125: None, 0.375: "0", 0.625: "2", 0.875: None, 1.0: "5"}),
    ],
    ids=["numbers", "words", "range", "log", "around zero"],
)
def test_an_axis_has_its_values_or_round_numbers(domain, ticks):
    found = dict(axes.setting_axis("name", domain).ticks)
    assert {round(place, 12): label for place, label in found.items()} == {
        place: label for place, label in ticks.items() if label
    }


def test_the_metrics_axis_tells_that_worse_values_are_at_its_foot():
    values = np.array([1.0, 2.0, 2.0, 2.0, 100.0])
    axis = axes.metric_axis("loss", Scale.of(values, "min"))
    assert axis.ticks[0] == (0.0, "≥ 4")
    assert axis.ticks[-1] == (1.0, "1")


@pytest.fixture
def stopping(tmp_path):
    """One configuration that ended well with 1, and two stopped early at 5 and 6."""
    ended = lambda task, estimator, place, seed: "stopped" if place else 1.0  # noqa: E731
    reached = lambda task, estimator, place, seed: (  # noqa: E731
        {"metric.train_loss": 4.0 + place} if place else {}
    )
    return store_of(tmp_path, searching(), ended, points=lambda arm: POINTS, about=reached)


def test_configurations_that_early_stopping_ended_are_lines_of_their_own(stopping):
    panel = panel_of(stopping)
    assert (len(panel.lines.scores), panel.stopped_configurations) == (1, 2)
    assert panel.stopped.means.tolist() == [5.0, 6.0]
    chart = stopping.plot("parallel")
    assert [row["state"] for row in data(chart) if "state" in row] == [
        "stopped early",
        "stopped early",
        "selected",
    ]
    assert "; thin grey: stopped early; " in caption(chart)


def test_the_axis_is_marked_where_stopped_configurations_are_beyond_its_end(tmp_path):
    ended = lambda task, estimator, place, seed: (1.0, 2.0, "stopped")[place]  # noqa: E731
    reached = lambda task, estimator, place, seed: (  # noqa: E731
        {"metric.train_loss": 9.0} if place == 2 else {}
    )
    results = store_of(tmp_path, searching(), ended, points=lambda arm: POINTS, about=reached)
    assert "≥ 2" in texts(results.plot("parallel"))


def test_a_stopped_line_without_a_value_ends_at_the_last_setting(tmp_path):
    ended = lambda task, estimator, place, seed: "stopped" if place else 1.0  # noqa: E731
    results = store_of(tmp_path, searching(), ended, points=lambda arm: POINTS)
    assert np.isnan(panel_of(results).stopped.positions[:, -1]).all()
    stopped = [row for row in data(results.plot("parallel")) if row.get("state") == "stopped early"]
    assert [(row["p3"], row["mean"]) for row in stopped] == [(None, "not known")] * 2


def test_of_many_stopped_configurations_some_are_drawn_and_the_caption_counts_them(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(parallel, "MAX_LINES", 5)
    points = [{**POINTS[0], "training.lr": 1e-4 * 1.001**place} for place in range(15)]
    ended = lambda task, estimator, place, seed: "stopped" if place else 1.0  # noqa: E731
    results = store_of(tmp_path, searching(seeds=1), ended, points=lambda arm: points)
    assert "; thin grey: stopped early (5 of 14)" in caption(results.plot("parallel"))


def test_tips_of_a_line_name_its_settings_and_its_mean(three):
    panel = panels(three.plot("parallel"))["RF"]
    tips = {tip["title"]: tip["field"] for tip in panel["layer"][0]["encoding"]["tooltip"]}
    best = next(row for row in data(three.plot("parallel")) if row.get("state") == "selected")
    shown = {title: best[field] for title, field in tips.items()}
    assert shown == {
        "optimizer": "sgd",
        "lr": "0.01",
        "momentum": "0",
        "train_loss": "3",
        "state": "selected",
    }


def test_a_setting_that_does_not_apply_has_a_tick_below_its_axis(three):
    chart = three.plot("parallel")
    assert "–" in texts(chart)
    assert "; –: does not apply" in caption(chart)


def test_the_selected_line_is_outlined(three):
    layers = panels(three.plot("parallel"))["RF"]["layer"]
    filters = [layer.get("transform", [])[-1:] for layer in layers]
    assert filters.count([{"filter": "datum.line === 2"}]) == 2
    assert "; outlined: selected" in caption(three.plot("parallel"))


def test_many_panels_share_the_lines_of_a_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "ALL_LINES", 3)
    monkeypatch.setattr(parallel, "MIN_LINES", 1)
    results = store_of(tmp_path, spec_of(training={"lr": [0.3, 0.1]}))
    found = parallel_of(results).panels
    assert [len(panel.lines.scores) for panel in found] == [1] * 4

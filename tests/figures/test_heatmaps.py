"""Heatmaps: which configurations their cells show, and how they are shaded."""

import dataclasses
import re

import numpy as np
import pytest
from chart_helpers import caption, data, panels, svg, texts
from figure_helpers import ESTIMATORS, loss, only_begun, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.figures.heatmap_charts import LINE
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
    assert [column.label for column in panel.x] == ["1", "2"]
    np.testing.assert_allclose(panel.cells.means, [[11.0, 10.0], [21.0, 20.0]])


def test_a_heatmap_takes_the_best_over_the_other_settings(tmp_path):
    spec = spec_of(training={"lr": [0.3, 0.1]})
    panel = panel_of(heatmap_of(store_of(tmp_path, spec), over="temperature"), "ST")
    np.testing.assert_allclose(panel.cells.means, [[9.0, 8.0], [19.0, 18.0]])


def test_an_estimator_without_the_setting_has_no_panel_and_the_caption_says_so(hand):
    what = heatmap_of(hand, over="temperature")
    assert [panel.estimator for panel in what.panels] == ["ST"]
    chart = hand.plot("heatmap", over="temperature")
    assert list(panels(chart)) == ["ST"]
    assert caption(chart).endswith("; not shown, without estimator.temperature: RF")


def test_a_heatmap_of_estimators_without_the_setting_is_refused(hand):
    message = "over: none of the estimators shown has estimator.temperature"
    with pytest.raises(SpecError, match=message):
        hand.plot("heatmap", over="temperature", estimators="RF")


def test_the_only_searched_setting_need_not_be_named(hand):
    assert heatmap_of(hand).settings == (TEMPERATURE,)


def test_another_metric_is_shown_of_the_selected_configuration(hand):
    panel = panel_of(heatmap_of(hand, metric="distance"), "ST")
    np.testing.assert_allclose(panel.cells.means[0], [11.0, 10.0])


def test_cells_without_runs_are_blank(tmp_path):
    ended = lambda *cell: None if cell[:3] == ("A", "ST", 0) else loss(*cell)  # noqa: E731
    panel = panel_of(heatmap_of(store_of(tmp_path, SPEC, ended)), "ST")
    assert np.isnan(panel.cells.means[0, 0])
    assert np.isnan(panel.scores[0, 0])


def test_a_value_whose_seeds_are_missing_is_provisional(tmp_path):
    panel = panel_of(heatmap_of(store_of(tmp_path, SPEC, only_begun)), "ST")
    assert panel.cells.provisional.tolist() == [[True, True], [False, False]]


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


def ending(**statuses):
    """How runs of the estimator ST on task A end, by the place of the configuration."""

    def ended(task, estimator, place, seed):
        status = statuses.get(f"place_{place}") if (task, estimator) == ("A", "ST") else None
        return status or loss(task, estimator, place, seed)

    return ended


def cells_of(results, **options):
    """The records of the cells of ST on task A, by their value."""
    chart = results.plot("heatmap", over="temperature", **options)
    return {row["along"]: row for row in data(chart, "ST") if row["up"] == "A"}


def test_a_cell_whose_configurations_were_all_stopped_early_is_grey_and_says_so(tmp_path):
    results = store_of(tmp_path, SPEC, ending(place_0="stopped"))
    cell = cells_of(results)["1"]
    assert (cell["state"], cell["runs"]) == ("stopped early", "1, 1 stopped early")
    text = caption(results.plot("heatmap", over="temperature"))
    assert "; grey: stopped early" in text
    assert "blank" not in text


def test_a_stopped_cell_says_the_best_value_that_was_reached(tmp_path):
    spec = spec_of(training={"lr": [0.3, 0.1]})
    reached = lambda task, estimator, place, seed: {"metric.train_loss": 50.0 + place}  # noqa: E731
    stopped = lambda *cell: "stopped" if cell[:2] == ("A", "ST") else loss(*cell)  # noqa: E731
    cells = cells_of(store_of(tmp_path, spec, stopped, about=reached))
    assert {value: cell["reached"] for value, cell in cells.items()} == {"1": "50", "2": "51"}


def test_a_value_that_was_not_stored_where_runs_stopped_is_not_known(tmp_path):
    cell = cells_of(store_of(tmp_path, SPEC, ending(place_0="stopped")))["1"]
    assert cell["reached"] == "not known"


def test_a_cell_with_a_configuration_that_ended_well_shows_it_beside_stopped_ones(tmp_path):
    spec = spec_of(training={"lr": [0.3, 0.1]})
    cell = cells_of(store_of(tmp_path, spec, ending(place_0="stopped")))["1"]
    assert (cell["state"], cell["runs"]) == ("final", "2, 1 stopped early")


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_cell_whose_configurations_diverged_or_failed_has_a_cross(status, tmp_path):
    results = store_of(tmp_path, SPEC, ending(place_0=status))
    chart = results.plot("heatmap", over="temperature")
    assert cells_of(results)["1"]["state"] == "diverged or failed"
    assert "×" in texts(chart)
    assert "; ×: diverged or failed" in caption(chart)


def test_a_cell_where_nothing_ran_is_blank(tmp_path):
    ended = lambda *cell: None if cell[:3] == ("A", "ST", 0) else loss(*cell)  # noqa: E731
    results = store_of(tmp_path, SPEC, ended)
    assert list(cells_of(results)) == ["2"]
    assert "; blank: no runs" in caption(results.plot("heatmap", over="temperature"))


def test_a_configuration_without_the_shown_metric_has_a_dash(tmp_path):
    lacks = lambda *cell: {"metric.distance": None} if cell[:3] == ("A", "ST", 0) else {}  # noqa: E731
    results = store_of(tmp_path, SPEC, about=lacks)
    assert cells_of(results, metric="distance")["1"]["state"] == "empty"
    assert "; –: no value" in caption(
        results.plot("heatmap", over="temperature", metric="distance")
    )


def test_numbers_in_cells_have_four_digits(hand):
    assert {"11.00", "10.00", "21.00", "20.00"} <= set(texts(hand.plot("heatmap")))


def test_a_provisional_cell_has_a_question_mark_and_the_caption_says_so(tmp_path):
    chart = store_of(tmp_path, SPEC, only_begun).plot("heatmap")
    assert "10.50 ?" in texts(chart)
    assert "; ?: provisional, seeds are missing" in caption(chart)


@pytest.mark.parametrize(
    ("values", "shown"), [(6, {"0.01234"}), (10, {"0.0123"}), (30, set())], ids=str
)
def test_numbers_are_shortened_or_left_out_where_they_do_not_fit(values, shown, tmp_path):
    temperatures = [float(value) for value in range(1, values + 1)]
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": temperatures}}
    results = store_of(tmp_path, spec_of(None, estimators), lambda *_: 0.01234, curve=None)
    chart = results.plot("heatmap", size="column")
    assert {text for text in texts(chart) if text.startswith("0.01")} == shown


def test_only_the_first_panel_of_a_row_has_the_labels_of_tasks(tmp_path):
    estimators = {
        label: {**ESTIMATORS["ST"], "temperature": values}
        for label, values in {"one": [1.0, 2.0], "two": [3.0, 4.0]}.items()
    }
    found = texts(store_of(tmp_path, spec_of(None, estimators)).plot("heatmap"))
    assert (found.count("A"), found.count("B")) == (1, 1)


def test_cells_of_all_panels_are_equally_wide(tmp_path):
    estimators = {
        "few": {**ESTIMATORS["ST"], "temperature": [1.0, 2.0]},
        "many": {**ESTIMATORS["ST"], "temperature": [1.0, 2.0, 3.0, 4.0]},
    }
    chart = store_of(tmp_path, spec_of(None, estimators)).plot("heatmap", size="page")
    widths = {title: panel["width"] for title, panel in panels(chart).items()}
    assert widths["many"] == pytest.approx(2 * widths["few"])


def test_any_label_can_be_a_value_or_a_task(tmp_path):
    task = "<b>$x_1$</b> & 'quotes' \"and\" {braces} of a long label that has several lines"
    spec = spec_of({task: {"task": "toy"}}, {"ST": ESTIMATORS["ST"]})
    shown = " ".join(texts(store_of(tmp_path, spec, lambda *_: 1.0).plot("heatmap")))
    assert all(word in shown for word in task.split())


def test_the_middle_of_a_label_of_several_lines_is_at_its_row(tmp_path):
    tasks = {"first": {"task": "toy"}, "a task with a label of several lines": {"task": "toy"}}
    chart = store_of(tmp_path, spec_of(tasks, {"ST": ESTIMATORS["ST"]}), loss_of_any).plot(
        "heatmap"
    )
    height = panels(chart)["ST"]["height"] / 2
    place = r'translate\([-\d.]+,([\d.]+)\)"[^>]*><tspan[^>]*>{}<'
    (first,) = re.findall(place.replace("><tspan[^>]*", "").format("first"), svg(chart))
    (line,) = re.findall(place.format("a task with a"), svg(chart))
    assert float(line) - float(first) == pytest.approx(height - LINE * (3 - 1) / 2, abs=0.6)


def test_marks_of_cells_without_a_number_are_legible_on_a_dark_page(tmp_path):
    chart = store_of(tmp_path, SPEC, only_begun).plot("heatmap")
    for panel in panels(chart).values():
        marks = [layer["mark"] for layer in panel["layer"] if layer["mark"]["type"] == "text"]
        assert [mark.get("style") for mark in marks] == [None, "ink"]


def test_cells_without_runs_have_a_pale_ground(tmp_path):
    chart = store_of(tmp_path, SPEC, only_begun).plot("heatmap")
    ground = panels(chart)["ST"]["layer"][0]
    assert ground["mark"]["style"] == "blank"
    assert (ground["encoding"]["x"], ground["encoding"]["x2"]) == ({"value": 0}, {"value": "width"})


def loss_of_any(task, estimator, place, seed):
    return float(place + seed)

"""Heatmaps over two settings: which configurations their cells show, and which is outlined."""

import numpy as np
import pytest
from chart_helpers import caption, data, panels
from figure_helpers import ESTIMATORS, TASKS, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import heatmaps, two_setting_heatmaps
from raysweep.results import bins

LR = {"lr": [0.3, 0.1, 0.2]}
OVER = ("lr", "temperature")


def total(task, estimator, place, seed):
    """A final loss that falls by 1 with every configuration; seeds are 1 apart."""
    return {"A": 10.0, "B": 20.0}[task] - place + seed


def heatmap_of(results, **options):
    return two_setting_heatmaps.prepare_heatmap(results, heatmaps.HeatmapRequest(**options))


def panel_of(what, estimator, task="A"):
    (panel,) = (each for each in what.panels if (each.estimator, each.task) == (estimator, task))
    return panel


@pytest.fixture
def two(tmp_path):
    """Two estimators that have both settings."""
    estimators = {"ST": ESTIMATORS["ST"], "RM": {"estimator": "reinmax", "temperature": [1.0, 2.0]}}
    return store_of(tmp_path, spec_of(None, estimators, training=LR), total)


@pytest.fixture
def grid(tmp_path):
    """ST has temperatures 1, 2 and learning rates 0.3, 0.1, 0.2; RF has no temperature."""
    return store_of(tmp_path, spec_of(training=LR), total)


def test_a_heatmap_has_the_first_setting_along_x_and_the_second_along_y(grid):
    panel = panel_of(heatmap_of(grid, over=OVER), "ST")
    assert [column.label for column in panel.x] == ["0.1", "0.2", "0.3"]
    assert [column.label for column in panel.y] == ["1", "2"]


def test_a_cell_is_the_mean_of_its_configuration(grid):
    arm = next(arm for arm in grid.spec.arms if arm.name == "ST · A")
    panel = panel_of(heatmap_of(grid, over=OVER), "ST")
    for place, cell in enumerate(arm.cells()):
        column = [0.1, 0.2, 0.3].index(cell["training.lr"])
        row = [1.0, 2.0].index(cell["estimator.temperature"])
        assert panel.cells.means[row, column] == pytest.approx(11 - place, abs=1e-12)


def test_there_is_a_panel_for_each_estimator_on_each_task(two):
    found = [(panel.task, panel.estimator) for panel in heatmap_of(two, over=OVER).panels]
    assert found == [("A", "ST"), ("A", "RM"), ("B", "ST"), ("B", "RM")]


def test_the_selected_configurations_cell_is_told(grid):
    panel = panel_of(heatmap_of(grid, over=OVER), "ST")
    assert panel.cells.means[panel.selected] == panel.cells.means.min() == 6.0


def test_shades_share_a_scale_within_a_task(two):
    what = heatmap_of(two, over=OVER)
    for task, best in (("A", 6.0), ("B", 16.0)):
        for estimator in ("ST", "RM"):
            panel = panel_of(what, estimator, task)
            np.testing.assert_allclose(panel.scores, 1 - (panel.cells.means - best) / 5, atol=1e-12)


def test_an_estimator_without_one_of_the_settings_has_no_panel_and_the_caption_says_so(grid):
    what = heatmap_of(grid, over=OVER)
    assert {panel.estimator for panel in what.panels} == {"ST"}
    assert what.lacking == "not shown, without estimator.temperature: RF"


def test_settings_that_no_estimator_has_together_are_refused(tmp_path):
    estimators = {
        "REBAR": {"estimator": "rebar", "relaxation": ["concrete", "muprop"]},
        "RELAX": {"estimator": "relax", "hidden": [8, 16]},
    }
    results = store_of(tmp_path, spec_of(None, estimators))
    message = "over: none of the estimators shown has estimator.relaxation and estimator.hidden"
    with pytest.raises(SpecError, match=message):
        results.plot("heatmap", over=("relaxation", "hidden"))


def test_a_third_setting_is_taken_at_its_best(tmp_path):
    spec = spec_of(training={**LR, "optimizer": ["adam", "sgd"]})
    what = heatmap_of(store_of(tmp_path, spec, total), over=OVER)
    arm = next(arm for arm in spec.arms if arm.name == "ST · A")
    values = {}
    for place, cell in enumerate(arm.cells()):
        where = (cell["estimator.temperature"], cell["training.lr"])
        values[where] = min(values.get(where, np.inf), 11.0 - place)
    expected = [[values[t, lr] for lr in (0.1, 0.2, 0.3)] for t in (1.0, 2.0)]
    np.testing.assert_allclose(panel_of(what, "ST").cells.means, expected, atol=1e-12)


def test_a_cell_whose_seeds_are_missing_is_provisional(tmp_path):
    ended = lambda *cell: None if cell[2:] == (0, 2) else total(*cell)  # noqa: E731
    panel = panel_of(heatmap_of(store_of(tmp_path, spec_of(training=LR), ended), over=OVER), "ST")
    assert panel.cells.provisional.sum() == 1


def test_ranges_are_cut_into_intervals_along_both_axes(tmp_path):
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": {"low": 1.0, "high": 9.0}}}
    spec = spec_of(
        {"A": TASKS["A"]},
        estimators,
        training={"lr": {"low": 0.01, "high": 1.0, "log": True}},
        search={"sampler": "random", "configurations": 2},
    )
    points = [
        {"training.lr": 0.012, "estimator.temperature": 8.9},
        {"training.lr": 0.5, "estimator.temperature": 1.5},
    ]
    results = store_of(tmp_path, spec, total, points=lambda arm: points)
    panel = panel_of(heatmap_of(results, over=OVER), "ST")
    assert panel.cells.means.shape == (bins.INTERVALS, bins.INTERVALS)
    assert np.argwhere(np.isfinite(panel.cells.means)).tolist() == [[0, 6], [7, 0]]
    assert panel.selected == (0, 6)


def test_one_setting_in_a_list_is_a_heatmap_over_it(grid):
    assert heatmap_of(grid, over=("lr",)).settings == ("training.lr",)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (("lr", "temperature", "momentum"), "over: expected one setting or two .*, got lr, temp"),
        (("lr", "lr"), "over: expected one setting or two .*, got lr, lr; leave some out"),
        (("lr", "training.lr"), "over: expected two different settings, got training.lr twice"),
        (("lr", "temprature"), "got 'temprature'; did you mean 'estimator.temperature'"),
    ],
)
def test_settings_that_are_not_two_are_refused(over, message, grid):
    with pytest.raises(SpecError, match=message):
        grid.plot("heatmap", over=over)


def test_the_selected_cell_is_outlined(grid):
    chart = grid.plot("heatmap", over=OVER, tasks="A")
    outlines = [layer for layer in panels(chart)["ST"]["layer"] if layer["mark"].get("stroke")]
    assert [layer["mark"]["stroke"] for layer in outlines] == ["white", "#D00000"]
    row, column = panel_of(heatmap_of(grid, over=OVER), "ST").selected
    wanted = f"datum.y === {row} && datum.x === {column}"
    assert {layer["transform"][0]["filter"] for layer in outlines} == {wanted}
    assert "; outlined: selected" in caption(chart)


def test_panels_are_named_by_task_too_if_there_are_several(grid):
    assert list(panels(grid.plot("heatmap", over=OVER))) == ["ST · A", "ST · B"]
    assert list(panels(grid.plot("heatmap", over=OVER, tasks="B"))) == ["ST"]


def test_the_first_value_along_y_is_at_the_foot(grid):
    layer = panels(grid.plot("heatmap", over=OVER, tasks="A"))["ST"]["layer"][1]
    assert layer["encoding"]["y"]["scale"]["domain"] == [1, 0]


def test_cells_that_early_stopping_left_are_grey(tmp_path):
    ended = lambda *cell: "stopped" if cell[2] == 0 else total(*cell)  # noqa: E731
    chart = store_of(tmp_path, spec_of(training=LR), ended).plot("heatmap", over=OVER, tasks="A")
    states = [row["state"] for row in data(chart, "ST")]
    assert (states.count("stopped early"), states.count("final")) == (1, 5)
    assert "; grey: stopped early" in caption(chart)

"""Heatmaps of the report: their views, and what they say of estimators that lack a setting."""

import pytest
from figure_helpers import ESTIMATORS, spec_of, store_of
from report_page import data, read

LR = {"lr": [0.1, 0.01]}


@pytest.fixture
def page_of(tmp_path):
    """The page of a sweep with these estimators and other sections."""

    def make(estimators, **more):
        results = store_of(tmp_path / "store", spec_of(None, estimators, **more))
        return read(results.report(tmp_path / "page.html"))

    return make


def test_heatmap_over_two_settings_has_a_panel_for_each_arm(page_of):
    estimators = {"ST": ESTIMATORS["ST"], "RM": {"estimator": "reinmax", "temperature": [1.0, 2.0]}}
    root = page_of(estimators, training=LR)
    assert [list(views) for views in data(root)["two-settings"].values()] == [["0"]] * 4


def test_a_heatmap_says_which_estimator_lacks_the_setting(page_of):
    views = data(page_of(ESTIMATORS, training=LR))["heatmap"]["heatmap-1"]
    assert views["0"]["data"]
    assert not views["1"]["data"]
    assert "not for this choice" in str(views["1"]["spec"])


def test_pairs_of_settings_that_no_arm_has_together_are_left_out(page_of):
    estimators = {
        "REBAR": {"estimator": "rebar", "relaxation": ["concrete", "muprop"]},
        "RELAX": {"estimator": "relax", "hidden": [8, 16]},
    }
    root = page_of(estimators)
    assert set(data(root)["heatmap"]) == {"heatmap-0", "heatmap-1"}
    assert "needs two searched settings" in root.first("section", id="figure-two-settings").text

"""Curves of runs that still train are drawn, as such, and no number is made of them."""

import pytest
from chart_helpers import caption, data
from report_page import unpacked
from stopped_helpers import drive, stopped

import raysweep
from raysweep.driver import session
from raysweep.errors import SpecError
from raysweep.figures import curves, drawing
from raysweep.figures.curves import CurvesRequest
from raysweep.report.page import page
from raysweep.results.unfinished import unfinished
from raysweep.store import sweep_store

SWEEP = {
    "name": "live",
    "tasks": {"walk": {"task": "toy", "steps": 40}},
    "estimators": {"A": {"estimator": "straight_through"}, "B": {"estimator": "reinforce"}},
    "seeds": 3,
    "resources": {"pack": 2, "checkpoint_s": 0},
}


def live(monkeypatch, folder, reports=12, **changes):
    """The results of a sweep that was stopped in a pack, whose curves have rows up to step 10."""
    stopped(monkeypatch, folder, {**SWEEP, **changes}, reports)
    return raysweep.open(folder, "live")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of which nothing has ended: two seeds of A train."""
    return live(monkeypatch, tmp_path)


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """Results of which one seed of A has ended, and two train."""
    drive(tmp_path, {**SWEEP, "seeds": 1})
    return live(monkeypatch, tmp_path, resources={"pack": 3, "checkpoint_s": 0})


def edited(results, **changes):
    """The results after the file was edited."""
    results.store.write_spec(session.load({**SWEEP, **changes}))
    return raysweep.open(results.store.store.uri, "live")


def lines(results):
    """The lines of the first panel, by estimator and whether their runs train."""
    prepared = curves.prepare(results, CurvesRequest())
    return {(line.estimator, line.state == "training"): line for line in prepared.panels[0].lines}


def test_runs_in_training_are_drawn_before_any_run_has_ended(results):
    (line,) = lines(results).values()
    assert (line.estimator, line.state, line.count) == ("A", "training", 2)
    assert line.x.tolist() == [5, 10]


def test_the_figure_marks_them(results):
    chart = results.plot()
    assert "pale lines with a circle at their end: all 2 runs shown are still training" in caption(
        chart
    )
    records = data(chart)
    assert {(one["row"], one["opacity"]) for one in records} == {("A (in training)", drawing.PALE)}
    assert [one.get("end") for one in records] == [None, "circle"]


def test_they_are_drawn_beside_the_runs_that_ended(mixed):
    drawn = lines(mixed)
    assert drawn["A", False].run_ids != drawn["A", True].run_ids
    assert (drawn["A", False].count, drawn["A", False].state) == (1, "provisional")
    assert (drawn["A", True].count, drawn["A", True].x.tolist()) == (2, [5, 10])
    assert "2 of the 4 runs shown are still training, up to step 10" in caption(mixed.plot())


def test_no_number_is_made_of_them(mixed):
    cell = mixed.table().cell("A", "walk")
    assert (cell.n, cell.status) == (1, "provisional")
    assert mixed.runs().num_rows == 2


def test_they_have_the_labels_of_the_present_file(results):
    estimators = {"A": SWEEP["estimators"]["B"], "B": SWEEP["estimators"]["A"]}
    assert list(lines(edited(results, estimators=estimators))) == [("B", True)]


def test_filters_of_labels_hold_for_them(results):
    with pytest.raises(SpecError, match="nothing to draw yet: no run of live has finished"):
        results.plot(estimators="B")


def test_runs_that_the_file_no_longer_plans_are_not_drawn(results):
    with pytest.raises(SpecError, match="nothing to draw yet: no run of live has finished"):
        edited(results, seeds=[2]).plot()


def test_of_several_configurations_the_best_so_far_is_drawn(tmp_path, monkeypatch):
    estimators, training = {"A": SWEEP["estimators"]["A"]}, {"lr": [0.01, 0.4]}
    results = live(
        monkeypatch,
        tmp_path,
        estimators=estimators,
        training=training,
        seeds=2,
        resources={"pack": 4, "checkpoint_s": 0},
    )
    assert unfinished(results.spec, results.store).rows.num_rows == 4
    drawn = lines(results)["A", True]
    rows = unfinished(results.spec, results.store).rows.to_pylist()
    assert {row["param.training.lr"] for row in rows if row["run_id"] in drawn.run_ids} == {0.4}
    assert drawn.count == 2


def test_without_a_checkpoint_there_is_nothing_to_draw_and_the_error_says_why(
    tmp_path, monkeypatch
):
    results = live(monkeypatch, tmp_path, reports=2)
    with pytest.raises(SpecError, match="finished, and 1 pack in training wrote no curves yet; "):
        results.plot()


def test_they_are_drawn_over_time_too(results):
    prepared = curves.prepare_time(results, CurvesRequest())
    assert (prepared.panels[0].lines[0].x > 0).all()
    assert "still training" in caption(results.plot(kind="time"))


def test_their_curves_are_found_among_many_files(mixed, monkeypatch):
    monkeypatch.setattr(sweep_store, "FEW_FILES", 0)
    assert ("A", True) in lines(mixed)


def test_the_report_draws_them_too(mixed):
    figure = page(mixed).figures[0]
    assert "2 of the 4 runs shown are still training" in figure.texts["0"][0]
    columns = [
        data
        for views in unpacked(figure.data).values()
        for view in views.values()
        for data in view["data"].values()
    ]
    assert {state for part in columns for state in part["state"]} == {"provisional", "training"}

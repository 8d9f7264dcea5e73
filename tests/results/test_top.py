"""The best configurations of each arm: their order, states and settings, in every output."""

import csv
import io
import json

import pytest
from figure_helpers import spec_of, store_of

from raysweep.cli.main import main
from raysweep.errors import SpecError
from raysweep.formats.top import FORMATS, top_grid

TASKS = {"walk": {"task": "toy"}}
ARMS = {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}}
ENDS = [7.0, 5.0, "stopped", "diverged", None, 4.0]  # of each configuration, plus the seed


def ended(task, estimator, place, seed):
    if place == 4:
        return 1.0 if seed == 0 else None
    end = ENDS[place]
    if end == "diverged":
        return "diverged" if seed == 1 else 1.0
    return end + seed if isinstance(end, float) else end


@pytest.fixture
def results(tmp_path):
    stopped = lambda *which: {"metric.train_loss": 2.0} if which[2] == 2 else {}  # noqa: E731
    return store_of(tmp_path, spec_of(TASKS, ARMS), ended, about=stopped)


def temperatures(top):
    return [row.settings["estimator.temperature"] for row in top.rows]


def test_configurations_are_sorted_by_status_then_by_mean(results):
    top = results.top(10)
    assert temperatures(top) == [6.0, 2.0, 1.0, 5.0, 3.0, 4.0]
    states = ["done"] * 3 + ["unfinished", "stopped", "diverged"]
    assert [row.status for row in top.rows] == states
    assert [row.position for row in top.rows] == [1, 2, 3, 4, 5, 6]


def test_a_metric_to_be_maximised_turns_the_order(results):
    assert temperatures(results.top(3, metric="distance")) == [1.0, 2.0, 6.0]


def test_the_first_is_the_configuration_of_the_table(results):
    first, *others = results.top(10).rows
    (cell,) = results.table().cells
    assert (first.configuration_id, first.mean, first.std) == (
        cell.configuration_id,
        cell.mean,
        cell.std,
    )
    assert first.is_selected
    assert not any(row.is_selected for row in others)


def test_a_stopped_configuration_has_its_mean_where_it_was_stopped(results):
    (stopped,) = (row for row in results.top(10).rows if row.status == "stopped")
    assert (stopped.mean, stopped.std, stopped.seeds) == (2.0, 0.0, 3)


def test_an_unfinished_configuration_shows_how_many_seeds_ended(results):
    (row,) = (cells for cells in top_grid(results.top(10)).texts if "unfinished" in cells)
    assert row[3:6] == ["1.0000", "1 of 3", "unfinished"]


def test_each_arm_has_at_most_n(tmp_path):
    arms = {**ARMS, "RF": {"estimator": "reinforce"}}
    results = store_of(tmp_path, spec_of(estimators=arms), lambda *which: 1.0)
    assert [(row.estimator, row.task) for row in results.top(2).rows] == [
        *[("ST", "A")] * 2,
        ("RF", "A"),
        *[("ST", "B")] * 2,
        ("RF", "B"),
    ]


def test_rows_columns_and_conditions_restrict_the_list(results):
    top = results.top(rows="ST", columns="walk", where="param.estimator.temperature < 3")
    assert temperatures(top) == [2.0, 1.0]


@pytest.mark.parametrize("n", [0, -1])
def test_a_list_has_at_least_one(results, n):
    with pytest.raises(SpecError, match="n: expected a number of at least 1, got"):
        results.top(n)


def test_text_has_settings_and_marks_what_the_table_shows(results):
    lines = FORMATS["text"](results.top(2)).splitlines()
    assert lines[4].split()[-3:-1] == ["temperature", "6"]
    assert " *" in lines[4]
    assert " *" not in lines[5]


@pytest.mark.parametrize("form", list(FORMATS))
def test_every_format_has_every_configuration(results, form):
    text = FORMATS[form](results.top(10))
    ids = results.runs()["configuration_id"].unique().to_pylist()
    assert len(ids) == 6
    assert all(each in text for each in ids)


def test_a_metric_that_no_run_has_is_noted(tmp_path):
    spec = spec_of(TASKS, ARMS)
    lost = store_of(tmp_path, spec, lambda *_: 1.0, about=lambda *_: {"metric.distance": None})
    assert top_grid(lost.top(metric="distance")).notes == (
        "–: no run of the configuration has distance",
    )
    assert top_grid(lost.top()).notes == ()


def test_data_are_unrounded(results):
    top = results.top(10)
    (first, *_) = json.loads(FORMATS["json"](top))["rows"]
    assert first["values"] == {"0": 4.0, "1": 5.0, "2": 6.0}
    (row, *_) = csv.DictReader(io.StringIO(FORMATS["csv"](top)))
    assert (float(row["mean"]), row["status"]) == (5.0, "done")


def test_a_sweep_without_runs_has_an_empty_list(tmp_path):
    top = store_of(tmp_path, spec_of(TASKS, ARMS), lambda *which: None).top()
    assert top.rows == ()
    assert all(form(top) for form in FORMATS.values())


def test_the_command_prints_the_list(results, capsys):
    store = results.store.store.uri
    with pytest.raises(SystemExit):
        main(["top", "hand", "--store", store, "--n", "1", "--format", "json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["settings"] == {"estimator.temperature": 6.0}


def test_the_command_refuses_a_list_of_none(results, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["top", "hand", "--store", results.store.store.uri, "--n", "0"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "raysweep: --n: expected a number of at least 1, got 0\n"

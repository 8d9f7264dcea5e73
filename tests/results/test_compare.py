"""Several sweeps in one table, the differences between two, and the latest sweep of a store."""

import json
import os
import re

import pytest
from figure_helpers import loss, spec_of, store_of
from scipy import stats

import raysweep
from raysweep.cli.main import main
from raysweep.errors import SpecError
from raysweep.results.compare import difference, text_of

TASKS = {"A": {"task": "toy"}}
ST = {"estimator": "straight_through", "temperature": [1.0, 2.0]}
RF = {"estimator": "reinforce"}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def old(store):
    return store_of(store, spec_of(TASKS, {"ST": ST, "RF": RF}, name="old"), loss)


@pytest.fixture
def new(store):
    """The same, with better losses of ST at its other temperature, and without RF."""
    values = [[4.0, 6.0, 8.5], [9.0, 9.0, 9.0]]
    return store_of(
        store,
        spec_of(TASKS, {"ST": ST}, name="new", training={"lr": 0.2}),
        lambda task, estimator, place, seed: values[place][seed],
    )


@pytest.fixture
def cli(store, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--store", str(store)])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


# Several sweeps in one table.


def test_rows_of_several_sweeps_begin_with_their_sweep(old, new):
    table = raysweep.compare(old, new)
    assert table.estimators == ("old: ST", "old: RF", "new: ST")
    assert table.cell("new: ST", "A").mean == new.table().cell("ST", "A").mean
    assert table.best("A") == {"new: ST"}


def test_one_sweep_alone_has_its_own_table(old):
    assert raysweep.compare(old) == old.table()


def test_options_of_the_table_apply_to_every_sweep(old, new):
    assert raysweep.compare(old, new, rows="ST").estimators == ("old: ST", "new: ST")


def test_tasks_of_several_sweeps_are_in_the_order_of_the_first(store, old):
    other = store_of(store, spec_of({"B": {"task": "toy"}, **TASKS}, name="other"), loss)
    assert raysweep.compare(old, other, rows="ST").tasks == ("A", "B")


def test_sweeps_that_select_by_different_metrics_need_one_name(store, old):
    other = store_of(store, spec_of(TASKS, name="other", select={"metric": "distance"}), loss)
    with pytest.raises(SpecError, match="select: expected one metric for all sweeps, got 'train"):
        raysweep.compare(old, other)
    assert raysweep.compare(old, other, select="train_loss", report="distance").cells


def test_the_command_prints_several_sweeps(old, new, cli):
    code, out, _ = cli("table", "old", "new")
    assert code == 0
    assert out.startswith("old and new: train_loss")
    assert "\nnew: ST " in out


# Differences between two sweeps.


def test_settings_that_differ_are_named_once(old, new):
    changes = {
        change.name: (change.first, change.second) for change in difference(old, new).settings
    }
    assert changes == {"arm RF · A": ("yes", ""), "training.lr": ("0.001", "0.2")}


def test_a_setting_of_some_arms_names_them(store, old):
    arms = {"ST": {**ST, "temperature": 3.0}, "RF": RF}
    other = store_of(store, spec_of(TASKS, arms, name="other", seeds=2), loss)
    changes = {c.name: (c.first, c.second) for c in difference(old, other).settings}
    assert changes == {
        "seeds": ("[0, 1, 2]", "[0, 1]"),
        "estimator.temperature of ST": ("[1.0, 2.0]", "3.0"),
    }


def test_means_are_compared_by_the_test_of_the_table(old, new):
    (arm, other) = difference(old, new).arms
    first, second = [9.0, 10.0, 11.0], [4.0, 6.0, 8.5]
    assert arm.change == pytest.approx(sum(second) / 3 - 10.0)
    assert arm.p_value == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert (other.estimator, other.entries[1], other.change) == ("RF", None, None)


def test_selected_settings_that_differ_are_shown(old, new, cli):
    out = cli("diff", "old", "new")[1]
    assert "ST         A     temperature 2  temperature 1" in out


def test_a_selected_setting_that_the_other_sweep_fixes_is_compared_with_its_value(store, old):
    arms = {"ST": {**ST, "temperature": 3.0}}
    other = store_of(store, spec_of(TASKS, arms, name="other"), loss)
    arm = difference(old, other).arms[0]
    assert arm.settings == ({"estimator.temperature": 2.0}, {"estimator.temperature": 3.0})


@pytest.fixture
def other_labels(store):
    """The old sweep, with other labels of one estimator and of the task."""
    return store_of(
        store, spec_of({"B": {"task": "toy"}}, {"STE": ST, "RF": RF}, name="named"), loss
    )


def test_renamed_arms_are_compared_with_each_other(old, other_labels, cli):
    (arm, other) = difference(old, other_labels).arms
    assert (arm.estimator, arm.task, arm.renamed) == ("ST", "A", ("STE", "B"))
    assert (other.estimator, other.task, other.renamed) == ("RF", "A", ("RF", "B"))
    assert arm.change is not None
    out = cli("diff", "old", "named")[1]
    assert "no such arm" not in out
    assert re.search(r"^ST → STE +A → B +10", out, re.MULTILINE)
    assert "→: the label in named, of an arm with the same settings or runs" in out


def test_the_settings_name_both_labels_of_a_renamed_arm(old, other_labels):
    changes = [(c.name, c.first, c.second) for c in difference(old, other_labels).settings]
    assert changes == [("arm", "ST · A", "STE · B"), ("arm", "RF · A", "RF · B")]


def test_a_renamed_arm_with_a_larger_grid_is_known_by_its_runs(store, old):
    more = {**ST, "temperature": [1.0, 2.0, 3.0]}
    middle = lambda task, estimator, place, seed: (3.0, 1.0, 2.0)[place] + seed  # noqa: E731
    other = store_of(store, spec_of(TASKS, {"STE": more}, name="other"), middle)
    settings = {c.name: (c.first, c.second) for c in difference(old, other).settings}
    assert settings["arm"] == ("ST · A", "STE · A")
    assert settings["estimator.temperature"] == ("[1.0, 2.0]", "[1.0, 2.0, 3.0]")


def test_an_arm_without_a_counterpart_is_still_said_to_be_missing(old, new):
    assert difference(old, new).arms[1].renamed is None
    assert difference(old, new).arms[1].entries[1] is None


def test_a_table_of_several_sweeps_says_which_labels_are_one_arm(old, other_labels, cli):
    out = cli("table", "old", "named")[1]
    assert "\nnamed: STE is the same as old: ST\n" in out
    assert "\ntask B of named is the same as task A of old\n" in out


def test_labels_that_are_left_out_of_a_table_are_not_explained(old, other_labels, cli):
    assert "is the same as" not in cli("table", "old", "named", "--tasks", "A")[1]


def test_fresh_seeds_are_a_number_under_a_name_that_says_so(store, old):
    other = store_of(
        store, spec_of(TASKS, {"ST": ST}, name="other", seeds={"search": 3, "report": 4}), loss
    )
    changes = {c.name: (c.first, c.second) for c in difference(old, other).settings}
    assert changes["number of fresh seeds"] == ("none", "4")
    assert "report_seeds" not in changes


def test_sweeps_without_differences_say_so(store, old, cli):
    store_of(store, spec_of(TASKS, {"ST": ST, "RF": RF}, name="again"), loss)
    out = cli("diff", "old", "again")[1]
    assert "the files have the same settings" in out
    assert "none differ" in out


@pytest.mark.parametrize("form", ["markdown", "html", "json"])
def test_differences_have_every_format(old, new, cli, form):
    code, out, _ = cli("diff", "old", "new", "--format", form)
    assert code == 0
    assert "training.lr" in out
    if form == "json":
        assert json.loads(out)["sweeps"] == ["old", "new"]


@pytest.mark.parametrize("width", [80, 120])
def test_settings_that_are_too_wide_are_side_by_side_in_several_lines(
    store, old, cli, monkeypatch, width
):
    lr = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5]
    stopping = {"pruner": "asha", "grace": 7, "reduction": 5}
    spec = spec_of(
        TASKS, {"ST": ST}, name="wide", early_stopping=stopping, training={"lr": lr, "steps": 50}
    )
    store_of(store, spec, lambda *_: None)
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli("diff", "old", "wide")[1]
    assert max(map(len, out.splitlines())) <= width
    settings = out.partition("\n\nSearched")[0]
    assert settings.count("old  ") == 1
    words = {*settings.split()}
    assert {f"{value}," for value in lr[1:-1]} | {"[0.1,", "1.5]", "7,", "reduction:"} <= words


def test_a_metric_that_one_of_them_lacks_is_refused(old, new, cli):
    code, _, err = cli("diff", "old", "new", "--report", "los")
    assert (code, err.partition(",")[0]) == (
        2,
        "raysweep: --report: expected a metric of the sweep",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"value": 0}, "0"),
        ({"choice": [0.1, "a"]}, "[0.1, a]"),
        ({"low": 0.0, "high": 1.0, "log": False, "whole": False}, "low: 0.0, high: 1.0"),
        (None, "none"),
        ({"grace": 6, "first": (), "settings": {"a": [1]}}, "grace: 6, settings: {a: [1]}"),
        ([{"lr": 0.1}, {"lr": [1, 2]}], "[{lr: 0.1}, {lr: [1, 2]}]"),
        (list(range(100)), "[0, 1, …, 99]"),
        ([0, 1, 2, 3, 4, 6], "[0, 1, 2, 3, 4, 6]"),
        (["a"] * 6, "[a, a, a, a, a, a]"),
    ],
    ids=str,
)
def test_values_of_files_are_short_texts(value, text):
    assert text_of(value) == text


# The latest sweep.


@pytest.fixture
def both(old, new):
    for age, results in ((10, old), (20, new)):
        spec = results.store.files.path("spec.json")
        os.utime(spec, (1e9 - age, 1e9 - age))


@pytest.mark.parametrize(
    "command",
    [
        ["table", "--latest"],
        ["stats", "--latest"],
        ["top", "--latest", "--n", "1"],
        ["status", "--latest"],
        ["sql", "--latest", "select distinct sweep from runs"],
        ["importance", "--latest"],
    ],
    ids=lambda command: command[0],
)
def test_the_latest_sweep_needs_no_name(both, cli, command):
    expected = cli(*("old" if word == "--latest" else word for word in command))
    assert expected[0] == 0
    assert cli(*command) == expected


def test_a_store_without_sweeps_has_no_latest(cli):
    code, _, err = cli("table", "--latest")
    assert code == 2
    assert err.startswith("raysweep: no sweeps in ")


def test_another_name_beside_latest_is_refused(both, cli):
    code, _, err = cli("stats", "new", "--latest")
    assert (code, "unexpected extra argument" in err) == (2, True)

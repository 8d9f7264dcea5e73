"""One filter has one meaning in tables and figures, in the words of the file and of the table."""

import pyarrow as pa
import pytest
from chart_helpers import panels

from raysweep.cli.main import cli as program
from raysweep.cli.main import main
from raysweep.errors import SpecError
from raysweep.figures.curves import CurvesRequest
from raysweep.figures.scope import SweepView
from raysweep.results.reader import read_meeting
from raysweep.results.sql import meeting

FILTERED = ("table", "stats", "top", "plot")


@pytest.fixture
def cli(hand, tmp_path, capsys, monkeypatch):
    """Runs a command on the store: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(command, *arguments):
        with pytest.raises(SystemExit) as caught:
            main([command, "hand", "--store", str(tmp_path), *arguments])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_a_table_takes_the_words_of_the_file(hand):
    by_file = hand.table(estimators="ST", tasks=["B", "A"])
    assert by_file == hand.table(rows="ST", columns=["A", "B"])
    assert by_file == hand.table(methods="ST", columns=["A", "B"])
    assert (by_file.estimators, by_file.tasks) == (("ST",), ("A", "B"))


@pytest.mark.parametrize("name", ["statistics", "sensitivity", "top"])
def test_statistics_and_lists_take_both_words(hand, name):
    function = getattr(hand, name)
    by_file, by_table = function(estimators="ST", tasks="A"), function(rows="ST", columns="A")
    assert repr(by_file) == repr(by_table) != repr(function())
    assert repr(function(methods="ST", tasks="A")) == repr(by_file)


def test_a_figure_takes_the_words_of_a_table(hand):
    view = SweepView.of(hand, CurvesRequest(rows="ST", columns="A"))
    assert (view.estimators, view.tasks) == (("ST",), ("A",))
    for word in ("estimators", "methods"):
        assert view == SweepView.of(hand, CurvesRequest(**{word: "ST"}, tasks="A"))
        assert list(panels(hand.plot(**{word: "ST"}, columns="A"))) == ["A"]
    assert list(panels(hand.plot(rows="ST", columns="A"))) == ["A"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "RX"}, "rows: expected a label of the sweep file, got 'RX'"),
        ({"estimators": "RX"}, "estimators: expected a label of the sweep file, got 'RX'"),
        ({"tasks": "C"}, "tasks: expected a label of the sweep file, got 'C'"),
        ({"rows": "ST", "estimators": "ST"}, "rows: this is another name of estimators; give one"),
        ({"methods": "RX"}, "methods: expected a label of the sweep file, got 'RX'"),
        ({"rows": "ST", "methods": "ST"}, "methods: this is another name of rows; give one"),
        ({"columns": "A", "tasks": "A"}, "columns: this is another name of tasks; give one"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["table", "statistics", "sensitivity", "top", "plot"])
def test_a_mistake_names_the_argument_that_was_given(hand, name, options, message):
    with pytest.raises(SpecError) as caught:
        getattr(hand, name)(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["table", "statistics", "sensitivity", "top"])
def test_an_unknown_argument_is_refused(hand, name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'row'"):
        getattr(hand, name)(row="ST")


@pytest.mark.parametrize("command", ["table", "stats", "top"])
def test_commands_of_text_take_both_words(cli, command):
    by_file = cli(command, "--estimators", "ST", "--tasks", "A")
    assert by_file == cli(command, "--rows", "ST", "--columns", "A")
    assert by_file == cli(command, "--methods", "ST", "--columns", "A")
    assert by_file[0] == 0
    assert "RF" not in by_file[1]


def test_the_command_of_figures_takes_both_words(cli, tmp_path):
    files = [tmp_path / name for name in ("one.svg", "other.svg", "whole.svg")]
    for path, words in zip(files, [("estimators", "tasks"), ("rows", "columns")], strict=False):
        options = [f"--{words[0]}", "ST", f"--{words[1]}", "A"]
        code, _, err = cli("plot", *options, "--out", str(path))
        assert (code, err) == (0, "")
    cli("plot", "--out", str(files[2]))
    one, other, whole = (path.read_bytes() for path in files)
    assert one == other != whole


@pytest.mark.parametrize("command", FILTERED)
@pytest.mark.parametrize("word", ["rows", "columns", "estimators", "methods", "tasks"])
def test_a_mistake_names_the_option_that_was_given(cli, command, word):
    code, _, err = cli(command, f"--{word}", "nothing")
    assert code == 2
    assert err.startswith(f"raysweep: --{word}: expected a label of the sweep file, got 'nothing'")


@pytest.mark.parametrize("command", FILTERED)
def test_help_lists_the_words_of_the_file_with_the_others(command):
    listed = {
        option: parameter
        for parameter in program.commands[command].params
        for option in parameter.opts
        if not getattr(parameter, "hidden", False)
    }
    assert {"--estimators", "--tasks"} <= set(listed)
    assert not {"--rows", "--columns", "--methods"} & set(listed)
    assert "also --rows or --methods" in listed["--estimators"].help
    assert "also --columns" in listed["--tasks"].help


# Short names of settings in conditions.


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("temperature < 1.2", "param.estimator.temperature < 1.2"),
        ("Temperature < 1.2", "param.estimator.temperature < 1.2"),
        ("lr < 1 and temperature = 1", "param.training.lr < 1 and param.estimator.temperature = 1"),
        ("size = 2 or temperature > 1", "param.task.size = 2 or param.estimator.temperature > 1"),
        ("temperature < 1.2 and in_plan", "param.estimator.temperature < 1.2 and in_plan"),
        ("temperature < 1.2 and estimator = 'ST'", "param.estimator.temperature < 1.2"),
    ],
)
def test_a_setting_needs_no_section_in_a_condition(hand, short, full):
    found, wanted = (read_meeting(hand.store, hand.spec, where, "where") for where in (short, full))
    assert sorted(found.to_pylist()) == sorted(wanted.to_pylist()) != []
    tables = [hand.table(where=where) for where in (short, full)]
    assert [cell.mean for cell in tables[0].cells] == [cell.mean for cell in tables[1].cells]


RUNS = {
    "run_id": ["a", "b"],
    "steps": [10, 20],
    "param.training.steps": [20, 10],
    "param.task.samples": [1, 2],
    "param.estimator.samples": [2, 1],
}


def test_a_column_wins_over_a_setting_of_its_name():
    assert meeting(pa.table(RUNS), "steps = 10", "where")["run_id"].to_pylist() == ["a"]


def test_a_name_of_several_settings_is_refused_with_their_names():
    with pytest.raises(SpecError) as caught:
        meeting(pa.table(RUNS), "samples = 1", "where")
    assert str(caught.value) == (
        "where: 'samples' is the name of several settings: param.task.samples, "
        "param.estimator.samples; write the full name of one"
    )
    full = "param.task.samples = 1"
    assert meeting(pa.table(RUNS), full, "where")["run_id"].to_pylist() == ["a"]


def test_an_unknown_name_is_refused_as_before():
    with pytest.raises(SpecError, match=r"expected a condition in SQL .*'sample = 1': Binder"):
        meeting(pa.table(RUNS), "sample = 1", "where")


# Several statements of SQL.


def test_of_several_statements_all_are_run_and_the_last_is_shown(cli):
    code, out, err = cli(
        "sql", "create temp table few as from runs limit 2; select count(*) as n from few;"
    )
    assert (code, out.split()) == (0, ["n", "2"])
    assert err == "ran 2 statements; shown are the rows of the last one that returns any\n"


def test_one_statement_needs_no_words(cli):
    code, out, err = cli("sql", "select 1 as n; -- all")
    assert (code, out.split(), err) == (0, ["n", "1"], "")


def test_a_later_statement_without_rows_changes_nothing(cli):
    code, out, _ = cli("sql", "select 1 as n; create temp view few as from runs")
    assert (code, out.split()) == (0, ["n", "1"])


def test_help_says_what_happens_with_several_statements():
    text = " ".join((program.commands["sql"].help or "").split())
    assert "are all run; shown are the rows of the last one that returns any" in text

"""`--rows`, `--columns` and `--where` of the table, in Python and on the command line."""

import dataclasses

import pytest
from figure_helpers import loss, only_begun, spec_of, store_of

from raysweep.api import Results
from raysweep.cli.main import main
from raysweep.errors import SpecError


def shown(table):
    """Status, number of seeds and mean of each cell."""
    return {(each.estimator, each.task): (each.status, each.n, each.mean) for each in table.cells}


@pytest.fixture
def rates(tmp_path):
    """A sweep of learning rates, whose second is better for RF."""
    training = {"training": {"lr": [0.1, 0.01]}}
    return store_of(tmp_path, spec_of(estimators={"RF": {"estimator": "reinforce"}}, **training))


# Rows and columns.


def test_rows_and_columns_come_in_the_files_order(hand):
    found = hand.table(rows=["RF", "ST"], columns=["B", "A"])
    assert (found.estimators, found.tasks) == (("ST", "RF"), ("A", "B"))


@pytest.mark.parametrize("rows", ["RF", ["RF"], ("RF", "RF")], ids=str)
def test_a_label_may_stand_alone_or_twice(hand, rows):
    assert {each.estimator for each in hand.table(rows=rows).cells} == {"RF"}


def test_cells_that_are_shown_are_as_they_were(hand):
    whole = shown(hand.table())
    part = shown(hand.table(rows="ST", columns="B"))
    assert part == {("ST", "B"): whole["ST", "B"]}


def test_holms_family_are_the_rows_that_are_shown(tmp_path):
    estimators = {
        name: {"estimator": "straight_through", "temperature": place}
        for place, name in enumerate("abc", 1)
    }
    results = store_of(tmp_path, spec_of(estimators=estimators), ended=noisy)
    whole, part = results.table(columns="A"), results.table(rows=["a", "b"], columns="A")
    (family, alone) = (each.judgement(each.columns[0]).p_values["b"] for each in (whole, part))
    assert family == pytest.approx(2 * alone)


def noisy(task, estimator, place, seed):
    start, slope = {"a": (0.0, 1.0), "b": (1.0, 1.2), "c": (9.0, 7.0)}[estimator]
    return start + slope * seed


def test_one_column_has_neither_average_nor_rank(hand):
    assert [each.kind for each in hand.table(columns="A").columns] == ["task"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"rows": "SR"}, r"rows: expected a label of the sweep file, got 'SR'; did you mean"),
        ({"rows": "A"}, "rows: expected a label of the sweep file, got 'A'"),
        ({"columns": ["A", "C"]}, "columns: expected a label of the sweep file, got 'C'"),
        ({"columns": ""}, "columns: expected a label of the sweep file, got ''"),
    ],
    ids=str,
)
def test_an_unknown_label_is_told(hand, option, message):
    with pytest.raises(SpecError, match=message):
        hand.table(**option)


# Conditions.


@pytest.mark.parametrize(
    "where",
    [
        "param.estimator.temperature = 1",
        '"param.estimator.temperature" = 1',
        "param.estimator.temperature < 1.5 and task_name = 'toy'",
        'runs."param.estimator.temperature" in (1, 3)',
        "PARAM.Estimator.Temperature = 1",
    ],
)
def test_settings_may_be_written_with_quotes_and_without(hand, where):
    found = shown(hand.table(where=where))
    assert found["ST", "A"] == ("selected", 3, 11.0)
    assert found["RF", "A"] == ("missing", 0, None)


@pytest.mark.parametrize(
    "where", ["param.training.lr = 0.01", '"param.training.lr" < 0.05', "param.training.lr < 1e-1"]
)
def test_training_settings_are_told_apart(rates, where):
    (cell, _) = rates.table(where=where).cells
    assert cell.settings == {"training.lr": 0.01}


def test_final_metrics_may_be_asked_for(hand):
    found = shown(hand.table(where="metric.train_loss < 13"))
    assert found["ST", "A"] == ("selected", 3, 10.0)
    assert found["ST", "B"] == ("missing", 0, None)


@pytest.mark.parametrize(
    ("where", "n"), [("seed < 2", 2), ("seed != 1", 2), ("seed = 2", 1), ("seed >= 0", 3)]
)
def test_a_seed_that_is_left_out_everywhere_is_not_waited_for(hand, where, n):
    assert {each[:2] for each in shown(hand.table(where=where)).values()} == {("selected", n)}


def test_a_condition_may_end_in_a_comment(hand):
    assert hand.table(where="seed < 3 -- the first").cells == hand.table(where="seed < 3").cells


def test_a_seed_that_is_left_out_somewhere_is_waited_for(hand):
    found = shown(hand.table(where="seed < 2 or task = 'B'"))
    assert found["ST", "A"] == ("provisional", 2, 9.5)
    assert found["ST", "B"] == ("selected", 3, 20.0)


def test_a_seed_without_runs_that_meet_the_condition_may_complete_a_cell(tmp_path):
    results = store_of(tmp_path, spec_of(), ended=only_begun)
    assert shown(results.table())["ST", "A"] == ("provisional", 2, 9.5)
    assert shown(results.table(where="seed < 2"))["ST", "A"] == ("selected", 2, 9.5)


def test_the_selection_is_among_the_runs_that_are_left(tmp_path):
    def turned(task, estimator, place, seed):
        return loss(task, estimator, place, seed) + (50.0 if (place, seed) == (1, 2) else 0.0)

    results = store_of(tmp_path, spec_of(), ended=turned)
    assert shown(results.table())["ST", "A"] == ("selected", 3, 11.0)
    assert shown(results.table(where="seed < 2"))["ST", "A"] == ("selected", 2, 9.5)


def test_a_condition_may_leave_out_what_diverged(tmp_path):
    def ended(task, estimator, place, seed):
        return "diverged" if seed == 1 else loss(task, estimator, place, seed)

    results = store_of(tmp_path, spec_of(), ended=ended)
    assert {each[0] for each in shown(results.table()).values()} == {"diverged"}
    assert {each[0] for each in shown(results.table(where="seed <> 1")).values()} == {"selected"}


@pytest.fixture
def fresh(tmp_path):
    """A sweep with two fresh seeds."""
    return store_of(tmp_path, spec_of(seeds={"search": 3, "report": 2}))


def test_fresh_seeds_that_are_left_out_are_not_waited_for(fresh):
    found = fresh.table(where="seed <= 1000000")
    assert {each[:2] for each in shown(found).values()} == {("selected", 1)}
    assert found.fresh_seeds == 1


def test_without_any_fresh_seed_those_of_the_search_are_shown(fresh):
    found = fresh.table(where="seed < 1000000")
    assert (found.fresh_seeds, shown(found)["ST", "A"]) == (0, ("selected", 3, 10.0))


def test_the_condition_stands_in_every_form_that_has_a_title(hand):
    table = hand.table(where="seed < 2")
    for form in ("text", "markdown", "html", "latex", "json"):
        escaped = {"html": "seed &lt; 2", "latex": r"seed \textless{} 2"}.get(form, "seed < 2")
        assert escaped in table.render(form)


BAD = {
    "seed = 99": "no run meets the condition 'seed = 99'",
    "seed <": "got 'seed <': Parser Error",
    "lrr < 1": "got 'lrr < 1': Binder Error",
    "param.nothing.x = 1": "Could not find key",
    "": "expected a condition in SQL over the columns of runs, such as",
    "true; select 1": "Parser Error",
    "count(*) > 1": "WHERE clause cannot contain aggregates",
    "'x'": "Conversion Error",
}


@pytest.mark.parametrize("where", BAD)
def test_a_condition_that_is_none_is_told(hand, where):
    with pytest.raises(SpecError, match=r"where: .* condition") as caught:
        hand.table(where=where)
    assert BAD[where] in str(caught.value)


def test_metrics_that_differ_by_case_alone_do_not_spoil_conditions(tmp_path):
    spec = spec_of()
    more = {"Train_Loss": spec.metrics["train_loss"], **spec.metrics}
    results = store_of(tmp_path, dataclasses.replace(spec, metrics=more))
    assert shown(results.table(where="seed < 2"))["ST", "A"] == ("selected", 2, 9.5)


def test_settings_of_text_can_be_asked_for(tmp_path):
    tasks = {name: {"task": "toy", "trouble": name} for name in ("x", "y")}
    results = store_of(tmp_path, spec_of(tasks=tasks), ended=lambda *_: 1.0)
    found = shown(results.table(where="param.task.trouble like 'x%'"))
    assert {task: each[0] for (_, task), each in found.items()} == {"x": "selected", "y": "missing"}


# The command line.


@pytest.fixture
def cli(hand, tmp_path, capsys):
    """Runs `raysweep table` on the store: exit code, output, errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["table", "hand", "--store", str(tmp_path), *arguments])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_the_command_prints_what_the_options_leave(cli, tmp_path):
    code, out, err = cli("--rows", "ST", "--columns", "A", "--where", "seed < 2")
    assert (code, err) == (0, "")
    table = Results(tmp_path, "hand").table(rows="ST", columns="A", where="seed < 2")
    assert out == table.render("text")
    assert out.splitlines()[4] == "ST         9.50 ± 0.71 (2)"


def test_options_are_given_again_for_more(cli):
    code, out, _ = cli("--rows", "ST", "--rows", "RF", "--columns", "B", "--format", "csv")
    assert code == 0
    assert [line.split(",")[:2] for line in out.splitlines()[1:]] == [["ST", "B"], ["RF", "B"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "RX"], "raysweep: --rows: expected a label of the sweep file, got 'RX'"),
        (["--columns", "RF"], "raysweep: --columns: expected a label of the sweep file, got 'RF'"),
        *((["--where", each], "raysweep: --where: ") for each in BAD),
        (["--level", "2"], "raysweep: --level: expected a number between 0 and 1, got 2"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_exit_code_2(cli, arguments, message):
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1

"""Rows of a store under the labels of the present sweep file, in every command that shows them."""

import csv

import pytest
from figure_helpers import loss, spec_of, store_of

import raysweep
from raysweep.api import Results
from raysweep.cli.main import main
from raysweep.errors import SpecError

A = {"estimator": "straight_through", "temperature": 1.0}
B = {"estimator": "straight_through", "temperature": 3.0}
TASKS = {"walk": {"task": "toy"}}


def written(task, estimator, place, seed):
    return {"A": 10.0, "B": 20.0}[estimator] + seed


def reopened(results, **changes):
    """The results of the same store after its sweep file was edited."""
    results.store.write_spec(spec_of(**changes))
    return Results(results.store.store.uri, results.sweep)


@pytest.fixture
def first(tmp_path):
    return store_of(tmp_path, spec_of(TASKS, {"A": A, "B": B}), written)


@pytest.fixture
def swapped(first):
    """The sweep after A and B were exchanged in the file."""
    return reopened(first, tasks=TASKS, estimators={"A": B, "B": A})


def means(table):
    """The mean of each estimator of a table."""
    return {cell.estimator: cell.mean for cell in table.cells}


def losses(rows):
    """The losses of each estimator among rows."""
    values = {}
    for row in rows:
        values.setdefault(row["estimator"], []).append(float(row["metric.train_loss"]))
    return {name: sorted(each) for name, each in values.items()}


SWAPPED = {"A": [20.0, 21.0, 22.0], "B": [10.0, 11.0, 12.0]}


def test_a_query_shows_the_labels_of_the_present_file(swapped):
    query = 'select estimator, avg("metric.train_loss") as mean from runs group by all'
    found = {row["estimator"]: row["mean"] for row in swapped.sql(query).to_pylist()}
    assert found == means(swapped.table()) == {"A": 21.0, "B": 11.0}


def test_a_condition_means_the_labels_of_the_present_file(swapped):
    assert means(swapped.table(where="estimator = 'A'")) == {"A": 21.0, "B": None}


@pytest.mark.parametrize("table", ["runs", "planned"])
def test_a_data_frame_has_the_labels_of_the_present_file(swapped, table):
    assert losses(swapped.to_pandas(table).to_dict("records")) == SWAPPED


def test_an_exported_csv_has_the_labels_of_the_present_file(swapped, tmp_path):
    swapped.export_csv(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open() as lines:
        assert losses(csv.DictReader(lines)) == SWAPPED


def test_rows_in_arrow_have_the_labels_of_the_present_file(swapped):
    assert losses(swapped.runs().to_pylist()) == SWAPPED


def test_rows_in_arrow_have_the_stored_columns(swapped):
    assert swapped.runs().schema.equals(swapped.store.runs().schema, check_metadata=True)


def test_the_parquet_files_keep_what_was_written(swapped):
    assert losses(swapped.store.runs().to_pylist()) == {"A": SWAPPED["B"], "B": SWAPPED["A"]}


def test_deleting_runs_by_label_means_the_present_file(swapped, tmp_path):
    with pytest.raises(SystemExit):
        main(["rm", "hand", "--store", str(tmp_path), "--where", "estimator = 'A'", "--yes"])
    assert losses(swapped.runs().to_pylist()) == {"B": SWAPPED["B"]}


def test_failed_runs_are_listed_under_their_present_labels(tmp_path, capsys):
    spec = spec_of(TASKS, {"A": A, "B": B})
    results = store_of(
        tmp_path,
        spec,
        lambda *which: "failed" if which[1] == "A" else 1.0,
        about=lambda *which: {"attempts": 1},
    )
    reopened(results, tasks=TASKS, estimators={"A": B, "B": A})
    for command in (["status", "hand"], ["status", "hand", "--failed"]):
        with pytest.raises(SystemExit):
            main([*command, "--store", str(tmp_path)])
        output = capsys.readouterr().out
        assert " (B · walk" in output
        assert " (A · walk" not in output


def test_the_status_of_a_search_counts_runs_under_their_present_labels(first, capsys):
    search = {"sampler": "random", "configurations": 1}
    edited = reopened(
        first,
        tasks=TASKS,
        estimators={"new name": {**A, "temperature": [1.0, 2.0]}, "B": B},
        search=search,
    )
    with pytest.raises(SystemExit):
        main(["status", "hand", "--store", edited.store.store.uri])
    assert "new name · walk     3 " in capsys.readouterr().out


def test_a_run_that_the_file_no_longer_plans_is_not_in_the_plan(first):
    edited = reopened(first, tasks=TASKS, estimators={"A": A}, seeds=2)
    planned = {
        (row["estimator"], row["seed"]) for row in edited.rows("runs").to_pylist() if row["in_plan"]
    }
    assert planned == {("A", 0), ("A", 1)}
    assert edited.sql("select count(*) as n from planned")["n"].to_pylist() == [2]


def test_the_selected_configuration_of_a_cell_is_marked(tmp_path):
    results = store_of(tmp_path, spec_of(TASKS), lambda *which: loss("A", *which[1:]))
    query = (
        'select distinct estimator, "param.estimator.temperature" as t from runs where selected '
        "and estimator = 'ST'"
    )
    assert results.sql(query).to_pylist() == [{"estimator": "ST", "t": 2.0}]


def test_a_run_of_two_arms_is_planned_in_both(tmp_path):
    both = {"A": A, "B": {**A, "temperature": [1.0, 3.0]}}
    results = store_of(tmp_path, spec_of(TASKS, both), lambda *which: 1.0)
    query = "select estimator, count(*) as n from planned group by all order by all"
    expected = [{"estimator": "A", "n": 3}, {"estimator": "B", "n": 6}]
    assert results.sql(query).to_pylist() == expected
    assert results.to_pandas("planned").groupby("estimator").size().to_dict() == {"A": 3, "B": 6}
    assert results.runs().num_rows == 6


def test_a_run_of_two_arms_meets_a_condition_on_either_label(tmp_path):
    both = {"A": A, "B": {**A, "temperature": [1.0, 3.0]}}
    results = store_of(tmp_path, spec_of(TASKS, both), lambda *which: 1.0)
    results = reopened(results, tasks=TASKS, estimators={"C": A, "D": both["B"]})
    for label in "CD":
        assert results.table(where=f"estimator = '{label}'").cell(label, "walk").n == 3


BOTH = {"A": A, "B": {**A, "temperature": [1.0, 3.0]}}


@pytest.fixture
def shared(tmp_path):
    """A sweep whose arms A and B share a configuration, under labels that never changed."""
    return store_of(tmp_path, spec_of(TASKS, BOTH), written)


def test_a_condition_on_a_label_shows_a_shared_run_for_that_arm_alone(shared):
    for label, other in (("A", "B"), ("B", "A")):
        table = shared.table(where=f"estimator = '{label}'")
        assert table.cell(label, "walk").n == 3
        assert table.cell(other, "walk").status == "missing"


def test_a_condition_on_a_label_counts_in_statistics_and_rankings_too(shared):
    tops = shared.top(where="estimator = 'A'").rows
    assert {row.estimator for row in tops} == {"A"}
    assert [arm.estimator for arm in shared.statistics(where="estimator = 'A'").arms if arm.n] == [
        "A"
    ]


def test_a_condition_on_what_is_selected_is_one_for_each_arm(tmp_path):
    def better(task, estimator, place, seed):
        return 10.0 - place + seed  # the configuration that B does not share with A is the best

    results = store_of(tmp_path, spec_of(TASKS, BOTH), better)
    cells = {cell.estimator: cell.settings for cell in results.table(where="selected").cells}
    assert cells == {"A": {}, "B": {"estimator.temperature": 3.0}}
    assert results.top(where="selected").rows[0].estimator == "A"
    assert len(results.top(where="selected").rows) == 2


def test_a_condition_that_divides_a_shared_configuration_is_refused(shared):
    divided = "estimator = 'A' and seed = 0 or estimator = 'B' and seed > 0"
    with pytest.raises(SpecError, match=r"other runs of .* for each of A · walk and B · walk"):
        shared.table(where=divided)


def test_outdated_runs_are_not_in_the_plan(first, monkeypatch):
    runs = first.runs()
    labels = first.labels()
    outdated = runs["run_id"].slice(0, 1).combine_chunks()
    object.__setattr__(labels, "outdated", outdated)
    marked = labels.labelled(first.store.runs())
    assert marked["in_plan"].to_pylist() == [False] + [True] * 5
    assert labels.planned(first.store.runs()).num_rows == 5


QUERIES = [
    ("select count(*) from runs", False),
    ('select "metric.train_loss" from runs', False),
    ("select * from runs", True),
    ("from runs", True),
    ("select count(*) from planned", True),
    ("select seed from runs where IN_PLAN", True),
]


@pytest.mark.parametrize(("query", "is_needed"), QUERIES)
def test_the_plan_is_computed_only_for_queries_that_need_it(first, monkeypatch, query, is_needed):
    asked = []
    monkeypatch.setattr(
        Results,
        "labels",
        lambda self, original=Results.labels, **more: asked.append(1) or original(self, **more),
    )
    first.sql(query)
    assert bool(asked) == is_needed


def test_labels_that_never_changed_need_no_look_at_the_settings(first, monkeypatch):
    edited = reopened(first, tasks=TASKS, estimators={"A": A, "B": B}, seeds=5)
    monkeypatch.setattr(Results, "labels", None)
    query = "select distinct estimator from runs order by all"
    assert edited.sql(query)["estimator"].to_pylist() == ["A", "B"]


@pytest.mark.parametrize("table", ["planned", "runs"])
def test_selected_runs_are_those_of_the_numbers_in_the_table(tmp_path, table):
    sweep = {
        "name": "fresh",
        "tasks": TASKS,
        "estimators": {"A": A},
        "training": {"lr": [0.1, 0.3]},
        "seeds": {"search": 3, "report": 2},
    }
    results = raysweep.run(sweep, store=tmp_path, inline=True)
    query = f'select avg("metric.train_loss") as mean, count(*) as n from {table} where selected'
    (row,) = results.sql(query).to_pylist()
    (cell,) = results.table().cells
    assert (row["mean"], row["n"]) == (pytest.approx(cell.mean), cell.n) == (cell.mean, 2)

"""A sweep from file to rows, by both executors."""

import shutil

import pyarrow as pa
import pytest
from engine_helpers import METRICS, by_run, files_of, statuses

import raysweep


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores of the toy sweep by executor, each trained once."""
    return {}, tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(stores, executor, sweep, toy, tmp_path):
    """The results of the toy sweep by the present executor, in the store of `sweep`."""
    known, folder = stores
    name = "inline" if executor["inline"] else "ray"
    if name not in known:
        known[name] = sweep(toy()).sweep
        shutil.copytree(tmp_path / "store", folder / name)
    else:
        shutil.copytree(folder / name, tmp_path / "store")
    return raysweep.open(tmp_path / "store", known[name])


def test_every_planned_run_ends_exactly_once(trained):
    results = trained
    assert statuses(results) == {(seed, lr): "done" for seed in range(3) for lr in (0.1, 0.3)}
    assert results.runs().num_rows == 6


def test_a_finished_sweep_runs_nothing_again(trained, sweep, toy):
    before = files_of(trained)
    assert files_of(sweep(toy())) == before


def test_both_executors_give_the_same_numbers(trained, inline, toy):
    assert by_run(trained) == by_run(inline(toy(), store="other"))


def test_an_added_seed_runs_only_that_seed(trained, sweep, toy):
    before = files_of(trained)
    results = sweep(toy(seeds=5))
    old = [name for name in files_of(results) if name in before]
    assert all(files_of(results)[name] == before[name] for name in old)
    assert len(by_run(results)) == 10
    new = [
        row for row in results.runs().to_pylist() if f"runs/{row['pack_id']}.parquet" not in before
    ]
    assert {row["seed"] for row in new} == {3, 4}


def test_an_added_estimator_runs_only_its_runs(inline, toy):
    before = by_run(inline(toy()))
    both = {"ST": {"estimator": "straight_through"}, "RF": {"estimator": "reinforce"}}
    results = inline(toy(estimators=both))
    assert before.items() <= by_run(results).items()
    new = [row for row in results.runs().to_pylist() if row["run_id"] not in before]
    assert {row["estimator"] for row in new} == {"RF"}
    assert len(new) == 6


def test_an_added_choice_runs_only_its_runs(inline, toy):
    def estimators(*temperatures):
        return {"ST": {"estimator": "straight_through", "temperature": list(temperatures)}}

    before = by_run(inline(toy(estimators=estimators(1.0, 1.5))))
    results = inline(toy(estimators=estimators(1.0, 1.2, 1.5)))
    new = [row for row in results.runs().to_pylist() if row["run_id"] not in before]
    assert {row["param.estimator.temperature"] for row in new} == {1.2}
    assert len(new) == 6


def test_a_new_setting_of_the_sweep_gives_old_files_its_column(inline, toy):
    inline(toy())
    both = {"ST": {"estimator": "straight_through"}, "RM": {"estimator": "reinmax"}}
    results = inline(toy(estimators=both))
    schemas = {
        results.store.files.read_schema(name)
        for name in results.store.files.names("runs", ".parquet")
    }
    assert len(schemas) == 1
    assert "param.estimator.baseline" in schemas.pop().names


def test_a_run_does_not_depend_on_the_size_of_its_pack(inline, toy):
    alone = inline(toy(resources={"pack": 1}))
    together = inline(toy(resources={"pack": 6}), store="other")
    assert by_run(alone) == by_run(together)
    assert {row["replicas"] for row in together.runs().to_pylist()} == {6}


@pytest.mark.parametrize("pack", [1, 4, 100])
def test_packs_are_never_larger_than_asked(inline, toy, pack):
    results = inline(toy(resources={"pack": pack}))
    assert all(row["replicas"] <= pack for row in results.runs().to_pylist())


def test_settings_that_change_the_program_are_never_packed_together(inline, toy):
    results = inline(toy(task={"size": [1, 2]}, resources={"pack": 100}))
    sizes = {}
    for row in results.runs().to_pylist():
        sizes.setdefault(row["pack_id"], set()).add(row["param.task.size"])
    assert sorted(sizes.values()) == [{1}, {2}]


def test_curves_hold_a_row_per_run_and_report(inline, toy):
    results = inline(toy())
    found = results.sql("select run_id, count(*) as n, max(step) as last from curves group by all")
    assert found.num_rows == 6
    assert set(found["n"].to_pylist()) == {4}
    assert set(found["last"].to_pylist()) == {20}


def test_final_training_metrics_are_means_over_the_window(inline, toy):
    results = inline(toy(training={"window": 5}))
    query = """select max(abs(runs."metric.train_loss" - curves.train_loss)) as gap
               from runs join curves using (run_id) where curves.step = 20"""
    assert results.sql(query)["gap"].to_pylist()[0] < 1e-15


def test_two_arms_of_equal_settings_share_their_runs(inline, toy):
    same = {"A": {"estimator": "straight_through"}, "B": {"estimator": "straight_through"}}
    results = inline(toy(estimators=same))
    assert results.runs().num_rows == 6
    cells = results.table().cells
    assert cells[0].mean == cells[1].mean
    assert all(cell.status == "selected" for cell in cells)


def test_random_search_runs_the_number_of_configurations_asked_for(inline, toy):
    search = {"sampler": "random", "configurations": 4}
    results = inline(toy(training={"lr": {"low": 0.01, "high": 0.5, "log": True}}, search=search))
    assert len({row["configuration_id"] for row in results.runs().to_pylist()}) == 4
    assert results.runs().num_rows == 12


def test_tpe_search_is_extended_by_its_new_configurations_alone(sweep, toy):
    space = {"lr": {"low": 0.01, "high": 0.5, "log": True}}
    before = by_run(sweep(toy(training=space, search={"sampler": "tpe", "configurations": 3})))
    after = by_run(sweep(toy(training=space, search={"sampler": "tpe", "configurations": 5})))
    assert before.items() <= after.items()
    assert len(after) == 15


def test_rows_hold_the_columns_of_the_contract(inline, toy):
    row = inline(toy()).runs().to_pylist()[0]
    assert row["status"] == "done"
    assert row["steps"] == row["steps_executed"] == 20
    assert (row["attempts"], row["device"], row["error"]) == (1, "cpu", None)
    assert row["task_name"] == "toy"
    assert row["started_at"].tzinfo is not None
    assert all(row[name] is not None for name in METRICS)


def test_smoke_runs_one_configuration_of_three_steps_in_its_own_sweep(inline, toy):
    results = inline(toy(), smoke=True)
    rows = results.runs().to_pylist()
    assert results.sweep == "toys-smoke"
    assert [(row["steps"], row["seed"], row["param.training.lr"]) for row in rows] == [(3, 0, 0.1)]


def test_a_change_from_the_command_line_wins_over_every_block(inline, toy):
    overrides = [{"tasks": ["walk"], "steps": 30}]
    results = inline(toy(overrides=overrides), changes=["training.steps=10", "seeds=1"])
    assert {(row["steps"], row["seed"]) for row in results.runs().to_pylist()} == {(10, 0)}


def test_two_adaptive_arms_that_propose_the_same_train_it_once(inline, toy):
    same = {"A": {"estimator": "straight_through"}, "B": {"estimator": "straight_through"}}
    search = {"sampler": "tpe", "configurations": 10}
    space = {"lr": [0.1, 0.2, 0.3, 0.4], "optimizer": ["adam", "sgd", "radam"]}
    spec = toy(estimators=same, training=space, search=search, resources={"pack": 1})
    run_ids = inline(spec).runs()["run_id"].to_pylist()
    assert len(run_ids) == len(set(run_ids))


def test_another_label_keeps_the_configurations_of_a_random_search(inline, toy):
    space = {"lr": {"low": 0.01, "high": 0.5}}
    search = {"sampler": "random", "configurations": 4}
    before = by_run(inline(toy(training=space, search=search)))
    renamed = {"Other": {"estimator": "straight_through"}}
    after = by_run(inline(toy(training=space, search=search, estimators=renamed)))
    assert after == before


def test_a_random_search_keeps_what_is_inside_its_new_space(inline, toy):
    search = {"sampler": "random", "configurations": 4}
    before = by_run(inline(toy(training={"lr": {"low": 0.1, "high": 0.2}}, search=search)))
    wider = inline(
        toy(training={"lr": {"low": 0.01, "high": 0.5}}, search={**search, "configurations": 5})
    )
    assert before.items() <= by_run(wider).items()
    assert len(by_run(wider)) == 15


def test_results_from_before_a_setting_was_declared_stay_in_the_table(inline, toy):
    results = inline(toy())
    for name in results.store.files.names("runs", ".parquet"):
        table = results.store.files.read_table(name)
        place = table.schema.get_field_index("param.task.size")
        nulls = pa.nulls(table.num_rows, pa.int64())
        table = table.set_column(place, table.schema.field(place), nulls)
        place = table.schema.get_field_index("definition")  # its defaults were others, too
        before = pa.array(["before"] * table.num_rows)
        results.store.files.write_table(
            name, table.set_column(place, table.schema.field(place), before)
        )
    assert results.table().cells[0].status == "selected"

"""Configurations as Optuna's trials: every way in which they end, or have not yet."""

import dataclasses
import json
import re

import optuna
import pytest
from figure_helpers import row, spec_of
from optuna.distributions import CategoricalDistribution

from raysweep.api import Results
from raysweep.formats.importance import render
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.studies.history import History, histories, quiet
from raysweep.studies.importance import record_of
from raysweep.sweep.runs import Run

TASK = {"A": {"task": "toy"}}


def stored(folder, spec, ended, curves=()):
    """A store in which runs ended as `ended(place of the cell, seed)` says: columns, or None."""
    store = SweepStore(str(folder), spec.name)
    store.prepare(spec)
    columns = schema.runs_schema(spec)
    rows, lines = [], []
    for arm in spec.arms:
        for place, cell in enumerate(arm.cells()):
            for seed in spec.seeds:
                told = ended(place, seed)
                run = Run(arm.configuration(cell), seed)
                if told is None:
                    continue
                rows.append({**row(arm, run, 1.0, columns), **told})
                lines += [
                    {"run_id": run.run_id, "step": step, "train_loss": value}
                    for step, value in curves
                    if step <= told.get("steps", 30)
                ]
    store.write_runs("all", rows, columns)
    table = schema.rows_table(lines, schema.curves_schema(spec))
    store.files.write_table("curves/all-0.parquet", table)
    return Results(folder, spec.name)


def only_trial(folder, ended, metrics=("train_loss",), curves=()):
    """The trial of a sweep of one configuration."""
    spec = spec_of(TASK, {"ST": {"estimator": "straight_through"}})
    with quiet():
        (history,) = histories(stored(folder, spec, ended, curves), metrics)
    (trial,) = history.trials
    return trial


def loss(value, status="done", **more):
    return {"metric.train_loss": value, "status": status, **more}


CURVE = ((10, 5.0), (20, 4.0), (30, 3.0))


def test_a_stopped_configuration_is_pruned_with_what_it_had(tmp_path):
    trial = only_trial(
        tmp_path, lambda _, seed: loss(7.0 + seed, "stopped", steps=20), curves=CURVE
    )
    assert trial.state.name == "PRUNED"
    assert trial.intermediate_values == {10: 5.0, 20: 8.0}
    assert trial.value == 8.0
    assert trial.user_attrs["status"] == {"stopped": 3}


def test_a_stopped_configuration_without_the_metric_has_the_curves(tmp_path):
    trial = only_trial(tmp_path, lambda *_: loss(None, "stopped", steps=20), curves=CURVE)
    assert (trial.state.name, trial.value) == ("PRUNED", 4.0)


def test_a_stopped_configuration_may_have_no_value_at_all(tmp_path):
    trial = only_trial(tmp_path, lambda *_: loss(None, "stopped", steps=20))
    assert (trial.state.name, trial.value, trial.intermediate_values) == ("PRUNED", None, {})


def test_a_configuration_with_seeds_to_run_is_running(tmp_path):
    trial = only_trial(tmp_path, lambda _, seed: loss(1.0) if seed < 2 else None, curves=CURVE)
    assert (trial.state.name, trial.datetime_complete) == ("RUNNING", None)
    assert trial.user_attrs["seeds"] == [0, 1]
    assert trial.intermediate_values == dict(CURVE)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (loss(None, "failed", error="RuntimeError: unlucky"), "RuntimeError: unlucky"),
        (loss(None, "diverged"), "seed 1 diverged"),
        (loss(None), "a seed has no finite train_loss"),
    ],
)
def test_a_configuration_without_a_value_failed_and_says_why(tmp_path, told, error):
    trial = only_trial(tmp_path, lambda _, seed: told if seed == 1 else loss(1.0))
    assert (trial.state.name, trial.value) == ("FAIL", None)
    assert trial.user_attrs["error"] == error
    assert trial.user_attrs["values"] == [1.0, None, 1.0]


def test_steps_at_which_a_seed_has_no_number_are_left_out(tmp_path):
    curves = ((10, 5.0), (20, None), (30, float("inf")), (40, 3.0))
    trial = only_trial(tmp_path, lambda *_: loss(1.0, steps=40), curves=curves)
    assert trial.intermediate_values == {10: 5.0, 40: 3.0}


def test_two_metrics_are_two_objectives(tmp_path):
    both = ("train_loss", "distance")
    trial = only_trial(
        tmp_path, lambda _, seed: loss(1.0 + seed, **{"metric.distance": 5.0}), both, CURVE
    )
    assert (trial.values, trial.intermediate_values) == ([2.0, 5.0], {})
    assert trial.user_attrs["values"] == {"train_loss": [1.0, 2.0, 3.0], "distance": [5.0] * 3}
    assert trial.user_attrs["std"] == {"train_loss": 1.0, "distance": 0.0}


def test_stopped_with_two_metrics_has_no_value(tmp_path):
    both = ("train_loss", "distance")
    trial = only_trial(tmp_path, lambda *_: loss(1.0, "stopped", steps=10), both, CURVE)
    assert (trial.state.name, trial.values, trial.intermediate_values) == ("PRUNED", None, {})


@pytest.mark.parametrize("name", ["both.db", "both.log"])
def test_a_sweep_that_selects_by_two_metrics_is_exported_with_both(tmp_path, name):
    spec = spec_of(TASK)
    select = dataclasses.replace(
        spec.select, second=dataclasses.replace(spec.select, metric="distance", mode="max")
    )
    spec = dataclasses.replace(spec, select=select)
    found = stored(tmp_path / "store", spec, lambda place, seed: loss(float(place + seed)))
    told = found.export_optuna(tmp_path / name)
    storage = told.storage
    if name.endswith(".log"):
        backend = optuna.storages.journal.JournalFileBackend(storage)
        storage = optuna.storages.JournalStorage(backend)
    with quiet():
        study = optuna.load_study(study_name="hand: ST · A", storage=storage)
        assert [each.name for each in study.directions] == ["MINIMIZE", "MAXIMIZE"]
        assert study.metric_names == ["train_loss", "distance"]
        assert sorted(trial.values for trial in study.trials) == [[1.0, 1.0], [2.0, 1.0]]
        assert found.importance()[0]["metric"] == "train_loss"


def test_values_that_optuna_would_confuse_are_json_text(tmp_path):
    spec = spec_of(TASK, {"ST": {"estimator": "straight_through"}}, training={"window": [None, 2]})
    with quiet():
        (history,) = histories(stored(tmp_path, spec, lambda *_: loss(1.0)), ["train_loss"])
    assert sorted(trial.params["window"] for trial in history.trials) == ["2", "null"]


def test_a_name_that_two_sections_have_is_told_with_its_section(tmp_path):
    spec = spec_of({"A": {"task": "toy", "noise": [0.1, 0.2]}}, training={"lr": [0.1, 0.2]})
    arm = spec.arms[1]
    twice = dataclasses.replace(
        arm,
        space={**arm.space, "estimator.noise": arm.space["task.noise"]},
        defaults={**arm.defaults, "estimator.noise": 0.1},
    )
    spec = dataclasses.replace(
        spec, arms=(twice,), types={**spec.types, "estimator.noise": "double"}
    )
    with quiet():
        (history,) = histories(stored(tmp_path, spec, lambda *_: loss(1.0)), ["train_loss"])
    assert len(history.trials) == 8
    assert set(history.trials[0].params) == {"task.noise", "estimator.noise", "lr"}


def test_a_setting_that_some_configurations_lack_is_left_out_and_named():
    arm = spec_of(TASK, training={"lr": [0.1, 0.2]}).arms[0]
    source = CategoricalDistribution([0.1, 0.2])
    trials = []
    for place in range(12):
        params = {"lr": [0.1, 0.2][place % 2]}
        if place % 4 < 2:
            params["noise"] = [0.1, 0.2][place // 4 % 2]
        trials.append(
            optuna.trial.create_trial(
                params=params, distributions=dict.fromkeys(params, source), value=float(place % 2)
            )
        )
    history = History("x", arm, ("train_loss",), ("minimize",), tuple(trials))
    with quiet():
        record = record_of(history, "ped-anova")
    assert record["importances"] == {"lr": 1.0}
    assert record["left_out"] == {"noise": "in 6 of 12 configurations only"}
    text = render("x", [record], "text")
    last = text.splitlines()[-1]
    for part in ("ST · A", "noise left out", "6 of 12"):
        assert part in last


@pytest.mark.parametrize("number", [2, 19])
def test_importances_from_few_configurations_are_marked(tmp_path, number):
    lr = [0.1 * (index + 1) for index in range(number)]
    spec = spec_of(TASK, {"ST": {"estimator": "straight_through"}}, training={"lr": lr})
    (record,) = stored(tmp_path, spec, lambda place, _: loss(float(place))).importance()
    assert record["too_few"]
    assert json.loads(render("x", [record], "json"))["arms"][0]["too_few"]
    *_, row, note = render("x", [record], "text").splitlines()
    assert "1.00 ?" in row
    assert note == "? from too few configurations to rely on"


def test_importances_from_twenty_configurations_are_not_marked(tmp_path):
    lr = [0.1 * (index + 1) for index in range(20)]
    spec = spec_of(TASK, {"ST": {"estimator": "straight_through"}}, training={"lr": lr})
    (record,) = stored(tmp_path, spec, lambda place, _: loss(float(place))).importance()
    assert not record["too_few"]
    assert "?" not in render("x", [record], "text")


def test_a_sweep_without_anything_to_search_says_so(tmp_path):
    spec = spec_of(TASK, {"ST": {"estimator": "straight_through"}})
    told = stored(tmp_path / "store", spec, lambda *_: loss(1.0)).export_optuna(tmp_path / "a.db")
    written, note = told.text.splitlines()
    for part in ("1 study", "1 trial", str(tmp_path / "a.db")):
        assert part in written
    assert "no parameters" in note


def test_a_sweep_without_finished_runs_is_exported_without_trials(tmp_path):
    spec = spec_of(TASK)
    found = stored(tmp_path / "store", spec, lambda *_: None)
    assert found.export_optuna(tmp_path / "a.log").text.startswith("2 studies, 0 trials: ")


def test_settings_that_cannot_be_compared_are_left_out_and_named(tmp_path):
    spec = spec_of(
        {"A": {"task": "toy", "noise": [0.1, 0.2]}},
        {"ST": {"estimator": "straight_through"}},
        training={"lr": [0.1, 0.2]},
    )
    cells = list(spec.arms[0].cells())
    found = stored(
        tmp_path,
        spec,
        lambda place, _: loss(float(place)) if cells[place]["training.lr"] == 0.1 else None,
    )
    (record,) = found.importance()
    assert record["importances"] == {"noise": 1.0}
    assert record["left_out"] == {"lr": "0.1 in all configurations"}


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova", "mdi"])
def test_equal_values_tell_nothing(tmp_path, evaluator):
    spec = spec_of(TASK, training={"lr": [0.1, 0.2]})
    found = stored(tmp_path, spec, lambda *_: loss(1.0))
    record = found.importance(evaluator=evaluator)[0]
    assert re.search(r"at least 2 .*different train_loss.* 4 with equal", record["reason"])

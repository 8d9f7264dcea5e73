"""A sweep's studies as Optuna opens them, and which of its settings matter."""

import json
import math
import re
import statistics
import subprocess
import sys

import optuna
import pyarrow.compute as pc
import pytest

import raysweep
from raysweep.cli.main import main
from raysweep.errors import SpecError
from raysweep.studies.export import export
from raysweep.studies.history import histories, quiet

FILES = ["small.db", "small.log", "small.JSONL"]
EVALUATORS = ["ped-anova", "fanova", "mdi"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three arms: one searched, one whose seed 1 diverges in every configuration, one fixed."""
    folder = tmp_path_factory.mktemp("export")
    trouble = folder / "trouble.json"
    trouble.write_text(json.dumps({"nan": [1], "at": 10}))
    spec = {
        "name": "small",
        "tasks": {
            "walk": {
                "task": "toy",
                "target": {"low": -3.0, "high": 3.0},
                "noise": [0.1, 0.2],
            },
            "sick": {"task": "toy", "trouble": str(trouble), "noise": [0.1, 0.2]},
            "fixed": {"task": "toy", "size": 2},
        },
        "estimators": {"ST": {"estimator": "straight_through"}},
        "training": {"lr": 0.2},
        "seeds": 3,
        "search": {"sampler": "random", "configurations": 12},
    }
    return raysweep.run(spec, store=folder / "store", inline=True)


@pytest.fixture(params=FILES)
def studies(request, results, tmp_path):
    """Opens a study of the exported file by its task's label."""
    path = tmp_path / request.param
    told = results.export_optuna(path)
    storage = told.storage
    if path.suffix != ".db":
        backend = optuna.storages.journal.JournalFileBackend(storage)
        storage = optuna.storages.JournalStorage(backend)
    return lambda task: optuna.load_study(study_name=f"small: ST · {task}", storage=storage)


def configurations(results, task):
    """Rows of `runs` by configuration, of one task."""
    found = {}
    for row in results.runs().to_pylist():
        if row["task"] == task:
            found.setdefault(row["configuration_id"], []).append(row)
    return found


def test_there_is_a_trial_for_each_configuration(studies, results):
    counts = [len(studies(task).trials) for task in ("walk", "sick", "fixed")]
    assert counts == [12, 2, 1]


def test_a_finished_trial_has_the_mean_over_seeds(studies, results):
    found = configurations(results, "walk")
    for trial in studies("walk").trials:
        rows = found[trial.user_attrs["configuration_id"]]
        assert trial.state.name == "COMPLETE"
        assert trial.value == statistics.fmean(row["metric.train_loss"] for row in rows)
        assert trial.params == {
            "target": rows[0]["param.task.target"],
            "noise": rows[0]["param.task.noise"],
        }


def test_attributes_tell_of_the_seeds(studies, results):
    found = configurations(results, "walk")
    for trial in studies("walk").trials:
        about = trial.user_attrs
        rows = sorted(found[about["configuration_id"]], key=lambda row: row["seed"])
        values = [row["metric.train_loss"] for row in rows]
        assert (about["seeds"], about["values"]) == ([0, 1, 2], values)
        assert about["std"] == pytest.approx(statistics.stdev(values))
        assert about["status"] == {"done": 3}


def test_intermediate_values_are_means_of_the_curves(studies, results):
    curves = results.curves()
    for trial in studies("walk").trials:
        rows = configurations(results, "walk")[trial.user_attrs["configuration_id"]]
        own = curves.filter(
            pc.is_in(curves["run_id"], pc.cast([r["run_id"] for r in rows], "string"))
        )
        steps = {}
        for row in own.to_pylist():
            steps.setdefault(row["step"], []).append(row["train_loss"])
        assert sorted(trial.intermediate_values) == [5, 10, 15, 20]
        for step, values in steps.items():
            assert trial.intermediate_values[step] == pytest.approx(statistics.fmean(values))


def test_a_diverged_seed_fails_its_configuration(studies):
    for trial in studies("sick").trials:
        assert (trial.state.name, trial.value) == ("FAIL", None)
        assert trial.user_attrs["status"] == {"diverged": 1, "done": 2}
        assert trial.user_attrs["values"][1] is None
        assert "diverged" in trial.user_attrs["error"]
        assert all(math.isfinite(value) for value in trial.intermediate_values.values())


def test_the_best_trial_is_what_the_table_selects(studies, results):
    best = studies("walk").best_trial
    cell = results.table().cell("ST", "walk")
    assert best.user_attrs["configuration_id"] == cell.configuration_id
    assert best.value == cell.mean


def test_times_are_the_runs_own(studies, results):
    for trial in studies("walk").trials:
        rows = configurations(results, "walk")[trial.user_attrs["configuration_id"]]
        assert trial.datetime_start.astimezone() == min(row["started_at"] for row in rows)
        seconds = sum(row["seconds"] for row in rows)
        assert trial.duration.total_seconds() == pytest.approx(seconds, abs=1e-5)


def test_a_study_may_be_gone_on_with(studies):
    study = studies("walk")
    with quiet():
        study.optimize(lambda trial: trial.suggest_float("target", -3.0, 3.0) ** 2, n_trials=1)
    assert len(study.trials) == 13


FIELDS = (
    *("number", "state", "params", "distributions", "values", "intermediate_values"),
    *("user_attrs", "system_attrs", "datetime_start", "datetime_complete"),
)


def fields(trial):
    """All that a trial holds, apart from its key in a database."""
    return {name: getattr(trial, name) for name in FIELDS}


def test_both_files_hold_what_optuna_itself_would_write(results, tmp_path):
    path = tmp_path / "small.db"
    export(results, path)
    with quiet():
        for history in histories(results, ["train_loss"]):
            loaded = optuna.load_study(study_name=history.name, storage=f"sqlite:///{path}")
            ours = history.study(optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'theirs.db'}"))
            ours.add_trials(history.trials)
            assert loaded.metric_names == ours.metric_names == ["train_loss"]
            assert loaded.directions == ours.directions
            assert [fields(trial) for trial in loaded.trials] == [
                fields(trial) for trial in ours.trials
            ]


def test_another_metric_has_its_own_direction(results, tmp_path):
    results.export_optuna(tmp_path / "far.db", metric="distance")
    with quiet():
        study = optuna.load_study(
            study_name="small: ST · walk", storage=f"sqlite:///{tmp_path / 'far.db'}"
        )
    assert study.direction.name == "MAXIMIZE"
    assert study.metric_names == ["distance"]
    assert study.best_value == max(trial.value for trial in study.trials)


@pytest.mark.parametrize(
    ("name", "metric", "message"),
    [
        ("there.db", None, "already exists; remove it"),
        ("none/small.db", None, "folder '.*none' does not exist"),
        ("small.db", "train_los", "'train_los'; did you mean 'train_loss'"),
    ],
)
def test_a_mistake_is_told_and_writes_nothing(results, tmp_path, name, metric, message):
    (tmp_path / "there.db").write_text("mine")
    with pytest.raises(SpecError, match=message):
        results.export_optuna(tmp_path / name, metric)
    assert [each.name for each in tmp_path.iterdir()] == ["there.db"]
    assert (tmp_path / "there.db").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
def test_only_the_file_is_left(results, tmp_path, name):
    results.export_optuna(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_the_setting_that_matters_comes_first(results, evaluator):
    record = results.importance(evaluator=evaluator)[0]
    assert list(record["importances"]) == ["target", "noise"]
    assert record["importances"]["target"] > 0.8
    assert sum(record["importances"].values()) == pytest.approx(1)
    assert (record["configurations"], record["reason"], record["left_out"]) == (12, None, {})


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_importances_are_the_same_twice(results, evaluator):
    assert results.importance(evaluator=evaluator) == results.importance(evaluator=evaluator)


def test_an_arm_without_importances_says_why(results):
    known, few, fixed = [record["reason"] for record in results.importance()]
    assert known is None
    assert re.search(r"at least 2 .*train_loss.* has 0$", few)
    assert "searched" in fixed


def test_an_unknown_evaluator_names_the_nearest(results):
    with pytest.raises(SpecError, match="got 'fanov'; did you mean 'fanova'"):
        results.importance(evaluator="fanov")


@pytest.fixture
def cli(capsys, results, tmp_path, monkeypatch):
    """Runs a command in an empty folder, with the store that has the sweep."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--store", results.store.store.uri])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_export_prints_what_it_wrote_and_refuses_to_write_it_twice(cli):
    code, out, err = cli("export", "small", "--optuna", "a.db")
    assert (code, err) == (0, "")
    for part in ("3 studies", "15 trials", "a.db"):
        assert part in out
    code, out, err = cli("export", "small", "--optuna", "a.db")
    assert (code, out) == (2, "")
    assert err.startswith("raysweep: --optuna: 'a.db' already exists; ")


def test_importance_prints_arms_in_the_files_order(cli):
    code, out, err = cli("importance", "small")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.match("small: .*train_loss.* ped-anova$", lines[0])
    assert lines[2].split() == ["arm", "setting", "importance", "configurations"]
    assert [line.split()[3] for line in lines[3:5]] == ["target", "noise"]
    assert lines[5] == "? from too few configurations to rely on"
    assert re.match("ST · sick: .*at least 2 ", lines[6])
    assert re.match("ST · fixed: .*searched$", lines[7])
    assert len(lines) == 8


def test_importance_as_json_is_what_python_gets(cli, results):
    out = cli("importance", "small", "--format", "json", "--evaluator", "mdi")[1]
    assert json.loads(out) == {"sweep": "small", "arms": results.importance(evaluator="mdi")}


@pytest.mark.parametrize("command", ["export", "importance"])
def test_an_unknown_metric_exits_with_2(cli, command):
    file = ["--optuna", "a.db"] if command == "export" else []
    code, _, err = cli(command, "small", "--metric", "train_los", *file)
    assert code == 2
    assert "--metric: expected a metric of the sweep, got 'train_los'" in err


@pytest.mark.parametrize("arguments", [["importance"], ["export", "--optuna", "a.db"]])
def test_neither_command_imports_torch_or_ray(arguments, results, tmp_path):
    given = [*arguments, "small", "--store", results.store.store.uri]
    code = (
        "import sys\nfrom raysweep.cli.main import main\n"
        f"try: main({given!r})\nexcept SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'torch', 'ray', 'altair'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

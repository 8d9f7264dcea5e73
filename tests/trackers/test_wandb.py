"""Runs of Weights & Biases hold what the store holds, grouped by configuration."""

import json
import shutil

import pytest
from click.testing import CliRunner
from tracker_helpers import (
    METRICS,
    SWEEP,
    Watcher,
    curves_of,
    drive,
    rows_of,
    times_of,
    trained,
    wandb_run,
)
from wandb_server import serving

import raysweep
from raysweep.cli.main import cli

wandb = pytest.importorskip("wandb", reason="wandb, an optional extra, is not installed")
wandb_file = pytest.importorskip("raysweep.trackers.wandb_file")


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """No report of errors leaves the machine, and no settings of the user enter."""
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    trained(folder)
    return folder


@pytest.fixture
def results(store):
    return raysweep.open(store, "watched")


@pytest.fixture
def folder(results, tmp_path):
    """The folder of the offline runs."""
    assert results.export_wandb("walks", tmp_path / "offline") == 4
    return tmp_path / "offline"


def files_of(folder):
    """The file of each offline run, by run id."""
    files = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    by_run = {file.stem.removeprefix("run-"): file for file in files}
    assert len(by_run) == len(files)
    return by_run


def runs_of(folder):
    return {run_id: wandb_run(file) for run_id, file in files_of(folder).items()}


def curves_in(folder):
    points = [
        ((run_id, name, point["_step"]), point[name])
        for run_id, (_, history, _, _) in runs_of(folder).items()
        for point in history
        for name in METRICS
    ]
    assert len(dict(points)) == len(points)
    return dict(points)


def test_runs_have_the_curves_that_are_stored(results, folder):
    assert curves_in(folder) == curves_of(results)


def test_the_time_of_a_point_is_the_start_of_the_run_plus_its_training(results, folder):
    times = times_of(results)
    for run_id, (_, history, _, _) in runs_of(folder).items():
        for point in history:
            assert point["_timestamp"] == pytest.approx(times[run_id, point["_step"]], abs=1e-3)


def test_the_seeds_of_a_configuration_are_a_group(results, folder):
    rows = rows_of(results)
    for run_id, (run, _, _, _) in runs_of(folder).items():
        row = rows[run_id]
        lr, configuration = row["param.training.lr"], row["configuration_id"][:8]
        assert run.display_name == f"ST · a walk · lr={lr} · seed {row['seed']}"
        assert run.run_group == f"ST · a walk · lr={lr} · {configuration}"
        assert (run.job_type, run.project, run.notes) == ("search", "walks", "two walks")
        assert list(run.tags) == ["draft", "c++"]


def test_settings_are_the_config_under_short_names(results, folder):
    for run_id, (run, _, _, _) in runs_of(folder).items():
        row = rows_of(results)[run_id]
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["lr"] == row["param.training.lr"]
        assert (config["seed"], config["run_id"]) == (row["seed"], run_id)
        assert (config["noise"], config["estimator"], config["sweep"]) == (0.1, "ST", "watched")


def test_final_metrics_are_the_summary(results, folder):
    for run_id, (_, _, summary, code) in runs_of(folder).items():
        row = rows_of(results)[run_id]
        assert {name: summary[name] for name in METRICS} == {
            name: row[f"metric.{name}"] for name in METRICS
        }
        assert (summary["status"], summary["steps"], code) == ("done", 20, 0)


def test_fresh_seeds_are_jobs_of_their_own(tmp_path):
    results = trained(tmp_path / "store", seeds={"search": 1, "report": 1})
    results.export_wandb("walks", tmp_path)
    jobs = {run_id: run.job_type for run_id, (run, _, _, _) in runs_of(tmp_path).items()}
    rows = rows_of(results)
    assert {rows[run_id]["seed"]: job for run_id, job in jobs.items()} == {
        0: "search",
        1000000: "report",
    }


def test_exporting_again_changes_nothing(results, folder):
    before = {file: file.read_bytes() for file in files_of(folder).values()}
    assert results.export_wandb("walks", folder) == 4
    assert {file: file.read_bytes() for file in files_of(folder).values()} == before


def test_exporting_again_adds_the_runs_of_further_seeds(tmp_path):
    trained(tmp_path / "store").export_wandb("walks", tmp_path)
    before = set(files_of(tmp_path).values())
    results = trained(tmp_path / "store", seeds=3)
    assert results.export_wandb("walks", tmp_path) == 6
    assert before < set(files_of(tmp_path).values())
    assert curves_in(tmp_path) == curves_of(results)


def test_a_run_that_was_trained_again_replaces_its_earlier_result(tmp_path):
    trained(tmp_path / "store").export_wandb("walks", tmp_path)
    before = {run_id: file.read_bytes() for run_id, file in files_of(tmp_path).items()}
    raysweep.run(SWEEP, store=tmp_path / "store", inline=True, again="seed = 1")
    results = raysweep.open(tmp_path / "store", "watched")
    results.export_wandb("walks", tmp_path)
    assert curves_in(tmp_path) == curves_of(results)
    files = files_of(tmp_path).items()
    changed = {run_id for run_id, file in files if file.read_bytes() != before[run_id]}
    assert {rows_of(results)[run_id]["seed"] for run_id in changed} == {1}
    assert len(changed) == 2


def test_what_a_killed_export_left_is_completed(results, folder):
    (first, *_, last) = files_of(folder).values()
    shutil.move(first.parent, folder / "wandb" / ".raysweep-killed")  # not yet at its place
    ledger = folder / "wandb" / "raysweep-watched.jsonl"
    lines = [line for line in ledger.read_text().splitlines() if first.stem[4:] not in line]
    ledger.write_text("\n".join(lines) + "\n")
    results.export_wandb("walks", folder)
    assert curves_in(folder) == curves_of(results)
    assert not [path for path in folder.rglob(".raysweep-*")]
    assert last in files_of(folder).values()


def test_a_run_is_moved_to_its_place_when_all_of_it_is_written(results, folder, monkeypatch):
    (file, *_) = files_of(folder).values()
    whole = file.read_bytes()
    for size in (0, 7, 100, len(whole) - 1):
        file.write_bytes(whole[:size])
        monkeypatch.setattr(wandb_file, "WAIT_S", 0.0)
        with pytest.raises(raysweep.TrackerError, match="got no end of it"):
            wandb_file.wait_until_whole(file)
    file.write_bytes(whole)
    wandb_file.wait_until_whole(file)


def test_a_run_that_failed_says_so(tmp_path):
    trouble = tmp_path / "trouble.json"
    trouble.write_text('{"raise": [0]}')
    task = {"task": "toy", "steps": 20, "trouble": str(trouble)}
    results = trained(
        tmp_path / "store", tasks={"walk": task}, seeds=1, resources={"max_failures": 1}
    )
    results.export_wandb("walks", tmp_path)
    for _, _, summary, code in runs_of(tmp_path).values():
        assert (summary["status"], code) == ("failed", 1)
        assert "unlucky" in summary["error"]


def test_the_users_own_settings_keep_runs_offline(results, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    wandb.teardown()  # settings are read once
    results.export_wandb()
    assert {run.project for run, _, _, _ in runs_of(tmp_path).values()} == {"watched"}
    wandb.teardown()


def test_a_sweep_is_followed_with_the_runs_that_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()
    watcher = Watcher()
    drive(tmp_path, watcher, tracker="wandb")
    folder = tmp_path / "watched"
    assert curves_in(folder) == curves_of(raysweep.open(tmp_path, "watched"))
    line = f"tracker: runs that end are written to {folder}/wandb; `wandb sync` uploads them"
    assert line in watcher.lines
    wandb.teardown()


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        wandb.teardown()
        yield server
        wandb.teardown()


def points_on(server):
    return {
        (run_id, name, line["_step"]): line[name]
        for run_id, run in server.runs.items()
        for line in run["history"]
        for name in METRICS
    }


def test_a_server_gets_what_is_stored_and_what_it_lacks(results, tmp_path, server):
    assert results.export_wandb("lab/walks") == 4
    assert points_on(server) == curves_of(results)
    for run in server.runs.values():
        assert run["summary"]["status"] == "done"
        run["history"] = run["history"][:2]  # as after a kill
        run["summary"]["_step"] = 10
    results.export_wandb("lab/walks")  # by its list of runs, all are there
    (tmp_path / "wandb" / "raysweep-watched.jsonl").unlink()
    results.export_wandb("lab/walks")
    assert points_on(server) == curves_of(results)
    assert {len(run["history"]) for run in server.runs.values()} == {4}


class Online:
    """What `wandb.init` returns for a run of which the server has the steps up to 10."""

    starting_step = 11

    def __init__(self, **options):
        self.options, self.logged, self.summary, self.code = options, [], {}, None

    def log(self, values, *, step, commit):
        self.logged.append(step)

    def finish(self, exit_code):
        self.code = exit_code


def test_a_run_that_the_server_has_in_part_gets_the_other_points(results, tmp_path, monkeypatch):
    runs = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    monkeypatch.setattr(wandb, "init", lambda **options: runs.append(Online(**options)) or runs[-1])
    wandb.teardown()
    assert results.export_wandb("lab/walks") == 4
    assert {run.options["id"] for run in runs} == set(rows_of(results))
    for run in runs:
        assert (run.options["mode"], run.options["resume"]) == ("online", "allow")
        assert (run.options["entity"], run.options["project"]) == ("lab", "walks")
        assert (run.logged, run.code, run.summary["status"]) == ([15, 20], 0, "done")
    results.export_wandb("lab/walks")
    assert len(runs) == 4  # none again
    results.export_wandb("lab/others")
    assert len(runs) == 8  # another project has none


def test_without_a_login_nothing_is_asked(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wandb.teardown()
    with pytest.raises(raysweep.SpecError, match="run `wandb login`, or set WANDB_MODE=offline"):
        results.export_wandb("walks")
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_to_upload_them(store, tmp_path):
    words = ["export", "watched", "--store", str(store), "--wandb", "lab/walks"]
    output = (
        CliRunner().invoke(cli, [*words, "--offline", str(tmp_path)], standalone_mode=False).output
    )
    assert f"4 runs; upload them with 'wandb sync {tmp_path}/wandb/offline-run-*'" in output
    assert {(run.entity, run.project) for run, *_ in runs_of(tmp_path).values()} == {
        ("lab", "walks")
    }


def test_a_project_needs_a_name(store, tmp_path):
    words = ["export", "watched", "--store", str(store), "--wandb", "a/b/c"]
    result = CliRunner().invoke(cli, [*words, "--offline", str(tmp_path)])
    assert isinstance(result.exception, raysweep.SpecError)
    assert result.exception.field == "wandb"

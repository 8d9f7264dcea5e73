"""MLflow holds what the store holds: a run for each configuration, and its seeds nested in it."""

import collections
import shutil
import statistics
import threading

import pytest
from click.testing import CliRunner
from tracker_helpers import (
    METRICS,
    SMALL,
    SWEEP,
    Stopped,
    Watcher,
    curves_of,
    drive,
    follower_of,
    rows_of,
    stored,
    times_of,
    trained,
)
from werkzeug.serving import make_server

import raysweep
from raysweep.cli.main import cli
from raysweep.trackers.opening import open_mlflow

mlflow = pytest.importorskip("mlflow", reason="mlflow, an optional extra, is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own code


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A database whose tables exist, which takes MLflow seconds; tests use other experiments."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(store, database):
    """The sweep's results, exported twice."""
    results = raysweep.open(store, "watched")
    assert results.export_mlflow(database) == 4
    assert results.export_mlflow(database) == 4
    return results


class Experiment:
    """An experiment, as MLflow's client reads it."""

    def __init__(self, database, name):
        self.client = mlflow.MlflowClient(tracking_uri=database)
        self.about = self.client.get_experiment_by_name(name)
        runs = self.client.search_runs([self.about.experiment_id])
        self.runs = {}
        for run in runs:
            if run_id := run.data.tags.get("raysweep.run_id"):
                assert run_id not in self.runs
                self.runs[run_id] = run
        self.parents = [run for run in runs if "raysweep.run_id" not in run.data.tags]

    def histories(self, names=METRICS):
        for run_id, run in self.runs.items():
            for name in names:
                for point in self.client.get_metric_history(run.info.run_id, name):
                    yield run_id, point

    def curves(self):
        points = [((run_id, one.key, one.step), one.value) for run_id, one in self.histories()]
        assert len(dict(points)) == len(points)
        return dict(points)


@pytest.fixture(scope="module")
def experiment(exported, database):
    return Experiment(database, "watched")


def test_mlflow_reads_the_curves_that_are_stored_once(exported, experiment):
    assert experiment.curves() == curves_of(exported)


def test_the_time_of_a_point_is_the_start_of_the_run_plus_its_training(exported, experiment):
    times = times_of(exported)
    for run_id, point in experiment.histories():
        assert point.timestamp == pytest.approx(1000 * times[run_id, point.step], abs=1)


def test_the_seeds_of_a_configuration_are_nested_in_its_run(exported, experiment):
    parents = {
        run.info.run_id: run.data.tags["raysweep.configuration_id"] for run in experiment.parents
    }
    rows = rows_of(exported)
    assert len(parents) == len(set(parents.values())) == 2
    for run_id, run in experiment.runs.items():
        parent = run.data.tags["mlflow.parentRunId"]
        assert parents[parent] == rows[run_id]["configuration_id"]


def test_names_say_arm_settings_and_seed(experiment):
    assert {run.info.run_name for run in experiment.runs.values()} == {
        f"ST · a walk · lr={lr} · seed {seed}" for lr in (0.1, 0.3) for seed in (0, 1)
    }
    assert {run.info.run_name for run in experiment.parents} == {
        "ST · a walk · lr=0.1",
        "ST · a walk · lr=0.3",
    }


def test_settings_are_parameters_under_short_names(exported, experiment):
    for run_id, run in experiment.runs.items():
        row, params = rows_of(exported)[run_id], run.data.params
        assert float(params["lr"]) == row["param.training.lr"]
        assert (params["seed"], params["run_id"]) == (str(row["seed"]), run_id)
        assert (params["noise"], params["estimator"], params["task"]) == ("0.1", "ST", "a walk")
    for run in experiment.parents:
        assert run.data.params["lr"] in ("0.1", "0.3")
        assert not {"seed", "run_id"} & run.data.params.keys()


def test_final_metrics_times_and_status_are_those_of_the_row(exported, experiment):
    for run_id, run in experiment.runs.items():
        row = rows_of(exported)[run_id]
        for name in METRICS:
            assert run.data.metrics[f"final/{name}"] == row[f"metric.{name}"]
        assert run.info.status == "FINISHED"
        assert run.info.start_time == pytest.approx(1000 * row["started_at"].timestamp(), abs=1)
        assert run.info.end_time == pytest.approx(1000 * row["ended_at"].timestamp(), abs=1)


def test_a_configuration_has_the_mean_over_its_seeds(exported, experiment):
    values = collections.defaultdict(list)
    for row in rows_of(exported).values():
        values[row["configuration_id"]].append(row["metric.train_loss"])
    for run in experiment.parents:
        of_seeds = values[run.data.tags["raysweep.configuration_id"]]
        assert run.data.metrics["mean/train_loss"] == pytest.approx(statistics.fmean(of_seeds))
        assert run.data.metrics["std/train_loss"] == pytest.approx(statistics.stdev(of_seeds))
        assert run.info.status == "FINISHED"


def test_tags_are_those_of_the_sweep(experiment):
    assert experiment.about.tags["mlflow.note.content"] == "two walks"
    for run in (*experiment.runs.values(), *experiment.parents):
        assert run.data.tags["draft"] == run.data.tags["c__"] == "true"
        assert run.data.tags["raysweep.sweep"] == "watched"


def test_further_seeds_join_their_configuration(tmp_path, database):
    trained(tmp_path).export_mlflow(database, "seeds")
    results = trained(tmp_path, seeds=3)
    assert results.export_mlflow(database, "seeds") == 6
    experiment = Experiment(database, "seeds")
    assert experiment.curves() == curves_of(results)
    assert len(experiment.parents) == 2
    for run in experiment.parents:
        history = experiment.client.get_metric_history(run.info.run_id, "mean/train_loss")
        assert [point.step for point in history] == [2, 3]  # the number of seeds


def test_a_run_that_was_trained_again_replaces_its_earlier_result(tmp_path, database):
    trained(tmp_path).export_mlflow(database, "again")
    before = {run_id: run.info.run_id for run_id, run in Experiment(database, "again").runs.items()}
    raysweep.run(SWEEP, store=tmp_path, inline=True, again="seed = 1")
    results = raysweep.open(tmp_path, "watched")
    results.export_mlflow(database, "again")
    experiment = Experiment(database, "again")
    assert experiment.curves() == curves_of(results)
    replaced = {
        rows_of(results)[run_id]["seed"]
        for run_id, run in experiment.runs.items()
        if run.info.run_id != before[run_id]
    }
    assert replaced == {1}


@pytest.mark.parametrize("requests", [1, 2, 4, 9])
def test_what_an_interrupted_export_left_is_completed(store, database, monkeypatch, requests):
    results, name, left = raysweep.open(store, "watched"), f"interrupted-{requests}", requests
    log_batch = mlflow.MlflowClient.log_batch

    def interrupted(*arguments, **options):
        nonlocal left
        left -= 1
        if left < 0:
            raise mlflow.exceptions.MlflowException("the server is being restarted")
        return log_batch(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", interrupted)
        with pytest.raises(raysweep.TrackerError, match="the server is being restarted"):
            results.export_mlflow(database, name)
    results.export_mlflow(database, name)
    experiment = Experiment(database, name)
    assert experiment.curves() == curves_of(results)
    assert {run.info.status for run in experiment.runs.values()} == {"FINISHED"}
    assert len(list(experiment.histories(["final/train_loss"]))) == 4
    assert [run.data.metrics["mean/train_loss"] > 0 for run in experiment.parents] == [True] * 2


def test_a_run_without_the_mark_of_its_end_gets_it(store, database):
    results = raysweep.open(store, "watched")
    results.export_mlflow(database, "killed")
    experiment = Experiment(database, "killed")
    for run in experiment.runs.values():
        experiment.client.delete_tag(run.info.run_id, "raysweep.result")
    results.export_mlflow(database, "killed")
    experiment = Experiment(database, "killed")
    assert experiment.curves() == curves_of(results)
    assert len(list(experiment.histories(["final/train_loss"]))) == 4


def test_a_label_that_changes_renames_runs(tmp_path, database):
    trained(tmp_path).export_mlflow(database, "labels")
    results = trained(tmp_path, estimators={"new": {"estimator": "straight_through"}})
    results.export_mlflow(database, "labels")
    experiment = Experiment(database, "labels")
    names = [run.info.run_name for run in (*experiment.runs.values(), *experiment.parents)]
    assert len(names) == 6
    assert all(name.startswith("new · a walk") for name in names)


def test_runs_that_did_not_end_well_say_so(tmp_path, database):
    trouble = tmp_path / "trouble.json"
    trouble.write_text('{"raise": [0], "nan": [1]}')
    task = {"task": "toy", "steps": 20, "trouble": str(trouble)}
    results = trained(tmp_path / "store", tasks={"walk": task}, resources={"max_failures": 1})
    results.export_mlflow(database, "trouble")
    runs = Experiment(database, "trouble").runs
    by_seed = {(rows_of(results)[run_id]["seed"]): run for run_id, run in runs.items()}
    assert {run.info.status for run in runs.values()} == {"FAILED"}
    assert "unlucky" in by_seed[0].data.tags["error"]
    assert by_seed[1].data.tags["raysweep.status"] == "diverged"


def test_the_command_writes_a_database_into_a_folder(store, tmp_path, monkeypatch, database):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    shutil.copy(database.removeprefix("sqlite:///"), "runs/mlflow.db")  # with its tables
    words = ["export", "watched", "--store", str(store), "--mlflow", "runs", "--experiment", "x"]
    output = CliRunner().invoke(cli, words, standalone_mode=False).output
    assert "4 runs in experiment x; look at them with 'mlflow ui" in output
    assert f"sqlite:///{tmp_path}/runs/mlflow.db'" in output
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_points_of_runs_that_train_are_followed(tmp_path, database, slices):
    store, seen = tmp_path / "store", []
    follower = follower_of(store, open_mlflow, database, "followed")

    def look(progress):
        if progress.get("step", 0) == 16:
            follower.follow()
            experiment = Experiment(database, "followed")
            seen.append({run.info.status for run in experiment.runs.values()})
            assert experiment.curves() == stored(store)

    drive(store, Watcher(look), **SMALL)
    assert seen == [{"RUNNING"}, {"RUNNING", "FINISHED"}]  # two packs
    follower.follow()
    experiment = Experiment(database, "followed")
    assert experiment.curves() == stored(store)
    assert {run.info.status for run in experiment.runs.values()} == {"FINISHED"}
    for run in experiment.parents:
        history = experiment.client.get_metric_history(run.info.run_id, "mean/train_loss")
        assert history[-1].step == 2  # as one with both seeds at once may have had one before


def test_a_session_that_resumes_repeats_no_point(tmp_path, database, slices):
    def look(progress):
        follower.follow()
        if progress.get("step", 0) > 12:
            raise Stopped

    store = tmp_path / "store"
    follower = follower_of(store, open_mlflow, database, "resumed")
    with pytest.raises(Stopped):
        drive(store, Watcher(look), **SMALL)
    drive(store, Watcher(), **SMALL)
    follower_of(store, open_mlflow, database, "resumed").follow()
    assert Experiment(database, "resumed").curves() == stored(store)


def test_the_file_names_a_database(tmp_path, database):
    watcher = Watcher()
    drive(tmp_path, watcher, name="by-file", tracker={"mlflow": database})
    runs = Experiment(database, "by-file").runs
    assert runs.keys() == rows_of(raysweep.open(tmp_path, "by-file")).keys()
    assert f"tracker: MLflow, experiment by-file in {database}" in watcher.lines


@pytest.fixture
def server(database, monkeypatch, tmp_path):
    """The application of MLflow's server, on the database of the tests."""
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", database)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path))
    application = pytest.importorskip("mlflow.server", reason="MLflow's server lacks a package")
    running = make_server("127.0.0.1", 0, application.app, threaded=True)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.filterwarnings("ignore")  # of the server's own code
def test_a_server_gets_what_a_database_gets(store, server, capfd):
    results = raysweep.open(store, "watched")
    results.export_mlflow(server, "served")
    results.export_mlflow(server, "served")
    assert "http" not in capfd.readouterr().out  # two lines for every run
    experiment = Experiment(server, "served")
    assert experiment.curves() == curves_of(results)
    assert len(experiment.parents) == 2


def test_a_server_that_does_not_answer_is_one_line(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(raysweep.TrackerError, match=r"127\.0\.0\.1:9: its server does not answer"):
        raysweep.open(store, "watched").export_mlflow("http://user:secret@127.0.0.1:9")


def test_a_deleted_experiment_is_refused(store, database, exported):
    client = mlflow.MlflowClient(tracking_uri=database)
    client.delete_experiment(client.create_experiment("deleted"))
    with pytest.raises(raysweep.SpecError, match=r"'deleted' .* is deleted; restore it"):
        exported.export_mlflow(database, "deleted")

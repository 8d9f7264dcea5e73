"""Event files hold what the store holds: curves, settings and final metrics of each run."""

import json

import pytest
from click.testing import CliRunner
from tracker_helpers import (
    SWEEP,
    curves_of,
    event_files,
    scalar_values,
    scalars_of,
    times_of,
    trained,
)

import raysweep
from raysweep.cli.main import cli
from raysweep.trackers import event_file


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
    """The folder of the event files."""
    assert results.export_tensorboard(tmp_path / "events") == 4
    return tmp_path / "events"


def test_each_run_has_a_folder_of_its_configuration_and_seed(results, folder):
    rows = results.runs().to_pylist()
    expected = {
        f"ST - a walk/lr={row['param.training.lr']} {row['configuration_id'][:8]}/seed{row['seed']}"
        for row in rows
    }
    found = {file.parent.relative_to(folder).as_posix() for file in event_files(folder).values()}
    assert found == expected


def test_a_label_makes_no_folder_outside(tmp_path):
    results = trained(tmp_path / "store", estimators={"../ST": {"estimator": "straight_through"}})
    results.export_tensorboard(tmp_path / "events")
    assert {path.name for path in (tmp_path / "events").iterdir()} == {
        "_ST - a walk",
        "raysweep.jsonl",
    }


def test_tensorboard_reads_the_curves_that_are_stored(results, folder):
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_the_time_of_a_point_is_the_start_of_the_run_plus_its_training(results, folder):
    times = times_of(results)
    for (run_id, tag, step), (event,) in scalars_of(folder).items():
        if not tag.startswith("final/"):
            assert event.wall_time == pytest.approx(times[run_id, step], abs=1e-3)


def test_settings_and_final_metrics_are_hyperparameters(results, folder):
    row = results.runs().to_pylist()[0]
    (final,) = scalars_of(folder)[row["run_id"], "final/train_loss", row["steps"]]
    assert final.value == pytest.approx(row["metric.train_loss"], rel=1e-6)
    contents = b"".join(
        value.metadata.plugin_data.content
        for event, _ in event_file.events(event_files(folder)[row["run_id"]])
        for value in event.summary.value
    )
    assert b"final/train_loss" in contents
    assert all(name in contents for name in (b"lr", b"noise", b"seed", b"a walk"))


def test_exporting_again_changes_nothing(results, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert results.export_tensorboard(folder) == 4
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_exporting_again_adds_the_runs_of_further_seeds(tmp_path):
    trained(tmp_path / "store").export_tensorboard(tmp_path / "events")
    before = {path: path.read_bytes() for path in event_files(tmp_path / "events").values()}
    results = trained(tmp_path / "store", seeds=3)
    assert results.export_tensorboard(tmp_path / "events") == 6
    assert scalar_values(tmp_path / "events") == pytest.approx(curves_of(results), rel=1e-6)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_that_was_trained_again_replaces_its_earlier_result(tmp_path):
    trained(tmp_path / "store").export_tensorboard(tmp_path / "events")
    before = {path: path.read_bytes() for path in event_files(tmp_path / "events").values()}
    raysweep.run(SWEEP, store=tmp_path / "store", inline=True, again="seed = 1")
    results = raysweep.open(tmp_path / "store", "watched")
    results.export_tensorboard(tmp_path / "events")
    assert scalar_values(tmp_path / "events") == pytest.approx(curves_of(results), rel=1e-6)
    changed = {path for path in before if path.read_bytes() != before[path]}
    assert {path.parent.name for path in changed} == {"seed1"}


def test_a_run_with_a_new_label_moves(tmp_path):
    trained(tmp_path / "store").export_tensorboard(tmp_path / "events")
    results = trained(tmp_path / "store", estimators={"new": {"estimator": "straight_through"}})
    results.export_tensorboard(tmp_path / "events")
    assert [path.name for path in (tmp_path / "events").iterdir() if path.is_dir()] == [
        "new - a walk"
    ]
    assert scalar_values(tmp_path / "events") == pytest.approx(curves_of(results), rel=1e-6)


@pytest.mark.parametrize("left", ["half an event", "all but the ledger's last line", "half a line"])
def test_what_a_killed_export_left_is_completed(results, folder, left):
    ledger, (file, *_) = folder / "raysweep.jsonl", event_files(folder).values()
    lines = ledger.read_text().splitlines(keepends=True)
    of_run = [line for line in lines[1:] if json.loads(line)["run"] in file.name]
    others = [line for line in lines if line not in of_run]
    if left == "half an event":
        file.write_bytes(file.read_bytes()[:-200])
        ledger.write_text("".join([*others, of_run[0]]))
    elif left == "half a line":
        ledger.write_text("".join([*others, of_run[0], of_run[1][:20]]))
    else:
        ledger.write_text("".join([*others, of_run[0]]))
    results.export_tensorboard(folder)
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)
    assert sorted(ledger.read_text().splitlines()) == sorted(line.strip() for line in lines)


@pytest.mark.parametrize("kind", ["file", "full"])
def test_a_folder_that_is_in_use_is_refused(store, tmp_path, kind):
    if kind == "file":
        (tmp_path / "events").write_text("")
    else:
        (tmp_path / "events" / "others").mkdir(parents=True)
    words = ["export", "watched", "--store", str(store)]
    result = CliRunner().invoke(cli, [*words, "--tensorboard", str(tmp_path / "events")])
    assert isinstance(result.exception, raysweep.SpecError)
    assert result.exception.field == "tensorboard"


def test_a_folder_with_runs_of_another_sweep_is_refused(folder, tmp_path):
    other = trained(tmp_path / "store", name="other")
    with pytest.raises(raysweep.SpecError, match="has the runs of the sweep 'watched'"):
        other.export_tensorboard(folder)


def test_a_full_disk_is_one_line(results, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(event_file, "append", full)
    with pytest.raises(raysweep.TrackerError, match=r"cannot write to .*: No space left on device"):
        results.export_tensorboard(tmp_path / "events")


def test_the_command_says_how_to_look_at_them(store, tmp_path):
    words = ["export", "watched", "--store", str(store), "--tensorboard", str(tmp_path / "events")]
    output = CliRunner().invoke(cli, words, standalone_mode=False).output
    assert "4 runs; look at them with 'tensorboard --logdir" in output

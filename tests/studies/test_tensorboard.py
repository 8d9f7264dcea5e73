"""Event files hold what the store holds: curves, settings and final metrics of each run."""

import struct

import pytest
from click.testing import CliRunner
from tensorboardX.proto.event_pb2 import Event

import raysweep
from raysweep.cli.main import cli

SWEEP = {
    "name": "watched",
    "tasks": {"a walk": {"task": "toy", "steps": 20}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    raysweep.run(SWEEP, store=folder, inline=True)
    return folder


@pytest.fixture
def folder(store, tmp_path):
    """The folder of the event files."""
    assert raysweep.open(store, "watched").export_tensorboard(tmp_path / "events") == 4
    return tmp_path / "events"


def events(path):
    """The events in the files of a folder."""
    for file in sorted(path.rglob("events*")):
        data = file.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def scalars(path):
    return {
        (value.tag, event.step): value.simple_value
        for event in events(path)
        for value in event.summary.value
        if value.HasField("simple_value")
    }


def test_each_run_has_a_folder_of_its_configuration_and_seed(store, folder):
    rows = raysweep.open(store, "watched").runs().to_pylist()
    expected = {f"{row['configuration_id']}-seed{row['seed']}" for row in rows}
    assert {path.name for path in (folder / "ST - a walk").iterdir()} == expected


def test_curves_are_scalars_at_their_steps(store, folder):
    results = raysweep.open(store, "watched")
    rows = {row["run_id"]: row for row in results.runs().to_pylist()}
    for point in results.curves().to_pylist():
        row = rows[point["run_id"]]
        name = f"{row['configuration_id']}-seed{row['seed']}"
        shown = scalars(folder / "ST - a walk" / name)[("train_loss", point["step"])]
        assert shown == pytest.approx(point["train_loss"], rel=1e-6)


def test_settings_and_final_metrics_are_hyperparameters(store, folder):
    row = raysweep.open(store, "watched").runs().to_pylist()[0]
    path = folder / "ST - a walk" / f"{row['configuration_id']}-seed{row['seed']}"
    final = scalars(path)[("final/train_loss", row["steps"])]
    assert final == pytest.approx(row["metric.train_loss"], rel=1e-6)
    contents = b"".join(
        value.metadata.plugin_data.content
        for event in events(path)
        for value in event.summary.value
    )
    assert b"training.lr" in contents
    assert b"task.noise" in contents


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


def test_the_command_says_how_to_look_at_them(store, tmp_path):
    words = ["export", "watched", "--store", str(store), "--tensorboard", str(tmp_path / "events")]
    output = CliRunner().invoke(cli, words, standalone_mode=False).output
    assert "4 runs; look at them with 'tensorboard --logdir" in output

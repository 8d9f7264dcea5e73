"""Trackers that follow a sweep show what the store has: while it runs, after kills, once each."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from tracker_helpers import (
    SMALL,
    SWEEP,
    Stopped,
    Watcher,
    curves_of,
    drive,
    event_files,
    follower_of,
    rows_of,
    scalar_values,
    scalars_of,
    stored,
    trained,
)

import raysweep
from raysweep.driver import session
from raysweep.store.sweep_store import SweepStore
from raysweep.trackers import event_file, opening
from raysweep.trackers.opening import open_tensorboard

EVENTS = {"tensorboard": None}


def test_event_files_grow_with_the_curves(tmp_path, slices):
    folder, sizes = tmp_path / "events", []
    follower = follower_of(tmp_path / "store", open_tensorboard, folder)

    def look(progress):
        if "began" not in progress:
            follower.follow()
            assert scalar_values(folder) == pytest.approx(stored(tmp_path / "store"), rel=1e-6)
            sizes.append(len(scalars_of(folder)))

    drive(tmp_path / "store", Watcher(look), **SMALL)
    assert len(set(sizes)) > 6  # two packs, each with three reports before its end
    follower.follow()
    results = raysweep.open(tmp_path / "store", "watched")
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_what_was_followed_is_what_is_exported_afterwards(tmp_path, slices):
    follower = follower_of(tmp_path / "store", open_tensorboard, tmp_path / "live")
    drive(tmp_path / "store", Watcher(lambda progress: follower.follow()), **SMALL)
    follower.follow()
    raysweep.open(tmp_path / "store", "watched").export_tensorboard(tmp_path / "later")
    live, later = (scalars_of(tmp_path / name) for name in ("live", "later"))
    assert live == later


def test_a_session_that_resumes_repeats_no_point(tmp_path, slices):
    def look(progress):
        follower.follow()
        if progress.get("step", 0) > 12:
            raise Stopped

    follower = follower_of(tmp_path / "store", open_tensorboard, tmp_path / "events")
    with pytest.raises(Stopped):
        drive(tmp_path / "store", Watcher(look), **SMALL)
    before = scalar_values(tmp_path / "events")
    assert {step for _, _, step in before} == {5, 10}
    drive(tmp_path / "store", Watcher(), **SMALL)
    follower_of(tmp_path / "store", open_tensorboard, tmp_path / "events").follow()
    after = scalar_values(tmp_path / "events")
    assert after == pytest.approx(stored(tmp_path / "store"), rel=1e-6)
    assert before.items() <= after.items()


def test_a_file_that_is_written_again_with_more_rows_is_read_again(tmp_path, slices):
    """A worker that resumes removes files after its checkpoint, and may write longer ones."""
    store = tmp_path / "store"

    def look(progress):
        follower.follow()
        if progress.get("step", 0) > 16:
            raise Stopped

    follower = follower_of(store, open_tensorboard, tmp_path / "events")
    with pytest.raises(Stopped):
        drive(store, Watcher(look), **SMALL)
    whole = stored(store)
    files = SweepStore(str(store), "watched").files
    name = next(name for name in files.names("curves") if name.endswith("-5.parquet"))
    files.write_table(name, SweepStore(str(store), "watched").curves())
    follower.follow()
    assert scalar_values(tmp_path / "events") == pytest.approx(whole, rel=1e-6)


def test_the_file_names_a_tracker_whose_files_are_beside_the_sweep(tmp_path):
    watcher = Watcher()
    drive(tmp_path, watcher, tracker="tensorboard")
    results = raysweep.open(tmp_path, "watched")
    folder = tmp_path / "watched" / "tensorboard"
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)
    assert f"tracker: event files for TensorBoard in {folder}" in watcher.lines


def test_a_folder_that_the_file_names_has_one_for_each_sweep(tmp_path):
    results = trained(tmp_path / "store", tracker={"tensorboard": str(tmp_path / "logs")})
    folder = tmp_path / "logs" / "watched"
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_a_tracker_changes_no_run(tmp_path):
    plain = rows_of(trained(tmp_path))
    assert rows_of(trained(tmp_path, tracker="tensorboard")) == plain


def test_a_session_without_missing_runs_writes_what_a_tracker_lacks(tmp_path):
    results = trained(tmp_path)
    trained(tmp_path, tracker="tensorboard")
    folder = tmp_path / "watched" / "tensorboard"
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_further_seeds_are_added(tmp_path):
    trained(tmp_path, tracker="tensorboard")
    results = trained(tmp_path, tracker="tensorboard", seeds=3)
    folder = tmp_path / "watched" / "tensorboard"
    assert len(event_files(folder)) == 6
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_a_tracker_that_fails_is_one_warning_and_catches_up(tmp_path, monkeypatch, caplog, slices):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("raysweep.trackers.live.LOCAL_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(event_file, "append", full)
        ended = drive(tmp_path, Watcher(lambda _: time.sleep(0.01)), tracker=EVENTS, **SMALL)
    assert (ended.exit_code, ended.missing) == (0, 0)
    (record,) = caplog.records
    assert record.getMessage().startswith("tracker tensorboard does not take runs: cannot write to")
    assert "No space left on device; the sweep continues" in record.getMessage()
    results = trained(tmp_path, tracker=EVENTS)
    folder = tmp_path / "watched" / "tensorboard"
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)


def test_a_tracker_that_hangs_does_not_hold_the_end(tmp_path, monkeypatch, caplog):
    released = threading.Event()
    monkeypatch.setattr("raysweep.trackers.live.LAST_S", 0.05)
    monkeypatch.setattr(opening, "open_tensorboard", lambda *_: released.wait(60))
    assert drive(tmp_path, Watcher(), tracker="tensorboard").exit_code == 0
    released.set()
    (record,) = caplog.records
    assert "tensorboard has not taken the last runs" in record.getMessage()


def test_a_bucket_needs_a_folder(tmp_path):
    bucket = SimpleNamespace(is_local=False, uri="s3://lab/sweeps/watched")
    spec = session.load({**SWEEP, "tracker": "tensorboard"})
    with pytest.raises(raysweep.SpecError, match="s3://lab/sweeps/watched is no local folder; wri"):
        opening.live(spec, bucket)
    spec = session.load({**SWEEP, "tracker": {"tensorboard": str(tmp_path)}})
    assert [tracker.kind for tracker in opening.live(spec, bucket)] == ["tensorboard"]


def test_a_folder_with_other_files_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "logs" / "watched" / "other").mkdir(parents=True)
    with pytest.raises(raysweep.SpecError, match=r"tracker: .* files that raysweep did not write"):
        trained(tmp_path / "store", tracker={"tensorboard": str(tmp_path / "logs")})
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_missing_extra_is_one_line_with_the_command(tmp_path, monkeypatch, name, is_folder):
    folder = SimpleNamespace(origin=None)  # W&B leaves a folder `wandb`, which is no package
    monkeypatch.setattr("importlib.util.find_spec", lambda _: folder if is_folder else None)
    line = rf"{name} is not installed; run `pip install 'raysweep\[{name}\]'`"
    with pytest.raises(raysweep.SpecError, match=f"tracker: {line}"):
        trained(tmp_path, tracker=name)
    assert not list(tmp_path.iterdir())


DRIVER = """
import sys
from raysweep.cli.main import main
from raysweep.engine import pack, work
from raysweep.trackers import live

pack.CHECKPOINT_SHARE, work.SLICE_S, live.LOCAL_S = 0, 0.0, 0.1  # a state after each step
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_driver_is_caught_up_with_and_nothing_is_doubled(tmp_path):
    trouble = tmp_path / "trouble.json"
    trouble.write_text(json.dumps({"hang": [0], "at": 14}))  # after two points of each run
    toy = {"task": "toy", "steps": 20, "report_every": 5, "trouble": str(trouble)}
    sweep = {
        **SWEEP,
        "tasks": {"a walk": toy},
        "tracker": "tensorboard",
        "resources": {"checkpoint_s": 0},
    }
    file, folder = tmp_path / "sweep.json", tmp_path / "watched" / "tensorboard"
    file.write_text(json.dumps(sweep))
    words = ["run", str(file), "--inline", "--store", str(tmp_path)]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words], stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        until = time.time() + 180  # where nothing is written at all
        while not (folder.exists() and len(scalar_values(folder)) >= 16):
            assert driver.poll() is None
            assert time.time() < until
            time.sleep(0.1)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    (torn, *_) = event_files(folder).values()
    torn.write_bytes(torn.read_bytes()[:-5])  # as if the kill had come during a write
    trouble.unlink()
    results = raysweep.run(sweep, store=tmp_path, inline=True)
    assert scalar_values(folder) == pytest.approx(curves_of(results), rel=1e-6)

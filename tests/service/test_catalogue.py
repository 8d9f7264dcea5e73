"""The sweeps of a store in memory: new, changed, damaged and removed ones."""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from service_helpers import file_of

import raysweep
from raysweep.results.status import sweep_status
from raysweep.service.catalogue import Catalogue
from raysweep.service.sweeps import NoSuchSweep
from raysweep.store import sweep_paths
from raysweep.store.files import Files


def train(store, tmp_path, name="walks", seeds=2):
    path = tmp_path / "sweep.yaml"
    path.write_text(file_of(name, seeds))
    raysweep.run(path, store=store, inline=True, quiet=True)


@pytest.fixture
def store(tmp_path):
    """A store with one sweep of the command line."""
    train(tmp_path / "store", tmp_path)
    return tmp_path / "store"


def listed(catalogue):
    catalogue._listed_at = float("-inf")
    catalogue.poll()
    return [entry.name for entry in catalogue.entries()]


def test_sweeps_appear_and_go_with_their_folders(store, tmp_path):
    catalogue = Catalogue(Files(store))
    assert listed(catalogue) == ["walks"]
    train(store, tmp_path, "others")
    assert listed(catalogue) == ["others", "walks"]
    shutil.rmtree(store / "walks")
    assert listed(catalogue) == ["others"]


@pytest.mark.parametrize("name", ["notes", ".service", "UPPER"])
def test_folders_that_are_no_sweeps_are_left_out(store, name):
    (store / name).mkdir()
    assert listed(Catalogue(Files(store))) == ["walks"]


def test_a_sweep_that_does_not_change_is_not_read_again(store, monkeypatch):
    catalogue = Catalogue(Files(store))
    catalogue.poll()
    monkeypatch.setattr(catalogue, "refresh", lambda name: pytest.fail("read again"))
    catalogue.poll()


def test_a_sweep_that_changed_is_read_again(store, tmp_path):
    catalogue = Catalogue(Files(store))
    catalogue.poll()
    train(store, tmp_path, seeds=3)
    monotonic = time.monotonic
    (entry,) = catalogue.entries()
    while monotonic() - entry.refreshed_at < 11 * entry.cost_s:
        time.sleep(0.01)
    catalogue.poll()
    (entry,) = catalogue.entries()
    assert entry.runs["done"] == 6


@pytest.mark.parametrize("file", [sweep_paths.SPEC, sweep_paths.SUBMISSION])
def test_a_damaged_sweep_is_listed_with_its_problem(users, file):
    users.submit()
    users.step()
    users.drive()
    users.step()
    Path(users.service.store.root, "walks", file).write_text("{")
    users.service.catalogue.refresh("walks")
    answer = users.client("vera").get("sweeps")
    assert answer.status_code == 200
    assert file in answer.json()[0]["problem"]


def test_a_missing_sweep_names_those_that_there_are(users):
    users.submit()
    with pytest.raises(NoSuchSweep, match=r"got 'walk'; did you mean 'walks'\?"):
        users.service.sweeps.entry("walk")


def test_after_a_restart_counts_are_known_before_the_files_are_read(users):
    users.submit()
    users.step()
    users.drive()
    users.step()
    catalogue = Catalogue(users.service.store)
    entry = catalogue.refresh("walks", runs=False)
    assert (entry.status, entry.state, entry.runs["done"]) == (None, "done", 4)


def test_a_large_sweep_is_continued_without_a_reading_of_its_runs(users, monkeypatch):
    users.submit()
    users.step()
    users.drive()
    users.step()

    def fail(*args):
        pytest.fail("the runs were read")

    monkeypatch.setattr("raysweep.service.catalogue.sweep_status", fail)
    sweep = users.client("ada").post("sweeps/walks/resume").json()
    assert (sweep["state"], sweep["runs"]["done"]) == ("queued", 4)


def test_a_reading_that_takes_long_keeps_what_was_submitted_meanwhile(users, monkeypatch):
    users.submit()
    users.step()
    users.drive()
    users.step()
    catalogue, reading = users.service.catalogue, sweep_status

    def slow(uri, name):
        monkeypatch.undo()
        users.client("ada").post("sweeps/walks/resume")
        return reading(uri, name)

    monkeypatch.setattr("raysweep.service.catalogue.sweep_status", slow)
    assert catalogue.refresh("walks").state == "queued"


def test_the_pace_of_a_sweep_leaves_out_the_time_before_anything_trained(store):
    catalogue = Catalogue(Files(store))
    seen = [(0, 0.0), (100, 0.0), (200, 0.0), (210, 1.0), (220, 2.0)]
    entries = [
        SimpleNamespace(name="a", state="running", refreshed_at=at, work=work) for at, work in seen
    ]
    assert [catalogue._rate(entry) for entry in entries] == [None, None, None, 0.1, 0.1]

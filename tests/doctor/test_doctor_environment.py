"""The environment, and all sweeps of a store."""

import subprocess
import sys

import doctor_helpers as do
import pytest

from raysweep.doctor import environment
from raysweep.doctor.environment import compared, versions
from raysweep.doctor.sweep import sweeps_of
from raysweep.store.files import Files


@pytest.fixture
def data(tmp_path):
    """An empty data folder."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def examine(store, data, **options):
    return environment.examine(Files(store), str(data), **options)


def test_versions_devices_store_and_data_are_said(ended, doctor, data):
    code, out, _ = doctor("--data", data)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"Python {sys.version.split()[0]}, raysweep ")
    assert [line.partition(":")[0] for line in lines[1:]] == [
        *("devices", "data", "Ray", "store", "toys")
    ]


def test_every_sweep_of_the_store_is_looked_at(cut, doctor, data):
    do.broken_state(cut)
    code, out, _ = doctor("--data", data)
    assert code == 1
    assert "\ncut: 1 thing is wrong (" in out
    assert out.count(": healthy (") == 3


def test_every_sweep_of_the_store_is_mended(cut, doctor, data):
    do.broken_state(cut)
    code, out, _ = doctor("--data", data, "--fix")
    assert code == 0
    assert "\ncut: mended (" in out


def test_data_sets_that_are_not_at_hand_are_said_and_not_downloaded(tmp_path, data):
    facts = examine(tmp_path / "store", data).facts
    (text,) = [each for each in facts if each.startswith("data: ")]
    assert "digits, points; downloaded by the first sweep that needs them: mnist" in text
    assert "cifar10_subset, cifar100; not there" in text
    assert text.endswith("; not there, and not for download: cifar10_jpeg, imagenet16")
    assert not list(data.iterdir())


def test_a_damaged_data_set_is_a_finding(tmp_path, data):
    (data / "Omniglot").mkdir()
    (data / "Omniglot" / "chardata.mat").write_bytes(b"")
    (finding,) = examine(tmp_path / "store", data).findings
    assert finding.text.startswith("omniglot_burda: ")
    assert "fetch" in finding.text or "get it again" in finding.text


def test_looking_at_a_store_that_is_not_there_creates_nothing(tmp_path, data):
    found = examine(tmp_path / "a" / "store", data)
    assert not found.findings
    assert any("does not exist yet" in each for each in found.facts)
    assert not (tmp_path / "a").exists()


def test_a_store_that_cannot_be_written_to_is_a_finding(tmp_path, data):
    (tmp_path / "file").write_text("")
    (finding,) = examine(tmp_path / "file" / "store", data).findings
    assert "cannot be written to; name another store by --store" in finding.text


def test_a_disk_that_is_nearly_full_is_a_finding(ended, data, monkeypatch):
    monkeypatch.setattr(environment, "LEAST_BYTES", 2**80)
    (finding,) = examine(ended.store.uri, data).findings
    assert "are free, and a sweep stops when the disk is full" in finding.text


def test_the_store_is_left_as_it_was(ended, data):
    before = do.contents(ended.store.root)
    examine(ended.store.uri, data)
    assert do.contents(ended.store.root) == before


def test_a_package_that_is_missing_is_a_finding(tmp_path, data, monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("raysweep", "no_such_package"))
    (finding,) = examine(tmp_path / "store", data).findings
    assert finding.text.startswith("no_such_package: not installed; install raysweep with")


def test_nodes_with_other_versions_are_findings():
    here = versions()
    other, error = {**here, "torch": "0"}, "No module named 'raysweep'"
    nodes = {"node a": here, "node b": other, "node c": error}
    texts = [each.text for each in compared(nodes)]
    assert texts == [
        f"node b: has torch 0 instead of {here['torch']}; install the same versions on every node",
        "node c: cannot run raysweep: No module named 'raysweep'; install it there",
    ]


def test_a_folder_with_results_but_no_spec_counts_as_a_sweep(ended):
    ended.files.remove("spec.json")
    (do.Path(ended.store.root) / "other").mkdir()
    assert sweeps_of(ended.store) == ["toys"]


@pytest.mark.ray
def test_the_nodes_of_ray_are_asked_for_their_versions(tmp_path, data, shared_ray):
    found = examine(tmp_path / "store", data, start_ray=True)
    assert "Ray: starts" in found.facts
    assert not found.findings


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_a_finding(tmp_path):
    command = [sys.executable, "-m", "raysweep.cli.main", "doctor", "--address", "127.0.0.1:1"]
    ended = subprocess.run(
        [*command, "--store", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "cannot connect to a Ray cluster at 127.0.0.1:1: " in ended.stdout

"""Every row tells what trained it: version, commit, torch, device, class of machine, times."""

import getpass
import json
import platform
import socket
import subprocess

import pytest
import torch
from test_engine_trouble import stopped_after

import raysweep
from raysweep.engine import origin, work
from raysweep.engine import pack as pack_engine
from raysweep.engine.machine import machine
from raysweep.store import checkpoints

KNOWN = ("version", "torch", "python", "host", "device", "started_at", "ended_at")
INTEL = "processor : 0\nmodel name\t: Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz\nmodel name\t: x\n"


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit, in which commands run."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git(folder, "init")
    (folder / "sweep.yaml").write_text("name: a\n")
    git(folder, "add", "sweep.yaml")
    git(folder, "commit", "-m", "one")
    return folder


def failed_row(results):
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    return row


def test_a_row_tells_what_trained_it_and_when(inline, toy):
    for row in inline(toy()).runs().to_pylist():
        assert row["torch"] == torch.__version__
        assert row["python"] == platform.python_version()
        assert row["host"] == origin.host_class()
        assert row["version"] == origin.installed_version()["version"]
        assert row["started_at"] < row["ended_at"]


def test_the_commit_is_that_of_the_folder_the_command_runs_in(inline, toy, checkout):
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=checkout, text=True)
    rows = inline(toy()).runs().to_pylist()
    assert {(row["git_commit"], row["git_dirty"]) for row in rows} == {(head.strip(), False)}


def test_a_changed_file_makes_the_tree_dirty(inline, toy, checkout):
    (checkout / "sweep.yaml").write_text("name: b\n")
    assert {row["git_dirty"] for row in inline(toy()).runs().to_pylist()} == {True}


def test_a_file_that_git_does_not_know_leaves_the_tree_clean(checkout):
    (checkout / "sweeps").mkdir()
    (checkout / "sweeps" / "rows.parquet").write_text("")
    assert origin.command_origin()["git_dirty"] is False


def test_a_repository_without_a_commit_tells_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init")
    assert origin.command_origin()["git_commit"] is None
    assert origin.command_origin()["git_dirty"] is None


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = origin.command_origin()
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (INTEL, "Intel Xeon Gold 6330"),
        ("model name : AMD EPYC 7763 64-Core Processor\n", "AMD EPYC 7763 64-Core Processor"),
        ("processor : 0\nCPU architecture: 8\n", ""),
    ],
    ids=["intel", "amd", "arm"],
)
def test_a_cpu_model_is_told_without_marks_and_clock(text, model):
    assert origin.cpu_model(text) == model


def test_the_class_of_a_machine_has_no_name_of_host_or_user():
    words = origin.host_class().replace(",", " ").split()
    assert words[0] == platform.machine()
    assert not {socket.gethostname(), getpass.getuser()} & set(words)


def test_a_machine_that_tells_no_model_is_still_a_class(monkeypatch, tmp_path):
    monkeypatch.setattr(origin, "CPUINFO", tmp_path / "none")
    assert origin.host_class.__wrapped__().startswith(f"{platform.machine()}, ")


@pytest.mark.parametrize("at", [0, 7], ids=["at the start", "in training"])
def test_a_failed_run_tells_what_is_known_of_its_attempt(inline, toy, trouble, at):
    trouble.make(**{"raise": [1], "at": at})
    row = failed_row(inline(toy(task=trouble.task, training={"lr": 0.1})))
    assert None not in [row[name] for name in KNOWN]
    assert row["host"] == origin.host_class()
    assert row["started_at"] < row["ended_at"]


def test_a_failed_run_tells_how_long_it_trained(inline, toy, trouble):
    trouble.make(**{"raise": [0], "at": 3})
    row = failed_row(inline(toy({**trouble.task, "delay_s": 0.05}, training={"lr": 0.1}, seeds=1)))
    assert 0.1 < row["seconds"] < 5


@pytest.mark.ray
@pytest.mark.slow
def test_every_row_of_a_cluster_tells_its_worker(shared_ray, tmp_path, toy, trouble):
    trouble.make(**{"die": [1], "raise": [2], "at": 3})
    spec = toy(trouble.task, training={"lr": 0.1}, resources={"pack": 1})
    rows = raysweep.run(spec, store=tmp_path).runs().sort_by("seed").to_pylist()
    assert [row["status"] for row in rows] == ["done", "failed", "failed"]
    for row in rows:
        assert None not in [row[name] for name in (*KNOWN, "seconds")]
        assert row["torch"] == torch.__version__


def test_a_run_that_never_ran_tells_the_version_and_no_machine(inline, toy, checkout):
    racing = {"pruner": "racing", "start": 2}
    rates = {"lr": [0.001, 0.1, 0.3]}
    rows = inline(toy(early_stopping=racing, training=rates, seeds=8)).runs()
    idle = [row for row in rows.to_pylist() if row["status"] == "stopped" and not row["steps"]]
    assert idle
    for row in idle:
        assert None not in (row["version"], row["git_commit"], row["git_dirty"])
        assert {row["device"], row["torch"], row["host"]} == {None}


@pytest.fixture
def resumed(inline, toy, monkeypatch):
    """Rows of a sweep that was stopped and went on elsewhere, and the manifest between."""
    spec = toy({"delay_s": 0.2}, training={"lr": 0.1})
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (manifest,) = checkpoints.in_flight(part.store.files)
    elsewhere = {**machine(), "host": "aarch64, 4 CPUs", "torch": "9.9+cpu"}
    monkeypatch.setattr(pack_engine, "machine", lambda: elsewhere)
    monkeypatch.setattr(work, "machine", lambda: elsewhere)
    return inline(spec).runs().to_pylist(), manifest


def test_a_resumed_run_tells_the_machine_where_it_ended(resumed):
    rows, manifest = resumed
    assert manifest.machine["host"] == origin.host_class()
    assert {(row["host"], row["torch"]) for row in rows} == {("aarch64, 4 CPUs", "9.9+cpu")}


def test_a_resumed_run_tells_its_first_start(resumed):
    rows, manifest = resumed
    assert {row["started_at"].isoformat() for row in rows} == {manifest.started_at}


def test_a_manifest_of_an_older_version_goes_on(inline, toy, monkeypatch):
    spec = toy({"delay_s": 0.2}, training={"lr": 0.1})
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        files = inline(spec).store.files
    (manifest,) = checkpoints.in_flight(files)
    data = manifest.to_json()
    del data["machine"], data["state_sha256"]
    data["format"] = 1
    name = f"checkpoints/{manifest.pack.pack_id}/manifest.json"
    files.write(name, json.dumps(data).encode())
    rows = inline(spec).runs().to_pylist()
    assert {(row["status"], row["steps_executed"]) for row in rows} == {("done", 20)}

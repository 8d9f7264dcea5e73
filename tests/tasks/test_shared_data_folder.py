"""A data folder that several processes use at the same time."""

import subprocess
import sys

import pytest

from raysweep.tasks import data
from raysweep.tasks.data import npz
from raysweep.tasks.data.base import Source
from raysweep.tasks.data.lock import locked

# Fetches a data set slowly, and fails where another process does it at the same time.
FETCHER = """
import sys, time
from pathlib import Path
import torch
from raysweep.tasks import data
from raysweep.tasks.data.base import Source

root = Path(sys.argv[1])

def fetch(root):
    if at_hand(root):
        return
    with (root / "downloads").open("a") as file:
        file.write("one\\n")
    time.sleep(0.5)
    (root / "file").write_text("1 2")

def at_hand(root):
    return (root / "file").is_file()

def read(root):
    train, test = (root / "file").read_text().split()
    return torch.tensor([[float(train)]]), torch.tensor([[float(test)]])

data.SOURCES = {**data.SOURCES, "slow": Source("slow", 1, 1, 1, None, read, fetch, at_hand)}
(root / sys.argv[2]).touch()
while not all((root / name).exists() for name in "ab"):
    time.sleep(0.01)
print(data.load("slow").train.item())
"""


@pytest.mark.slow
def test_processes_that_start_together_download_a_data_set_once(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FETCHER, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    assert [process.communicate()[0] for process in processes] == ["1.0\n", "1.0\n"]
    assert (tmp_path / "downloads").read_text() == "one\n"


def test_the_lock_of_a_process_that_died_is_free(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from raysweep.tasks.data.lock import locked\n"
        "with locked(Path(sys.argv[1]), 'digits'): os._exit(3)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 3
    with locked(tmp_path, "digits"):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_locked_is_used_without(tmp_path):
    (tmp_path / "file").write_text("")
    with locked(tmp_path / "file", "digits"):
        pass


def test_missing_files_are_fetched_before_they_are_read(tmp_path, monkeypatch):
    """A worker on a node with a data folder of its own needs no driver that prepared it."""
    done = []
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    source = Source(
        "absent",
        *(1, 1, 1, None),
        read=lambda root: done.append("read") or tuple(map(data.torch.ones, ((1, 1), (1, 1)))),
        fetch=lambda root: done.append("fetch"),
        at_hand=lambda root: "fetch" in done,
    )
    monkeypatch.setattr(data, "SOURCES", {**data.SOURCES, "absent": source})
    data.load("absent")
    assert done == ["fetch", "read"]


def test_a_file_that_was_not_copied_to_a_node_is_no_failure_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"needs .*npz, which is not there"):
        npz.source("npz:0123456789abcdef")

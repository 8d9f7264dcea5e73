"""Small sweeps to be damaged, and the command that looks at them."""

import os
import shutil
import time

import pytest
from doctor_helpers import SPEC, STORES

import raysweep
from raysweep.cli.main import main
from raysweep.store.sweep_store import SweepStore


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """A store in which a sweep has ended: four packs of two runs each."""
    folder = tmp_path_factory.mktemp("ran")
    raysweep.run(SPEC, store=folder, inline=True)
    then = time.time() - 1000
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
    return folder


@pytest.fixture
def ended(ran, tmp_path):
    """The sweep of a copy of it."""
    return SweepStore(str(shutil.copytree(ran, tmp_path / "store")), "toys")


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A sweep that was stopped, with one pack in flight."""
    monkeypatch.chdir(tmp_path)
    return SweepStore(str(shutil.copytree(STORES / "2", tmp_path / "store")), "cut")


@pytest.fixture
def old(tmp_path):
    """A copy of the store of the first format."""
    return shutil.copytree(STORES / "1", tmp_path / "store")


@pytest.fixture
def doctor(capsys, tmp_path):
    """Runs the command on the copy; its exit code, output and errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["doctor", *map(str, arguments), "--store", str(tmp_path / "store")])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run

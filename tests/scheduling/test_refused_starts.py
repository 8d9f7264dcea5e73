"""Sessions that are refused before their first run leave no sweep behind."""

import pytest

from raysweep.driver import session
from raysweep.engine import scratch
from raysweep.errors import ClusterError, SpecError
from raysweep.sweepfile.reader import read_spec
from raysweep.tasks import Task

WHERE = {"data": None, "address": None, "inline": True, "progress": None}


def spec_of(**keys):
    return read_spec(
        {
            "name": "refused",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": {"lr": [0.1, 0.2]},
            "seeds": 1,
            **keys,
        }
    )


def test_a_refused_start_leaves_no_folder(tmp_path):
    search = {"sampler": "tpe", "configurations": 2, "from": "other"}
    with pytest.raises(SpecError, match=r"search\.from"):
        session.drive(spec_of(search=search), store=tmp_path / "store", **WHERE)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_start_leaves_no_folder(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Task, "prepare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.drive(spec_of(), store=tmp_path / "store", **WHERE)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_start_keeps_a_store_that_was_there(tmp_path):
    with pytest.raises(SpecError):
        session.drive(spec_of(), store=tmp_path, again="seed = 0", **WHERE)
    assert tmp_path.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_long_folder_of_temporary_files_is_named_where_no_other_can_be_used(monkeypatch):
    long = "/tmp/" + "long" * 10
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: long)
    monkeypatch.setattr(scratch.os, "access", lambda path, mode: path != "/tmp")
    message = r"path of at most 21 characters, got /tmp/long\w+ \(from TMPDIR\).*set TMPDIR"
    with pytest.raises(ClusterError, match=message), scratch.scratch_folder():
        pass

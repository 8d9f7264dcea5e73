"""Long evaluations are made in slices, so that a session can stop in the middle of one."""

import threading
import time

import pytest
from engine_helpers import by_run
from test_engine_trouble import stopped_after

from raysweep.store import checkpoints

LONG = {"evaluation_s": 3.0}


def threads():
    return [one.name for one in threading.enumerate() if one.name == "raysweep-run"]


def test_a_session_stops_within_a_long_evaluation_and_the_next_one_ends_it(
    inline, toy, monkeypatch
):
    whole = by_run(inline(toy(), store="whole"))
    spec = toy(task=LONG)
    began = time.monotonic()
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)  # before the pack, and after a second
        part = inline(spec)
    assert time.monotonic() - began < 2.5
    assert part.runs().num_rows == 0
    (manifest,) = checkpoints.in_flight(part.store.files)
    assert manifest.step == 20
    assert threads() == []
    ended = by_run(inline(spec))
    assert sorted(ended.values()) == sorted(whole.values())


def test_a_worker_reports_while_it_evaluates(inline, toy, monkeypatch):
    """As the watch over hanging workers, and the progress, need it."""
    spec = toy(task=LONG)
    with monkeypatch.context() as patch:
        stopped_after(patch, 10)
        results = inline(spec)
    assert results.runs().num_rows == 6
    assert threads() == []


def test_an_error_of_an_evaluation_fails_its_runs(inline, toy, monkeypatch):
    from raysweep.testing.toy import Walk

    def evaluate(walk):
        raise RuntimeError("no test set")

    monkeypatch.setattr(Walk, "evaluate", evaluate)
    results = inline(toy(training={"lr": 0.1}, seeds=2, resources={"max_failures": 1}))
    assert set(results.runs()["status"].to_pylist()) == {"failed"}
    assert "no test set" in results.runs()["error"][0].as_py()


@pytest.mark.filterwarnings("error")
def test_an_evaluation_that_never_pauses_is_made_at_once(inline, toy):
    assert inline(toy()).runs().num_rows == 6

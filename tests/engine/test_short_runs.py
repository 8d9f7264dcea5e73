"""Sweeps of many short runs under Ray, which trains several of them in one trial."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import raysweep
from raysweep.sweep.packs import Pack

pytestmark = pytest.mark.ray

FEW = 40  # runs, fewer than files of rows that are merged
BAD = 20  # the run that makes trouble: one in the middle, when the others are known to be short


@raysweep.task(metrics={"cost": "min"})
def short(run, *, x: int = 0, trouble: str = "", calls: str = ""):
    """End at once, with some trouble in one run."""
    if calls:
        with Path(calls).open("a") as file:
            file.write(f"{run.seed}\n")
    if run.seed == BAD and trouble == "raise":
        raise RuntimeError("this run is unlucky")
    if run.seed == BAD and trouble == "die":
        os._exit(3)
    if run.seed == BAD and trouble == "hang":
        time.sleep(3600)
    return {"cost": run.seed + x}


@pytest.fixture
def sweep(shared_ray, tmp_path):
    """Runs the function on many seeds; returns its results."""

    def run(seeds=FEW, resources=(), **settings):
        spec = {
            "name": "shorts",
            "tasks": {"t": {"task": "short", **settings}},
            "methods": {"m": {}},
            "seeds": seeds,
            "select": {"metric": "cost", "mode": "min"},
            "resources": {"cpu": 2, **dict(resources)},  # one worker, so that the order is known
        }
        return raysweep.run(spec, store=tmp_path / "store", tasks=[short], quiet=True)

    return run


def ends(results):
    """Status, attempts and cost by seed."""
    rows = results.runs().to_pylist()
    assert len({row["seed"] for row in rows}) == len(rows)
    return {row["seed"]: (row["status"], row["attempts"], row["metric.cost"]) for row in rows}


WELL = {seed: ("done", 1, float(seed)) for seed in range(FEW)}
ALL_BUT_ONE = {seed: end for seed, end in WELL.items() if seed != BAD}


def test_the_rows_of_several_short_runs_are_in_one_file(sweep):
    results = sweep()
    assert ends(results) == WELL
    assert len(results.store.files.names("runs")) < FEW / 2


def test_a_run_that_fails_in_a_batch_fails_alone(sweep):
    found = ends(sweep(trouble="raise"))
    assert found.pop(BAD)[0] == "failed"
    assert found == ALL_BUT_ONE


@pytest.mark.slow
def test_a_run_that_kills_its_worker_in_a_batch_fails_alone(sweep):
    found = ends(sweep(trouble="die"))
    assert found.pop(BAD)[:2] == ("failed", 1)
    assert found == ALL_BUT_ONE


@pytest.mark.slow
def test_a_run_that_hangs_in_a_batch_fails_alone(sweep):
    found = ends(sweep(trouble="hang", resources={"patience_s": 3}))
    assert found.pop(BAD)[:2] == ("failed", 1)
    assert found == ALL_BUT_ONE


SWEEP = """
name: naps
tasks: {t: {task: nap, calls: CALLS}}
methods: {m: {}}
seeds: 400
select: {metric: cost, mode: min}
"""
TASK = """
import time
import raysweep


@raysweep.task(metrics={"cost": "min"})
def nap(run, *, calls: str = ""):
    with open(calls, "a") as file:
        file.write(f"{run.seed}\\n")
    time.sleep(0.02)
    return {"cost": float(run.seed)}
"""


@pytest.fixture
def start(tmp_path):
    """Starts a sweep of naps in a process of its own."""
    (tmp_path / "nap.py").write_text(TASK)
    (tmp_path / "naps.yaml").write_text(SWEEP.replace("CALLS", str(tmp_path / "calls")))

    def begin():
        command = ["run", "naps.yaml", "--code", "nap.py", "--store", "store"]
        return subprocess.Popen(
            [sys.executable, "-m", "raysweep.cli.main", *command],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return begin


def wait_for_calls(tmp_path, process, count):
    """Waits until so many runs have begun."""
    until = time.monotonic() + 90
    calls = tmp_path / "calls"
    while not calls.exists() or len(calls.read_text().split()) < count:
        assert process.poll() is None, "the sweep ended too early"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_of_batches_resumes_exactly(tmp_path, start):
    killed = start()
    wait_for_calls(tmp_path, killed, 150)
    killed.kill()
    killed.wait()
    assert start().wait(timeout=180) == 0
    rows = raysweep.open(tmp_path / "store", "naps").runs().to_pylist()
    assert sorted(row["metric.cost"] for row in rows) == [float(seed) for seed in range(400)]
    assert {(row["status"], row["attempts"]) for row in rows} == {("done", 1)}


@pytest.mark.slow
def test_a_session_stopped_in_the_middle_of_batches_keeps_every_run_that_ended(tmp_path, start):
    stopped = start()
    wait_for_calls(tmp_path, stopped, 150)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(timeout=60) == 130
    begun = len((tmp_path / "calls").read_text().split())
    ended = raysweep.open(tmp_path / "store", "naps").runs().num_rows
    assert begun - 2 <= ended <= begun
    assert start().wait(timeout=180) == 0
    assert raysweep.open(tmp_path / "store", "naps").runs().num_rows == 400


def test_an_error_while_packs_are_handed_out_ends_the_session(
    toy, tmp_path, shared_ray, monkeypatch
):
    """A pack in flight without a trial must not be waited for."""

    def fail(pack):
        raise RuntimeError("no text of a pack")

    monkeypatch.setattr(Pack, "to_text", fail)
    with pytest.raises(RuntimeError, match="no text of a pack"):
        raysweep.run(toy(), store=tmp_path)

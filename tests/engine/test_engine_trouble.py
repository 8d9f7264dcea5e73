"""Runs that fail, diverge, die or do not fit into memory; drivers that stop or vanish."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from engine_helpers import by_run, statuses

import raysweep
from raysweep.driver import session
from raysweep.engine import inline as inline_engine
from raysweep.engine import stop
from raysweep.engine.stop import StopFlag
from raysweep.store import checkpoints, lease
from raysweep.sweepfile.reader import read_spec


def outcome(results):
    """Status by seed."""
    return {seed: status for (seed, _), status in statuses(results).items()}


def test_a_run_that_raises_is_isolated_from_its_pack(sweep, toy, trouble):
    trouble.make(**{"raise": [1], "at": 7})
    results = sweep(toy(task=trouble.task, training={"lr": 0.1}))
    assert outcome(results) == {0: "done", 1: "failed", 2: "done"}


def test_a_failure_is_recorded_with_its_error(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    results = inline(toy(task=trouble.task, training={"lr": 0.1}))
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    (attempt,) = results.attempts().to_pylist()
    assert "RuntimeError: this seed is unlucky" in row["error"]
    assert (attempt["run_id"], attempt["attempt"]) == (row["run_id"], 1)
    assert attempt["error"] == row["error"]


def test_pack_mates_of_a_failed_run_keep_their_numbers(inline, toy, trouble):
    spec = toy(task=trouble.task, training={"lr": 0.1})
    good = by_run(inline(spec, store="good"))
    trouble.make(**{"raise": [1], "at": 7})
    found = by_run(inline(spec))
    assert {
        key: value for key, value in found.items() if value[0] is not None
    }.items() <= good.items()


def test_failed_runs_are_tried_again_until_quarantined(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    spec = toy(task=trouble.task, training={"lr": 0.1}, resources={"max_failures": 2})
    attempts = [inline(spec).attempts().num_rows for _ in range(4)]
    assert attempts == [1, 2, 2, 2]


def test_a_failed_run_that_ends_well_replaces_its_row(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    spec = toy(task=trouble.task, training={"lr": 0.1})
    inline(spec)
    trouble.end()
    results = inline(spec)
    assert outcome(results) == dict.fromkeys(range(3), "done")
    assert results.runs().num_rows == 3
    (row,) = (row for row in results.runs().to_pylist() if row["seed"] == 1)
    assert row["attempts"] == 2


def test_a_diverged_run_is_a_result_and_touches_no_other(inline, toy, trouble):
    spec = toy(task=trouble.task, training={"lr": 0.1})
    good = by_run(inline(spec, store="good"))
    trouble.make(nan=[2], at=8)
    results = inline(spec)
    assert outcome(results) == {0: "done", 1: "done", 2: "diverged"}
    done = {run_id: value for run_id, value in by_run(results).items() if value[0] is not None}
    assert done.items() <= good.items()
    assert by_run(inline(spec)) == by_run(results)


def test_a_diverged_run_ends_at_the_next_report(inline, toy, trouble):
    trouble.make(nan=[2], at=8)
    results = inline(toy(task=trouble.task, training={"lr": 0.1}))
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "diverged")
    assert row["steps"] == 10
    assert row["metric.train_loss"] is None


def test_a_pack_too_large_for_memory_is_split(inline, toy, trouble):
    trouble.make(memory_above=2)
    results = inline(toy(task=trouble.task, resources={"pack": 6}))
    assert set(statuses(results).values()) == {"done"}
    assert max(row["replicas"] for row in results.runs().to_pylist()) <= 2


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_dies_costs_only_the_run_that_kills_it(shared_ray, tmp_path, toy, trouble):
    trouble.make(die=[1], at=3)
    results = raysweep.run(toy(task=trouble.task, training={"lr": 0.1}), store=tmp_path)
    assert outcome(results) == {0: "done", 1: "failed", 2: "done"}


@pytest.mark.ray
@pytest.mark.slow
def test_the_progress_within_a_pack_is_told_under_ray(shared_ray, tmp_path, toy, monkeypatch):
    from raysweep.engine import tune as tune_engine

    told, real = [], tune_engine.run_tune

    def run(schedule, job, stopping, watch, **options):
        note = lambda progress: told.append(progress) or watch(progress)  # noqa: E731
        real(schedule, job, stopping, note, **options)

    monkeypatch.setattr(tune_engine, "run_tune", run)
    raysweep.run(toy(task={"delay_s": 0.2}), store=tmp_path)
    steps = [each for each in told if "began" not in each]
    assert {each["steps"] for each in steps} == {20}
    assert any(0 < each["step"] < 20 for each in steps)


def stopped_after(monkeypatch, polls):
    """Makes the next inline session stop by itself after so many looks at the flag."""
    left = iter(range(polls))
    real = inline_engine.run_inline

    def run(schedule, job, stopping, watch):
        real(schedule, job, lambda: next(left, None) is None, watch)

    monkeypatch.setattr(inline_engine, "run_inline", run)


def test_a_stopped_pack_goes_on_bit_for_bit(inline, toy, monkeypatch):
    spec = toy(task={"delay_s": 0.2})
    whole = by_run(inline(spec, store="whole"))
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (manifest,) = checkpoints.in_flight(part.store.files)
    assert 0 < manifest.step < 20
    assert part.runs().num_rows == 0
    assert by_run(inline(spec)) == whole
    assert checkpoints.in_flight(part.store.files) == []


def test_a_resumed_pack_drops_runs_that_left_the_plan(inline, toy, monkeypatch):
    whole = by_run(inline(toy(task={"delay_s": 0.2}), store="whole"))
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        inline(toy(task={"delay_s": 0.2}))
    results = inline(toy(task={"delay_s": 0.2}, seeds=2))
    assert len(by_run(results)) == 4
    assert by_run(results).items() <= whole.items()
    again = inline(toy(task={"delay_s": 0.2}))
    assert by_run(again) == whole
    duplicates = again.sql("select count(*) - count(distinct (run_id, step)) as n from curves")
    assert duplicates["n"].to_pylist() == [0]


def test_curves_beyond_a_restored_step_are_removed(inline, toy, monkeypatch):
    spec = toy(task={"delay_s": 0.2})
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (manifest,) = checkpoints.in_flight(part.store.files)
    (segment,) = part.store.files.names("curves")
    stale = part.store.files.read(segment)
    part.store.files.write(f"curves/{manifest.pack.pack_id}-900.parquet", stale)
    found = inline(spec).sql("select count(*) as n from curves")
    assert found["n"].to_pylist() == [24]


def test_a_second_driver_is_refused_with_who_holds_the_sweep(tmp_path, toy):
    spec = session.load(toy())
    files = session.SweepStore(str(tmp_path), spec.name).files
    with lease.Lease(files), pytest.raises(raysweep.LeaseHeld, match=r"run by process \d+ on"):
        raysweep.run(toy(), store=tmp_path, inline=True)


def test_a_failed_configuration_does_not_end_a_search_early(inline, toy, trouble):
    trouble.make(**{"raise": [0, 1, 2]})
    search = {"sampler": "tpe", "configurations": 4}
    training = {"lr": {"low": 0.01, "high": 0.5}}
    limits = {"stop_after": None}
    spec = toy(task=trouble.task, training=training, search=search, resources=limits)
    results = inline(spec)
    assert len({row["configuration_id"] for row in results.runs().to_pylist()}) == 4
    assert set(statuses(results).values()) == {"failed"}


def test_a_pack_whose_manifest_is_broken_is_named_and_starts_over(inline, toy, monkeypatch, caplog):
    spec = toy(task={"delay_s": 0.2})
    whole = by_run(inline(spec, store="whole"))
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (pack_id,) = part.store.files.folders("checkpoints")
    name = f"checkpoints/{pack_id}/manifest.json"
    part.store.files.write(name, b"{")
    with pytest.raises(raysweep.StoreError, match=r"manifest\.json: expected a manifest"):
        session.plan(read_spec(spec), part.store.store.uri)
    results = inline(spec)
    assert by_run(results) == whole
    assert f"{name} is damaged and was moved to damaged/checkpoints/{pack_id}" in caplog.text
    assert results.curves().num_rows == 6 * 4


def test_a_broken_count_of_steps_costs_nothing(inline, toy, monkeypatch):
    spec = toy(task={"delay_s": 0.2})
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (pack_id,) = part.store.files.folders("checkpoints")
    part.store.files.write(f"checkpoints/{pack_id}/progress.json", b"{")
    assert set(inline(spec).runs()["steps_executed"].to_pylist()) == {20}


def test_a_broken_state_is_set_aside_and_its_pack_starts_over(inline, toy, monkeypatch, caplog):
    spec = toy(task={"delay_s": 0.2})
    whole = by_run(inline(spec, store="whole"))
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        part = inline(spec)
    (pack_id,) = part.store.files.folders("checkpoints")
    (state,) = part.store.files.names(f"checkpoints/{pack_id}", ".pt")
    part.store.files.write(state, part.store.files.read(state)[:200])
    results = inline(spec)
    assert by_run(results) == whole
    assert part.store.files.exists(f"damaged/{state}")
    assert f"pack {pack_id} cannot be restored" in caplog.text
    assert results.curves().num_rows == 6 * 4


def test_a_gpu_that_is_not_there_stops_the_sweep_at_once(inline, toy):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(raysweep.SpecError, match=r"resources\.gpu: .* no CUDA device"):
        inline(toy(resources={"gpu": 1}))


def signal_that_is_swallowed(flag):
    """As where Ray's handler raises in a finaliser."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    os.kill(os.getpid(), signal.SIGTERM)
    flag.train()


def test_a_signal_that_another_handler_swallowed_is_not_lost():
    with StopFlag() as flag, pytest.raises(KeyboardInterrupt):
        signal_that_is_swallowed(flag)
    assert flag.exit_code == 143


def test_no_signal_lets_packs_train():
    with StopFlag() as flag:
        flag.train()
    assert not flag


def test_a_session_ends_without_waiting_for_a_signal(monkeypatch):
    monkeypatch.setattr(stop, "POLL_S", 600)
    began = time.monotonic()
    with StopFlag():
        time.sleep(0.05)  # until the thread waits
    assert time.monotonic() < began + 300


@pytest.mark.parametrize("is_shown", [True, False], ids=["in a panel", "elsewhere"])
def test_a_panel_shows_that_the_session_stops_and_else_it_is_written(capfd, is_shown):
    lines = []

    def show(line):
        lines.append(line)
        return is_shown

    with StopFlag() as flag:
        flag.train(show)
        os.kill(os.getpid(), signal.SIGTERM)
    assert lines == [stop.STOPPING]
    assert (stop.STOPPING in capfd.readouterr().err) is not is_shown


HANGS = """
import os, signal, threading
from raysweep.engine import stop
stop.WATCHDOG_S = 0.3
with stop.StopFlag():
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(60)
"""


def test_a_session_that_hangs_after_a_swallowed_signal_ends_all_the_same():
    command = [sys.executable, "-c", HANGS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 143
    assert "run the same command again" in done.stderr

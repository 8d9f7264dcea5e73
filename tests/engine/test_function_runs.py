"""Sweeps of plain functions, under both executors."""

import os
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import raysweep


@raysweep.task(metrics={"train_loss": "min", "level": "max"})
def walk(
    run,
    *,
    lr: float = 0.1,
    level: int = 0,
    fails: bool = False,
    nan_at: int = -1,
    file: str = "",
    steps: int = 12,
):
    """Go down, at a level."""
    model = nn.Linear(1, 1)
    run.track(model=model)
    for step in run.steps(steps):
        if fails and not os.path.exists(file):
            raise RuntimeError("this walk is unlucky")
        loss = float("nan") if step == nan_at else level + (1 - lr) ** step
        run.report(train_loss=loss + 0 * torch.rand(()))
        run.log(f"at {step}")
    return {"level": level}


@raysweep.task(metrics={"train_loss": "min"}, family="categorical")
def codes(run, *, lr: float = 0.05, steps: int = 8):
    """Train the logits of three variables with four categories by the row's estimator."""
    logits = torch.zeros(16, 3, 4, requires_grad=True)
    target = torch.eye(4)[torch.randint(4, (16, 3))]
    optimizer = torch.optim.Adam([logits], lr=lr)
    for _ in run.steps(steps):
        out = run.estimator.estimate(logits, lambda one: (one - target).square().sum((-1, -2)))
        optimizer.zero_grad()
        out.surrogate.mean().backward()
        optimizer.step()
        run.report(train_loss=out.value.mean())


def spec(task="walk", methods=None, **sections):
    rows = {"methods": methods or {"A": {}}}
    return {"name": "walks", "tasks": {"w": {"task": task}}, **rows, "seeds": 2, **sections}


ONE_WORKER = {"resources": {"cpu": 2}}  # of the shared Ray, which starts in half of the time


@pytest.fixture
def run(tmp_path, executor):
    def call(described, **options):
        return raysweep.run(
            described, store=tmp_path / "store", tasks=[walk, codes], **executor, **options
        )

    return call


def statuses(results):
    return sorted(results.runs()["status"].to_pylist())


def test_a_sweep_of_a_function_has_rows_curves_and_logs(run):
    results = run(spec(methods={"slow": {"lr": [0.1, 0.2]}, "fast": {"lr": 0.5}}, **ONE_WORKER))
    assert statuses(results) == ["done"] * 6
    assert results.runs()["estimator_name"].unique().to_pylist() == ["none"]
    assert results.runs()["replicas"].unique().to_pylist() == [1]
    assert results.curves().num_rows == 6 * 12
    assert results.table(report="level").cells[0].n == 2


def test_a_second_session_trains_nothing_and_more_seeds_only_themselves(run):
    first = run(spec(**ONE_WORKER))
    again = run(spec(**ONE_WORKER) | {"seeds": 3})
    assert again.runs().num_rows == 3
    kept = set(first.runs()["run_id"].to_pylist())
    times = {row["run_id"]: row["ended_at"] for row in first.runs().to_pylist()}
    assert {
        row["run_id"]: row["ended_at"] for row in again.runs().to_pylist() if row["run_id"] in kept
    } == times


def test_a_loss_that_is_not_finite_is_a_diverged_run(run):
    results = run(spec(methods={"A": {}, "B": {"nan_at": 5}}, **ONE_WORKER))
    assert statuses(results) == ["diverged", "diverged", "done", "done"]


def test_rows_of_curves_average_over_report_every(run):
    results = run(spec(training={"report_every": 5}, **ONE_WORKER))
    assert sorted(set(results.curves()["step"].to_pylist())) == [5, 10, 12]


def test_early_stopping_ends_poor_configurations(run):
    results = run(
        spec(
            methods={"A": {"level": [0, 1, 2, 3]}},
            seeds=1,
            search={"sampler": "tpe", "configurations": 4},
            early_stopping={"pruner": "median", "n_startup_trials": 1, "grace": 4},
        )
    )
    assert "stopped" in statuses(results)
    assert "done" in statuses(results)


def test_a_run_that_fails_is_told_with_the_line_of_the_function(run, tmp_path):
    walks = {"A": {"fails": [False, True], "file": str(tmp_path / "mended")}}
    described = spec(methods=walks, **ONE_WORKER)
    results = run(described)
    assert statuses(results) == ["done", "done", "failed", "failed"]
    [error] = set(results.runs()["error"].drop_null().to_pylist())
    assert error.startswith("RuntimeError: this walk is unlucky (test_function_runs.py:")
    (tmp_path / "mended").touch()
    assert statuses(run(described)) == ["done"] * 4


def test_a_smoke_run_takes_three_steps(run):
    results = run(spec(), smoke=True)
    assert results.runs()["steps"].to_pylist() == [3]


def test_a_function_trains_by_the_estimator_of_its_row(run):
    described = spec("codes", **ONE_WORKER) | {"seeds": 1}
    del described["methods"]
    rows = {name: {"estimator": name} for name in ("reinmax", "rebar")}
    results = run({**described, "estimators": rows})
    assert statuses(results) == ["done"] * 2
    for name in rows:
        losses = results.sql(
            "select train_loss from curves join runs using (run_id) "
            f"where estimator_name = '{name}' order by curves.step"
        )["train_loss"].to_pylist()
        assert losses[-1] < losses[0]


def slow(run, *, folder: str = "", steps: int = 400):
    """Write down each step, slowly."""
    run.track(model=nn.Linear(1, 1))
    for step in run.steps(steps):
        time.sleep(0.01)
        Path(folder, f"{step}-{time.time_ns()}").touch()
        run.report(train_loss=step)


def test_a_stopped_session_saves_the_run_which_then_goes_on(tmp_path):
    task = raysweep.task(metrics={"train_loss": "min"})(slow)
    described = {
        "name": "slow",
        "tasks": {"s": {"task": "slow", "folder": str(tmp_path / "steps")}},
        "methods": {"A": {}},
        "seeds": 1,
    }
    (tmp_path / "steps").mkdir()
    import signal
    import threading

    def stop():
        while not list((tmp_path / "steps").iterdir()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    with pytest.raises(KeyboardInterrupt):
        raysweep.run(described, store=tmp_path / "store", inline=True, tasks=[task])
    seen = len(list((tmp_path / "steps").iterdir()))
    assert 0 < seen < 400
    results = raysweep.run(described, store=tmp_path / "store", inline=True, tasks=[task])
    assert statuses(results) == ["done"]
    assert len(list((tmp_path / "steps").iterdir())) == 400  # none of them twice


def test_a_function_inside_a_function_is_sent_to_workers(tmp_path, executor):
    @raysweep.task(metrics={"train_loss": "min"})
    def hidden(run, *, lr: float = 0.5):
        return {"train_loss": lr}

    results = raysweep.run(
        {"name": "h", "tasks": {"t": {"task": "hidden"}}, "methods": {"A": {}}, "seeds": 1},
        store=tmp_path,
        tasks=[hidden],
        **executor,
    )
    assert results.table().cells[0].mean == 0.5


def test_what_is_no_task_is_refused(tmp_path):
    with pytest.raises(
        raysweep.SpecError, match=r"decorated by raysweep\.task or stacked_task, got slow"
    ):
        raysweep.run(spec(), store=tmp_path, inline=True, tasks=[slow])


def test_the_line_of_an_error_in_a_notebook_is_that_of_the_cell(tmp_path):
    cell = compile(
        "def cell(run, *, lr: float = 0.5):\n    raise KeyError('x')\n", "/nowhere/123.py", "exec"
    )
    made = {"__name__": "__main__"}
    exec(cell, made)
    task = raysweep.task(metrics={"train_loss": "min"})(made["cell"])
    results = raysweep.run(
        {"name": "c", "tasks": {"t": {"task": "cell"}}, "methods": {"A": {}}, "seeds": 1},
        store=tmp_path,
        inline=True,
        tasks=[task],
    )
    assert results.runs()["error"].to_pylist() == ["KeyError: 'x' (notebook cell:2)"]


@raysweep.task(metrics={"train_loss": "min"})
def reader(run, *, lr: float = 0.5):
    """Read a file that is not there."""
    return {"train_loss": float(Path("not_there.csv").read_text())}


def test_a_file_that_a_function_misses_is_told_with_its_line_and_ends_no_session(tmp_path):
    results = raysweep.run(
        {"name": "r", "tasks": {"t": {"task": "reader"}}, "methods": {"A": {}}, "seeds": 2},
        store=tmp_path,
        inline=True,
        tasks=[reader],
    )
    assert statuses(results) == ["failed", "failed"]
    [error] = set(results.runs()["error"].to_pylist())
    assert error.startswith("FileNotFoundError: [Errno 2] No such file or directory")
    assert "(test_function_runs.py:" in error


@raysweep.task(metrics={"train_loss": "min"})
def untracked(run, *, folder: str = "", steps: int = 100):
    """Count turns, slowly, without tracking anything."""
    for step in run.steps(steps):
        Path(folder, f"{step}-{time.time_ns()}").touch()
        if step == 30 and len(list(Path(folder).iterdir())) == 31:
            raise KeyboardInterrupt
        time.sleep(0.05 * (step < 30))
        run.report(train_loss=step)


def test_a_run_that_tracks_nothing_starts_over(tmp_path):
    (tmp_path / "steps").mkdir()
    described = {
        "name": "u",
        "tasks": {"t": {"task": "untracked", "folder": str(tmp_path / "steps")}},
        "methods": {"A": {}},
        "seeds": 1,
        "resources": {"checkpoint_s": 0},
    }
    for _ in range(2):
        results = raysweep.run(described, store=tmp_path, inline=True, tasks=[untracked])
    assert statuses(results) == ["done"]
    assert len(list((tmp_path / "steps").iterdir())) == 31 + 100
    assert results.curves().num_rows == 100

"""A sweep of plain functions that is killed again and again ends with the same numbers."""

import random
import signal
import subprocess
import sys
import time

import pytest

import raysweep

TASK = """
import random, time
import numpy as np, torch, raysweep
from torch import nn


@raysweep.task(metrics={"train_loss": "min", "final_error": "min"})
def noisy_net(run, *, hidden: int = 8, dropout: float = 0.5, lr: float = 0.05, epochs: int = 25):
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True).sin()
    layers = nn.Linear(4, hidden), nn.Dropout(dropout), nn.Tanh(), nn.Linear(hidden, 1)
    model = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    run.track(model=model, optimizer=optimizer, scheduler=scheduler)
    for _ in run.steps(epochs):
        for batch in torch.randperm(64).split(16):
            noise = random.random() + np.random.rand()
            loss = (model(x[batch]) - y[batch] + 0.01 * noise).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.report(train_loss=loss)
        scheduler.step()
        time.sleep(0.06)
    model.eval()
    return {"final_error": (model(x) - y).square().mean()}
"""
SWEEP = """
name: nets
tasks: {net: {task: noisy_net}}
methods:
  narrow: {lr: [0.05, 0.02], hidden: 4}
  wide: {lr: [0.05, 0.02], hidden: 16}
seeds: 6
resources: {checkpoint_s: 0}
"""
KILLS = 5
COLUMNS = ["run_id", "steps", "status", "metric.train_loss", "metric.final_error"]


@pytest.fixture
def command(tmp_path):
    """The command line that runs the sweep in a store."""
    (tmp_path / "noisy_net.py").write_text(TASK)
    (tmp_path / "nets.yaml").write_text(SWEEP)

    def make(store, *options):
        words = ["run", "nets.yaml", "--code", "noisy_net.py", "--store", store, *options]
        return subprocess.Popen(
            [sys.executable, "-m", "raysweep.cli.main", *words],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return make


def ended(store):
    return sorted(
        raysweep.open(store, "nets").runs().select(COLUMNS).to_pylist(),
        key=lambda row: row["run_id"],
    )


def states(store):
    """The files of saved states: a run that is not at its first step has another name of it."""
    return set(store.glob("nets/checkpoints/*/state-*.pt"))


@pytest.mark.ray
@pytest.mark.slow
def test_plain_functions_killed_five_times_end_with_the_numbers_of_an_undisturbed_sweep(
    tmp_path, command
):
    moments = random.Random(0)
    for kill in range(KILLS):
        before = states(tmp_path / "cut")
        process = command("cut", *(("--inline",) if kill else ()))  # the first under Ray
        began = time.time()
        while not states(tmp_path / "cut") - before:  # until a run could go on from its middle
            assert process.poll() is None, "the driver ended before it saved a state"
            assert time.time() < began + 180
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        assert process.poll() is None, "the driver ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    last, whole = command("cut", "--inline"), command("whole", "--inline")
    assert (last.wait(), whole.wait()) == (0, 0)
    rows = ended(tmp_path / "cut")
    assert len({row["run_id"] for row in rows}) == len(rows) == 24
    assert {row["status"] for row in rows} == {"done"}
    assert rows == ended(tmp_path / "whole")
    curves = raysweep.open(tmp_path / "cut", "nets").sql(
        "select count(*) as n, count(distinct (run_id, step)) as once from curves"
    )
    assert curves.to_pylist() == [{"n": 24 * 25, "once": 24 * 25}]

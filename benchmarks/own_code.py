"""An ordinary training function by raysweep beside the same by plain Ray Tune: whole commands.

Both train the same network with the same seeds on two settings × `--seeds` seeds, one run per
worker at a time, and must end with the same losses to the last bit.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import machine

TASK = '''\
import torch
from torch import nn

import raysweep


@raysweep.task(metrics={"train_loss": "min"})
def net(run, *, lr: float = 0.01, steps: int = 1000):
    """Train a network on random data."""
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    run.track(model=model, optimizer=optimizer)
    for _ in run.steps(steps):
        i = torch.randint(4096, (128,))
        loss = nn.functional.cross_entropy(model(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(train_loss=loss)
'''
PLAIN = """\
import json
import random
import sys

import numpy as np
import torch
from torch import nn
from ray import tune


def net(config):
    random.seed(config["seed"])
    np.random.seed(config["seed"])
    torch.manual_seed(config["seed"])
    torch.set_num_threads(1)
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    for step in range(config["steps"]):
        i = torch.randint(4096, (128,))
        loss = nn.functional.cross_entropy(model(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            tune.report({"train_loss": loss.item()})


steps, seeds = map(int, sys.argv[1:])
tuner = tune.Tuner(
    net,
    param_space={
        "lr": tune.grid_search([0.01, 0.001]),
        "seed": tune.grid_search(list(range(seeds))),
        "steps": steps,
    },
    run_config=tune.RunConfig(verbose=0),
)
results = tuner.fit()
found = {f"{r.config['lr']} {r.config['seed']}": r.metrics["train_loss"] for r in results}
print(json.dumps(found))
"""


def ours(folder: Path, steps: int, seeds: int) -> tuple[float, dict[str, float]]:
    """Seconds of `raysweep run`, and the losses by learning rate and seed."""
    (folder / "net.py").write_text(TASK)
    spec = {
        "name": "net",
        "tasks": {"net": {"task": "net"}},
        "methods": {"Adam": {"lr": [0.01, 0.001]}},
        "training": {"steps": steps, "report_every": 100},
        "seeds": seeds,
    }
    (folder / "net.json").write_text(json.dumps(spec))
    run = [sys.executable, "-m", "raysweep.cli.main"]
    store = ["--store", "store"]
    seconds, _ = timed([*run, "run", "net.json", "--code", "net.py", *store], folder)
    query = 'select "param.training.lr" as lr, seed, "metric.train_loss" as loss from runs'
    _, out = timed([*run, "sql", "net", query, "--format", "json", *store], folder)
    rows = map(json.loads, out.splitlines())
    return seconds, {f"{row['lr']} {row['seed']}": row["loss"] for row in rows}


def theirs(folder: Path, steps: int, seeds: int) -> tuple[float, dict[str, float]]:
    """Seconds of the script for plain Ray Tune, and the losses by learning rate and seed."""
    (folder / "plain.py").write_text(PLAIN)
    seconds, out = timed([sys.executable, "plain.py", str(steps), str(seeds)], folder)
    return seconds, json.loads(out.splitlines()[-1])


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Wall seconds of a command, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        check=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return time.perf_counter() - began, done.stdout


@click.command()
@click.option("--steps", default=12_000, show_default=True, help="Steps of a run.")
@click.option("--seeds", default=2, show_default=True, help="Seeds of each of two settings.")
@click.option("--turns", default=2, show_default=True, help="Alternating pairs.")
def main(steps: int, seeds: int, turns: int) -> None:
    """Times both sides in turn, and compares their losses."""
    click.echo(machine.description())
    lines = [text.count("\n") - text.count("\n\n") for text in (TASK, PLAIN)]
    click.echo(f"lines of code: {lines[0]} (and a sweep file of 6), plain Ray Tune {lines[1]}")
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            (our_s, our_losses), (their_s, their_losses) = (
                ours(Path(one), steps, seeds),
                theirs(Path(other), steps, seeds),
            )
        if len(our_losses) != 2 * seeds or our_losses.keys() != their_losses.keys():
            raise click.ClickException(f"expected {2 * seeds} runs, got {our_losses}")
        same = our_losses == their_losses
        click.echo(
            f"raysweep {our_s:6.1f} s, plain Ray Tune {their_s:6.1f} s: ratio "
            f"{our_s / their_s:.3f}; losses {'equal bit for bit' if same else 'DIFFER'}"
        )
        if not same:
            raise click.ClickException(f"losses differ: {our_losses} and {their_losses}")


if __name__ == "__main__":
    main()

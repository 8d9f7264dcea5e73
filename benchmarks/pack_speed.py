"""Steps per second of one task: runs trained together as a pack, against one at a time.

`python -m benchmarks.pack_speed TASK` times both in turn, so that other programs slow both alike;
the ratio is of run-steps per second, a pack of R runs taking R at each step.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Any

import click
import torch
from ruamel.yaml import YAML

from benchmarks import machine
from raysweep import estimators, tasks
from raysweep.tasks.base import Replica, Training


def _training(task: str, estimator: str, runs: int, settings: dict[str, Any]) -> Training:
    chosen = tasks.get(task)
    method = estimators.get(estimator, family=chosen.family)
    replicas = [Replica(f"run-{seed}", seed, {}) for seed in range(runs)]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return chosen.start(chosen.settings(**settings), replicas, method, device)


def _seconds(training: Training, steps: int) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    for value in training.advance(steps).values():
        value.sum().item()  # waits for the device
    return time.perf_counter() - began


@click.command()
@click.argument("task")
@click.option("--estimator", default="straight_through", help="Estimator of the task's family.")
@click.option("--runs", "sizes", multiple=True, default=(5, 20, 100), help="Runs of a pack.")
@click.option("--steps", default=100, help="Steps that are timed at once.")
@click.option("--rounds", default=5, help="Number of times; medians are shown.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Setting of the task.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder.")
def main(
    task: str,
    estimator: str,
    sizes: tuple[int, ...],
    steps: int,
    rounds: int,
    changes: tuple[str, ...],
    data: Path | None,
) -> None:
    """Time steps of TASK, as packs and one run at a time."""
    if data is not None:
        os.environ["RAYSWEEP_DATA"] = str(data)
    torch.set_num_threads(1)
    values = (change.split("=", 1) for change in changes)
    settings = {key: YAML(typ="safe").load(value) for key, value in values}
    trainings = {runs: _training(task, estimator, runs, settings) for runs in (1, *sizes)}
    times: dict[int, list[float]] = {runs: [] for runs in trainings}
    for training in trainings.values():
        _seconds(training, min(steps, 5))  # the first steps reserve memory
    for _ in range(rounds):
        for runs, training in trainings.items():
            times[runs].append(_seconds(training, steps))
    one = statistics.median(times[1])
    click.echo(f"{task}, {estimator}: {machine.description()}\n")
    click.echo("| runs | steps per second | run-steps per second | of one at a time |")
    click.echo("| ---: | ---: | ---: | ---: |")
    for runs, seconds in times.items():
        pace = steps / statistics.median(seconds)
        ratio = runs * one / statistics.median(seconds)
        click.echo(f"| {runs} | {pace:,.0f} | {runs * pace:,.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()

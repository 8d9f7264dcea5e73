"""Replica-steps per second of stacked runs, against a plain loop of PyTorch that trains one run.

`python -m benchmarks.stacked`: an MLP on 8 x 8 digits, written once by the user, trained as a pack
of 1, 8 and 32 runs. The plain loop and the packs take turns in one process, with one thread. The
ratio is the steps of all runs that a pack makes, to those of the loop, in the same time.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from raysweep.estimators.none import NoEstimator
from raysweep.tasks import data
from raysweep.tasks.base import Replica, Training
from raysweep.tasks.stacked.task import stacked_task

PACKS = (1, 8, 32)
SIZES = ((32, 32), (64, 100), (256, 100))  # hidden units, batch size
SECONDS = 0.3  # of a turn, roughly


def digits(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Images and classes of the digits of scikit-learn."""
    images, labels = data.load("digits"), data.load_labels("digits")
    return {"train": (images.train, labels.train), "test": (images.test, labels.test)}


def network(hidden: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(64, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def loss(model: nn.Module, batch: Any, noise: Any) -> Tensor:
    """Cross-entropy of the classes."""
    x, y = batch
    return cross_entropy(model(x), y)


@stacked_task(loss=loss, data=digits, metrics={"train_loss": "min"})
def mlp(*, hidden: int = 64) -> nn.Module:
    """A multilayer perceptron on digits."""
    return network(hidden)


def pack(runs: int, hidden: int, batch_size: int, *, own_rates: bool = False) -> Training:
    """A training of so many runs."""
    settings = mlp.settings(hidden=hidden, batch_size=batch_size)
    replicas = [
        Replica(str(seed), seed, {"lr": 1e-3 * (1 + seed / 100)} if own_rates else {})
        for seed in range(runs)
    ]
    return mlp.start(settings, replicas, NoEstimator(), torch.device("cpu"))


def plain(hidden: int, batch_size: int) -> Callable[[int], None]:
    """A plain loop that trains one run for so many steps at a call."""
    x, y = digits(Path())["train"]
    torch.manual_seed(0)
    model = network(hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    per_epoch = len(x) // batch_size
    count, order = 0, torch.empty(0)

    def advance(steps: int) -> None:
        nonlocal count, order
        total = torch.zeros(())
        for _ in range(steps):
            if count % per_epoch == 0:
                order = torch.randperm(len(x))[: per_epoch * batch_size].view(per_epoch, -1)
            rows = order[count % per_epoch]
            value = cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            total += value.detach()
            count += 1

    return advance


def measure(hidden: int, batch_size: int, rounds: int) -> None:
    """Print a row of the table for one size of the network."""
    advances: dict[str, tuple[int, Callable[[int], Any]]] = {
        "plain": (1, plain(hidden, batch_size))
    }
    for runs in PACKS:
        advances[str(runs)] = runs, pack(runs, hidden, batch_size).advance
    advances["own"] = PACKS[-1], pack(PACKS[-1], hidden, batch_size, own_rates=True).advance
    steps = {name: _steps(advance) for name, (_, advance) in advances.items()}
    ratios: dict[str, list[float]] = {name: [] for name in advances}
    speeds = []
    for _ in range(rounds):
        speed = {
            name: runs * steps[name] / _seconds(advance, steps[name])
            for name, (runs, advance) in advances.items()
        }
        speeds.append(speed["plain"])
        for name, value in speed.items():
            ratios[name].append(value / speed["plain"])
    cells = [f"{statistics.median(ratios[name]):.2f}×" for name in advances if name != "plain"]
    print(
        f"| 64-{hidden}-{hidden}-10, batch {batch_size} | {statistics.median(speeds):,.0f} | "
        f"{' | '.join(cells)} |",
        flush=True,
    )


def _steps(advance: Callable[[int], Any]) -> int:
    advance(10)
    return max(5, round(10 * SECONDS / _seconds(advance, 10)))


def _seconds(advance: Callable[[int], Any], steps: int) -> float:
    began = time.perf_counter()
    advance(steps)
    return time.perf_counter() - began


@click.command()
@click.option("--rounds", default=15, help="Turns of the loop and of every pack.")
def main(rounds: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| network | plain loop, steps/s | pack of 1 | 8 | 32 | 32, a rate for each |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for hidden, batch_size in SIZES:
        measure(hidden, batch_size, rounds)


if __name__ == "__main__":
    main()

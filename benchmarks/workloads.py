"""The sweeps that are timed: as raysweep's files, and as plain lists of runs."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

NETWORK = '''\
import torch
from torch import nn

import raysweep


@raysweep.task(metrics={"train_loss": "min"})
def network(run, *, lr: float = 0.01, steps: int = 1000):
    """Train a network on random data."""
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
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

NOTHING = '''\
import raysweep


@raysweep.task(metrics={"train_loss": "min"})
def nothing(run, *, lr: float = 0.0):
    """Report a constant."""
    run.report(train_loss=0.0)
'''


@dataclasses.dataclass(frozen=True)
class Workload:
    """A sweep that every side runs: choices of settings, and seeds.

    Args:
        title: Words for tables.
        train: Name of the function of `benchmarks.plain_training` that trains one run.
        task: Settings of the task in the sweep file.
        choices: Values of the settings that differ between configurations.
        seeds: Number of seeds.
        quick: Number of seeds, and the steps, of a quick measurement.
        estimator: Name of the estimator; empty if `code` has a task without one.
        code: Module with the task, if raysweep has no such task.
        training: Further settings of training.
        layers: Shapes of the matrices whose products a step consists of: rows, inputs, outputs.
        moved: Bytes that a step must at least write and read, where no product is the limit.
    """

    title: str
    train: str
    task: Mapping[str, Any]
    choices: Mapping[str, tuple[Any, ...]]
    seeds: int
    quick: tuple[int, int]
    estimator: str = "straight_through"
    code: str = ""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layers: tuple[tuple[int, int, int], ...] = ()
    moved: int = 0

    @property
    def steps(self) -> int:
        """Steps of each run; one where a run does nothing."""
        return self.task.get("steps", 1)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every run: its settings, and its seed."""
        return [
            {**dict(zip(self.choices, values, strict=True)), "seed": seed}
            for *values, seed in itertools.product(*self.choices.values(), range(self.seeds))
        ]

    @property
    def multiplications(self) -> int:
        """Multiplications and additions of a step: see `products`."""
        return sum(2 * rows * inner * columns for rows, inner, columns in self.products)

    @property
    def products(self) -> list[tuple[int, int, int]]:
        """Products of a step, as rows, inner size and columns: a forward and two backward ones.

        No gradient goes to the input of the first layer.
        """
        return [
            product
            for index, (rows, inputs, outputs) in enumerate(self.layers)
            for product in (
                (rows, inputs, outputs),
                (inputs, rows, outputs),
                (rows, outputs, inputs),
            )[: 2 if index == 0 else 3]
        ]

    def quickly(self) -> "Workload":
        """Return the same with less work."""
        seeds, steps = self.quick
        task = {**self.task, "steps": steps} if "steps" in self.task else self.task
        return dataclasses.replace(self, seeds=seeds, task=task)

    def file(self, name: str) -> dict[str, Any]:
        """Return the content of the sweep file."""
        choices = {key: list(values) for key, values in self.choices.items()}
        if self.code:
            task = {key: value for key, value in self.task.items() if key != "steps"}
            steps = {"steps": self.steps} if "steps" in self.task else {}
            methods: dict[str, Any] = {"methods": {"M": choices}}
            training: dict[str, Any] = {**self.training, **steps}
        else:
            task = dict(self.task)
            lr = choices.pop("lr")
            methods = {"estimators": {"E": {"estimator": self.estimator, **choices}}}
            training = {"lr": lr, "optimizer": "adam", **self.training}
        return {
            "name": name,
            "tasks": {"task": task},
            **methods,
            **({"training": training} if training else {}),
            "seeds": self.seeds,
            "select": {"metric": "train_loss", "mode": "min"},
        }


def _autoencoder(pixels: int, code: int) -> tuple[tuple[int, int, int], ...]:
    """Return the products of a step of an autoencoder with batches of 100."""
    sizes = [pixels, 512, 256, code]
    pairs = list(itertools.pairwise(sizes))
    return tuple((100, *pair) for pair in [*pairs, *(pair[::-1] for pair in pairs)])


_RATES = (0.01, 0.005, 0.002, 0.001)
_SMALL = {"task": "polynomial", "p": 2, "latents": 16, "batch_size": 32}
_VAE = {"task": "categorical_vae", "evaluation_examples": 100}
_MNIST = {**_VAE, "dataset": "mnist", "steps": 200}

WORKLOADS = {
    "digits-60": Workload(
        "VAE of 8 × 8 digits, 8 × 4",
        "autoencoder",
        {**_VAE, "dataset": "digits", "categories": 4, "latents": 8, "steps": 1000},
        {"lr": (0.001, 0.0007, 0.0005), "temperature": (1.0, 1.5)},
        10,
        (4, 100),
        training={"window": 15},
        layers=_autoencoder(64, 32),
    ),
    "mnist-8x4": Workload(
        "VAE of MNIST, 8 × 4",
        "autoencoder",
        {**_MNIST, "categories": 4, "latents": 8},
        {"lr": (0.001, 0.0005), "temperature": (1.0, 1.5)},
        8,
        (2, 50),
        training={"window": 15},
        layers=_autoencoder(784, 32),
    ),
    "mnist-10x30": Workload(
        "VAE of MNIST, 10 × 30",
        "autoencoder",
        {**_MNIST, "categories": 10, "latents": 30},
        {"lr": (0.001, 0.0005), "temperature": (1.0, 1.5)},
        8,
        (2, 50),
        training={"window": 15},
        layers=_autoencoder(784, 300),
    ),
    "polynomial-400": Workload(
        "polynomial, L = 16",
        "polynomial",
        {**_SMALL, "steps": 300},
        {"lr": _RATES, "temperature": (1.0, 1.5)},
        50,
        (10, 100),
        moved=4 * 32 * 16 * 6,
    ),
    "polynomial-2000": Workload(
        "polynomial, L = 16",
        "polynomial",
        {**_SMALL, "steps": 1000},
        {"lr": _RATES, "temperature": (1.0, 1.5)},
        250,
        (25, 300),
        moved=4 * 32 * 16 * 6,
    ),
    "polynomial-128": Workload(
        "polynomial, L = 128",
        "polynomial",
        {**_SMALL, "latents": 128, "batch_size": 256, "steps": 300},
        {"lr": _RATES, "temperature": (1.0, 1.5)},
        16,
        (4, 100),
        moved=4 * 256 * 128 * 6,
    ),
    "layers": Workload(
        "stochastic binary network, digits",
        "layers",
        {
            "task": "sbn_classifier",
            "dataset": "digits",
            "network": "dense",
            "hidden": {"value": [100, 100]},
            "evaluation_examples": 100,
            "validation_examples": 100,
            "steps": 1000,
        },
        {"lr": (0.03, 0.01, 0.003)},
        16,
        (4, 100),
        training={
            "optimizer": "sgd",
            "momentum": 0.9,
            "nesterov": True,
            "batch_size": 64,
            "window": 100,
        },
        layers=((64, 64, 100), (64, 100, 100), (64, 100, 10)),
    ),
    "function": Workload(
        "a function of one's own: 64-256-10",
        "network",
        {"task": "network", "steps": 4000},
        {"lr": (0.01, 0.001)},
        4,
        (2, 500),
        estimator="",
        code=NETWORK,
        training={"report_every": 100},
        layers=((128, 64, 256), (128, 256, 10)),
    ),
    "nothing": Workload(
        "a function that does nothing",
        "nothing",
        {"task": "nothing"},
        {"lr": (0.0, 1.0)},
        5000,
        (100, 1),
        estimator="",
        code=NOTHING,
    ),
    "nothing-packed": Workload(
        "one step of one variable, against nothing",
        "nothing",
        {**_SMALL, "latents": 1, "batch_size": 1, "steps": 1},
        {"lr": (0.01, 0.001), "temperature": (1.0, 1.5)},
        2500,
        (50, 1),
    ),
}

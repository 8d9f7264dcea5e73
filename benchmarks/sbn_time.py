"""What a training step of a stochastic binary network costs with each method.

Two networks: that of Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, on CIFAR-10 at batches
of 64, and a small one on the digits. A step is the task's own: batch, estimate, gradients, update;
one run, not a pack. Times are medians of ratios to straight-through, which is timed in turn; on one
processor, they are the process's own, which other programs do not slow. Memory is the peak that
five steps allocate beyond what was held before them. Beside them is the paper's running time,
forward and backward for a batch of 64, divided by its straight-through. For PSA, the share of the
step's time that goes into sums over flips follows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import click
import torch

from benchmarks.cost_per_step import clock, command, compare, step_seconds
from raysweep import estimators, tasks
from raysweep.estimators.layered import Convolution, LinearHead
from raysweep.tasks.base import Replica, Training

NETWORKS: dict[str, dict[str, Any]] = {
    "cifar10": {"dataset": "cifar10_subset", "validation_examples": 0, "batch_size": 64},
    "digits": {
        "dataset": "digits",
        "validation_examples": 0,
        "depths": (16, 16, 32),
        "kernels": (3, 3, 3),
        "strides": (1, 1, 2),
        "batch_size": 64,
    },
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "PSA": ("psa", {}),
    "PSA, enhanced head": ("psa", {"head_enhancement": True}),
    "HardST": ("hard_st", {}),
    "Tanh": ("tanh", {}),
    "Concrete": ("concrete", {}),
    "ADF": ("adf", {}),
    "LocalReparam": ("local_reparam", {}),
    "REINFORCE": ("reinforce", {}),
    "NVIL": ("nvil", {}),
    "MuProp": ("muprop", {}),
    "REBAR": ("rebar", {}),
    "ARM": ("arm", {}),
}
# Seconds of a batch of 64, forward and backward: appendix C.2, "Running Time".
PUBLISHED: dict[str, tuple[float, float]] = {
    "ST": (0.009, 0.011),
    "PSA": (0.013, 0.056),
    "HardST": (0.009, 0.011),
    "Tanh": (0.005, 0.011),
    "Concrete": (0.009, 0.012),
    "ADF": (0.012, 0.031),
    "LocalReparam": (0.015, 0.029),
    "REINFORCE": (0.014, 0.009),
}


def training(network: str, method: str, settings: dict[str, Any], device: str) -> Training:
    """One run of a network, two steps old."""
    task = tasks.get("sbn_classifier")
    estimator = estimators.get(method, family="layered", **settings)
    replicas = [Replica("run", 0, {})]
    chosen = task.settings(**NETWORKS[network])
    started = task.start(chosen, replicas, estimator, torch.device(device))
    started.advance(2)
    return started


@contextmanager
def timed_flips(device: str) -> Iterator[list[float]]:
    """Seconds that sums over flips take, one entry for each call."""
    seconds: list[float] = []

    def timed(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*arguments: Any) -> torch.Tensor:
            began = clock(device)
            result = function(*arguments)
            seconds.append(clock(device) - began)
            return result

        return call

    with (
        mock.patch.object(Convolution, "flip_sum", timed(Convolution.flip_sum)),
        mock.patch.object(LinearHead, "flips", timed(LinearHead.flips)),
    ):
        yield seconds


def share_of_flips(network: str, steps: int, device: str) -> float:
    """Share of PSA's time that goes into sums over flips."""
    run = training(network, "psa", {}, device)
    with timed_flips(device) as seconds:
        whole = steps * step_seconds(run, steps, device)
    return sum(seconds) / whole


def published(label: str) -> str:
    """The paper's ratio to straight-through, if it has the method."""
    if label not in PUBLISHED:
        return ""
    return f"{sum(PUBLISHED[label]) / sum(PUBLISHED['ST']):7.2f}×"


def show(network: str, labels: list[str], rounds: int, budget_s: float, device: str) -> None:
    """A network's table, a line for every method, and what flips cost."""
    click.echo(f"\n{network}: {NETWORKS[network]}")
    click.echo(f"{'':18s} {'time':>8s} {'peak':>11s} {'peak':>8s}   paper: time")
    for label in labels:
        name, settings = METHODS[label]
        plain = training(network, "straight_through", {}, device)
        other = training(network, name, settings, device)
        base_s, ratio, base_bytes, peak = compare(plain, other, rounds, budget_s, device, least=1)
        line = f"{ratio:7.2f}× {peak / 1e6:8.1f} MB {peak / base_bytes:7.2f}×"
        click.echo(f"{label:18s} {line}   {published(label) if network == 'cifar10' else ''}")
    click.echo(f"{'ST':18s} {1e3 * base_s:5.1f} ms {base_bytes / 1e6:8.1f} MB")
    click.echo(f"sums over flips: {share_of_flips(network, 4, device):.0%} of PSA's step")


main = command(
    "network",
    NETWORKS,
    METHODS,
    show,
    "Times the networks named, or both, with every method beside straight-through.",
)


if __name__ == "__main__":
    main()

"""A task whose truth is known, to measure searches by: it trains nothing, and says what it hides.

A run's noise-free loss falls to `q / (1 + q)`, where `q` is a quadratic form of the distance to the
best place: 0 there, almost 1 far away. `world` draws the best place and all noise. A small learning
rate starts slowly, so early values tell much, but do not rank configurations as the last ones do.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raysweep.estimators import Estimator
from raysweep.tasks.base import Metric, Replica, Task, TrainingSettings, resolve_window, setting

LR = (1e-5, 1e-1)  # searched on a log scale; `x` and `y` from -1 to 1
INNER = 0.8  # the best place is in the middle 80 % of every range
WIDTHS = (0.6, 0.6, 1.2)  # of the valley along lr, x and y, where half the range is 1
COUPLING = 0.5  # correlation of what lr and x cost: the best x depends on lr
START = 1.5  # loss before the first step


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValleySettings(TrainingSettings):
    """Where in the valley to stand, and how noisy it is."""

    x: float = setting(0.0, "one coordinate, from -1 to 1", per_replica=True)
    y: float = setting(0.0, "another, from -1 to 1, which matters less", per_replica=True)
    world: int = setting(0, "draws the best place and all noise")
    noise: float = setting(0.1, "standard deviation of a run's own luck")
    seed_noise: float = setting(0.1, "that of a seed's luck, which every place shares")
    step_noise: float = setting(0.03, "that of each step")
    steps: int = setting(81, "steps of a run")
    report_every: int = setting(3, "steps between two rows of a curve")
    batch_size: int = setting(1, "unused")


class Valley(Task):
    """Loss after a step: what no training takes away, what is not yet trained, and noise."""

    name = "valley"
    version = 1
    settings = ValleySettings
    metrics = {  # noqa: RUF012 - a constant, as every task's
        "train_loss": Metric("min", "", "what a search sees: the truth and noise"),
        "truth": Metric("min", "", "the loss without noise; in the end 0 at the best place"),
    }
    family = "categorical"

    def check(self, settings: ValleySettings, estimator: Estimator) -> None:
        """Every estimator will do: none is asked."""

    def replica_bytes(self, settings: ValleySettings, estimator: Estimator) -> int:
        """A row of noise."""
        return 8 * (settings.steps + 2)

    def start(
        self,
        settings: ValleySettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> "Descent":
        """At step 0."""
        return Descent(settings, replicas)


class Descent:
    """A pack of runs."""

    def __init__(self, settings: ValleySettings, replicas: list[Replica]) -> None:
        self.own, self.step = settings, 0
        self.window = resolve_window(settings, 1)
        told = [each.settings for each in replicas]
        places = [(each["lr"], each["x"], each["y"]) for each in told]
        world = settings.world
        self.floor = _column([truth(world, *place) for place in places])
        self.half = _column([_half_trained(settings.steps, lr) for lr, _, _ in places])
        own = torch.stack(
            [
                _normals(settings.steps + 1, world, replica.seed, *place)
                for replica, place in zip(replicas, places, strict=True)
            ]
        )
        of_seed = torch.cat([_normals(1, world, replica.seed) for replica in replicas])
        self.luck = settings.noise * own[:, 0] + settings.seed_noise * of_seed
        self.shake = settings.step_noise * own[:, 1:]  # R, steps

    def advance(self, steps: int) -> Mapping[str, Tensor]:
        """Goes down the curve."""
        truth, loss = torch.zeros_like(self.floor), torch.zeros_like(self.floor)
        for _ in range(steps):
            self.step += 1
            # In the end nothing is left to train, and the truth is the floor.
            left = (1 - self.step / self.own.steps) / (1 + self.step / self.half)
            here = self.floor + (START - self.floor) * left
            truth += here
            loss += here + self.luck + self.shake[:, self.step - 1]
        return {"train_loss": loss / steps, "truth": truth / steps}

    def evaluate(self) -> Mapping[str, Tensor]:
        """Nothing that training does not tell."""
        return {}

    def select(self, keep: Tensor) -> None:
        """Drops replicas."""
        self.floor, self.half = self.floor[keep], self.half[keep]
        self.luck, self.shake = self.luck[keep], self.shake[keep]

    def state_dict(self) -> dict[str, Any]:
        """The step: all else follows from the settings."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.step = state["step"]


def best_place(world: int) -> tuple[float, float, float]:
    """The best lr, x and y."""
    u, x, y = (INNER * (2 * torch.rand(3, generator=_generator(world)).double() - 1)).tolist()
    return _lr(u), x, y


def truth(world: int, lr: float, x: float, y: float) -> float:
    """A configuration's noise-free loss in the end: also its regret, as the best has 0."""
    best_lr, best_x, best_y = best_place(world)
    a = (_unit(lr) - _unit(best_lr)) / WIDTHS[0]
    b = (x - best_x) / WIDTHS[1]
    c = (y - best_y) / WIDTHS[2]
    q = a * a + b * b + 2 * COUPLING * a * b + c * c
    return q / (1 + q)


def _half_trained(steps: int, lr: float) -> float:
    """Steps until half is trained: a tenth of all in the middle of the range of learning rates."""
    return steps / 10 * (_lr(0.0) / lr) ** 0.25


def _unit(lr: float) -> float:
    """The learning rate's place on its log scale, from -1 to 1."""
    low, high = map(math.log, LR)
    return 2 * (math.log(lr) - low) / (high - low) - 1


def _lr(unit: float) -> float:
    low, high = map(math.log, LR)
    return math.exp(low + (unit + 1) / 2 * (high - low))


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _normals(count: int, *told: float) -> Tensor:
    """Standard normal numbers that depend on what is told."""
    return torch.randn(count, generator=_generator(*told), dtype=torch.float64)


def _generator(*told: float) -> torch.Generator:
    text = " ".join(map(repr, told))
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(seed)

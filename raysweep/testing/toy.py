"""The toy task: a random walk that costs nothing, and fails on demand."""

import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from raysweep.estimators import Estimator, Noise
from raysweep.tasks.base import (
    NO_FAMILY,
    Metric,
    Replica,
    Task,
    TrainingSettings,
    resolve_window,
    setting,
)
from raysweep.tasks.pauses import pause


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToySettings(TrainingSettings):
    """Settings of the toy task.

    `trouble` names a JSON file with the seeds that fail, by the way they do (the keys of
    `TROUBLES`, and `nan`; `speak` only prints and logs), from step `at` on; `memory_above`, the
    number of replicas above which memory runs out; and `environment`, a file to write the
    environment of the worker into. While there is no such file, all goes well.
    """

    target: float = setting(0.0, "end of the walk", per_replica=True)
    noise: float = setting(0.1, "size of the random steps")
    size: int = setting(1, "a setting that changes the program")
    delay_s: float = setting(0.0, "seconds that a step takes")
    crowding_s: float = setting(0.0, "seconds that a step takes for each pair of replicas")
    evaluation_s: float = setting(0.0, "seconds that the evaluation takes, in 20 parts")
    trouble: str = setting("", "path of a JSON file")
    steps: int = setting(20, "steps of the walk")
    report_every: int = setting(5, "steps between two rows of a curve")
    batch_size: int = setting(1, "unused")


class Toy(Task[Estimator]):
    """The walk x ← x − lr · (x − target + noise), one per replica, from the seed plus one."""

    name = "toy"
    version = 1
    settings: ClassVar = ToySettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "", "squared distance to the target"),
        "distance": Metric("max", "m", "distance from the origin"),
    }
    family = "categorical"

    def check(self, settings: Any, estimator: Estimator) -> str | None:
        """Refuse `exact`, so that a refusal can be tested."""
        return "exact cannot walk" if estimator.name == "exact" else None

    def replica_bytes(self, settings: Any, estimator: Estimator) -> int:
        """Return the memory of a replica in bytes."""
        return 8 * int(settings.size)

    def start(
        self,
        settings: Any,
        replicas: Sequence[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> "Walk":
        """Start a walk for each replica."""
        return Walk(settings, replicas)


class ToyAlone(Toy):
    """The toy task, without an estimator."""

    name = "toy_alone"
    family: ClassVar[str] = NO_FAMILY

    def check(self, settings: Any, estimator: Any) -> str | None:
        """Refuse a size below 1, so that a refusal can be tested."""
        return "expected a size of at least 1" if settings.size < 1 else None


def _raise() -> NoReturn:
    raise RuntimeError("this seed is unlucky")


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _speak() -> None:
    print("a printed line")  # noqa: T201 - so that what becomes of it can be tested
    logging.getLogger("toy").warning("a logged line")


TROUBLES: Mapping[str, Callable[[], object]] = {
    "speak": _speak,
    "raise": _raise,
    "die": lambda: os._exit(3),
    "exit": lambda: sys.exit(0),
    "interrupt": _interrupt,
    "hang": lambda: time.sleep(3600),
}


class Walk:
    """The training of the toy task: the walks of a pack.

    Args:
        settings: Settings that the replicas share.
        replicas: The replicas, with settings of their own.
    """

    def __init__(self, settings: ToySettings, replicas: Sequence[Replica]) -> None:
        self.settings = settings
        self.window = resolve_window(settings, 10)
        self.step = 0
        self.seeds = [replica.seed for replica in replicas]
        self.noises = Noise(seeds=self.seeds, purpose="walk")
        self.target, self.lr = (
            torch.tensor([replica.settings[name] for replica in replicas], dtype=torch.float64)
            for name in ("target", "lr")
        )
        self.x = torch.tensor(self.seeds, dtype=torch.float64) + 1
        self._make_trouble(is_start=True)

    def _make_trouble(self, *, is_start: bool = False) -> None:
        path = Path(self.settings.trouble)
        if not self.settings.trouble or not path.exists():
            return
        trouble = json.loads(path.read_text())
        if "environment" in trouble:
            Path(trouble["environment"]).write_text(json.dumps(dict(os.environ)))
        if is_start and len(self.seeds) > trouble.get("memory_above", 10**9):
            raise torch.OutOfMemoryError("too many replicas")
        if self.step < trouble.get("at", 0):
            return
        for name, happen in TROUBLES.items():
            if set(self.seeds) & set(trouble.get(name, ())):
                happen()
        for index, seed in enumerate(self.seeds):
            if seed in trouble.get("nan", ()):
                self.x[index] = float("nan")

    def advance(self, steps: int) -> Mapping[str, Tensor]:
        """Walk some steps; return means of the metrics over them, one per replica."""
        total = torch.zeros_like(self.x)
        for _ in range(steps):
            self._make_trouble()
            self.noises.at(self.step)
            shake = self.noises.uniform(len(self.seeds), 1, dtype=torch.float64)[:, 0] - 0.5
            self.x = self.x - self.lr * (self.x - self.target + self.settings.noise * shake)
            total += (self.x - self.target) ** 2
            self.step += 1
            pairs = len(self.seeds) ** 2
            time.sleep(self.settings.delay_s + self.settings.crowding_s * pairs)
        return {"train_loss": total / steps, "distance": self.x.abs()}

    def evaluate(self) -> Mapping[str, Tensor]:
        """Return no further metrics, after a while."""
        for _ in range(20 if self.settings.evaluation_s else 0):
            pause()
            time.sleep(self.settings.evaluation_s / 20)
        return {}

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        self.x, self.target, self.lr = self.x[keep], self.target[keep], self.lr[keep]
        self.noises.select(keep)
        indices = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
        self.seeds = [self.seeds[index] for index in indices.tolist()]

    def state_dict(self) -> dict[str, Any]:
        """Return the step and the positions."""
        return {"step": self.step, "x": self.x}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a step and positions."""
        self.step, self.x = state["step"], state["x"]

"""A task from another package, found by its entry point: cheap, and troublesome on demand."""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import torch

from raysweep.estimators import Noise
from raysweep.tasks.base import Metric, Task, TrainingSettings, resolve_window, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToySettings(TrainingSettings):
    """A walk towards a target.

    `trouble` names a JSON file that says which seeds make trouble, and how; while there is no
    such file, all goes well.
    """

    target: float = setting(0.0, "where the walk goes", per_replica=True)
    noise: float = setting(0.1, "size of the random steps")
    size: int = setting(1, "changes the program")
    delay_s: float = setting(0.0, "seconds that a step takes")
    trouble: str = setting("", "path of a JSON file")
    steps: int = setting(20, "steps of the walk")
    report_every: int = setting(5, "steps between two rows of a curve")
    batch_size: int = setting(1, "unused")


class Toy(Task):
    """x ← x − lr · (x − target + noise), a replica each."""

    name = "toy"
    version = 1
    settings = ToySettings
    metrics = {  # noqa: RUF012 - a constant, as every task's
        "train_loss": Metric("min", "", "squared distance to the target, and the seed's own"),
        "distance": Metric("max", "m", "distance from the origin"),
    }
    family = "categorical"

    def check(self, settings, estimator):
        """The estimator `exact` cannot walk."""
        return "exact cannot walk" if estimator.name == "exact" else None

    def replica_bytes(self, settings, estimator):
        """A number each."""
        return 8 * settings.size

    def start(self, settings, replicas, estimator, device):
        """At the seed."""
        return Walk(settings, replicas, device)


def _unlucky():
    raise RuntimeError("this seed is unlucky")


def _interrupted():
    raise KeyboardInterrupt


ENDS = {
    "raise": _unlucky,
    "die": lambda: os._exit(3),
    "exit": lambda: sys.exit(0),
    "interrupt": _interrupted,
    "hang": lambda: time.sleep(3600),
}


class Walk:
    """A pack of walks."""

    def __init__(self, settings, replicas, device):
        self.own = settings
        self.window = resolve_window(settings, 10)
        self.step = 0
        self.seeds = [replica.seed for replica in replicas]
        self.noises = Noise(seeds=self.seeds, purpose="walk")
        column = lambda name: torch.tensor(  # noqa: E731
            [replica.settings[name] for replica in replicas], dtype=torch.float64
        )
        self.target, self.lr = column("target"), column("lr")
        self.x = torch.tensor(self.seeds, dtype=torch.float64) + 1
        self._trouble("start")

    def _trouble(self, moment):
        path = Path(self.own.trouble)
        if not self.own.trouble or not path.exists():
            return
        told = json.loads(path.read_text())
        if "environment" in told:
            Path(told["environment"]).write_text(json.dumps(dict(os.environ)))
        if moment == "start" and len(self.seeds) > told.get("memory_above", 10**9):
            raise torch.OutOfMemoryError("too many replicas")
        if self.step < told.get("at", 0):
            return
        for name, end in ENDS.items():
            if set(self.seeds) & set(told.get(name, ())):
                end()
        for place, seed in enumerate(self.seeds):
            if seed in told.get("nan", ()):
                self.x[place] = float("nan")

    def advance(self, steps):
        """Walks."""
        total = torch.zeros_like(self.x)
        for _ in range(steps):
            self._trouble("step")
            self.noises.at(self.step)
            shake = self.noises.uniform(len(self.seeds), 1, dtype=torch.float64)[:, 0] - 0.5
            self.x = self.x - self.lr * (self.x - self.target + self.own.noise * shake)
            total += (self.x - self.target) ** 2
            self.step += 1
            time.sleep(self.own.delay_s)
        return {"train_loss": total / steps, "distance": self.x.abs()}

    def evaluate(self):
        """Nothing that training does not tell."""
        return {}

    def select(self, keep):
        """Drops replicas."""
        self.x, self.target, self.lr = self.x[keep], self.target[keep], self.lr[keep]
        self.noises.select(keep)
        indices = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
        self.seeds = [self.seeds[place] for place in indices.tolist()]

    def state_dict(self):
        """Step and place."""
        return {"step": self.step, "x": self.x}

    def load_state_dict(self, state):
        """Goes on from there."""
        self.step, self.x = state["step"], state["x"]

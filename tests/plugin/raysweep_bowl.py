"""A task whose best settings are known: a noisy bowl, to measure searches by."""

import dataclasses
import hashlib
import time

import torch

from raysweep.tasks.base import Metric, Task, TrainingSettings, resolve_window, setting

BEST = {"x": 0.3, "y": -0.4}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BowlSettings(TrainingSettings):
    """Where in the bowl to stand; the best place is (0.3, -0.4), and nothing else is learnt."""

    x: float = setting(0.0, "one coordinate, from -1 to 1", per_replica=True)
    y: float = setting(0.0, "the other", per_replica=True)
    noise: float = setting(0.1, "standard deviation, over seeds, of the loss")
    delay_s: float = setting(0.0, "seconds that a step takes")
    steps: int = setting(27, "steps of a run")
    report_every: int = setting(1, "steps between two rows of a curve")
    batch_size: int = setting(1, "unused")


class Bowl(Task):
    """Loss after step t: distance² to the best place, what is not yet trained, and noise."""

    name = "bowl"
    version = 1
    settings = BowlSettings
    metrics = {  # noqa: RUF012 - a constant, as every task's
        "train_loss": Metric("min", "", "squared distance from the best place, with noise"),
        "regret": Metric("min", "", "the same without noise: 0 at the best place"),
        "height": Metric("max", "", "how far up the y axis: at odds with the regret"),
    }
    family = "categorical"

    def check(self, settings, estimator):
        """Every estimator will do: none is asked."""

    def replica_bytes(self, settings, estimator):
        """A number each."""
        return 8

    def start(self, settings, replicas, estimator, device):
        """At step 0."""
        return Stay(settings, replicas)


class Stay:
    """A pack of runs."""

    def __init__(self, settings, replicas):
        self.own, self.step = settings, 0
        self.window = resolve_window(settings, 1)
        column = lambda name: torch.tensor(  # noqa: E731
            [replica.settings[name] for replica in replicas], dtype=torch.float64
        )
        self.x, self.y = column("x"), column("y")
        self.regret = (self.x - BEST["x"]) ** 2 + (self.y - BEST["y"]) ** 2
        # One draw per run, by its seed and place: another place is another draw.
        self.luck = torch.cat([_normal(replica) for replica in replicas])

    def advance(self, steps):
        """Nothing is learnt: what is not yet trained shrinks."""
        total = torch.zeros_like(self.regret)
        for _ in range(steps):
            self.step += 1
            untrained = 1.0 / self.step
            total += self.regret + untrained + self.own.noise * self.luck
            time.sleep(self.own.delay_s)
        return {"train_loss": total / steps, "regret": self.regret, "height": self.y}

    def evaluate(self):
        """Nothing that training does not tell."""
        return {}

    def select(self, keep):
        """Drops replicas."""
        self.x, self.y = self.x[keep], self.y[keep]
        self.regret, self.luck = self.regret[keep], self.luck[keep]

    def state_dict(self):
        """The step: all else follows from the settings."""
        return {"step": self.step}

    def load_state_dict(self, state):
        """Goes on from there."""
        self.step = state["step"]


def _normal(replica):
    """A standard normal number that depends on the seed and the settings."""
    told = f"{replica.seed} {replica.settings['x']!r} {replica.settings['y']!r}"
    seed = int.from_bytes(hashlib.sha256(told.encode()).digest()[:7], "big")
    return torch.randn(1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

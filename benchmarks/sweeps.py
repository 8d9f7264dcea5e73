"""The sweeps that are timed, as raysweep's files and as plain lists of settings."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Timed:
    """A sweep to be run by both sides.

    Args:
        task: The task's settings in the sweep file.
        lrs: Learning rates.
        temperatures: Of straight-through.
        seeds: Number of seeds.
    """

    task: Mapping[str, Any]
    lrs: tuple[float, ...]
    temperatures: tuple[float, ...]
    seeds: int

    @property
    def steps(self) -> int:
        """Steps of each run."""
        return self.task["steps"]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every run: its learning rate, temperature and seed."""
        return [
            {"lr": lr, "temperature": temperature, "seed": seed}
            for lr, temperature, seed in itertools.product(
                self.lrs, self.temperatures, range(self.seeds)
            )
        ]

    def file(self, name: str) -> dict[str, Any]:
        """The content of the sweep file."""
        return {
            "name": name,
            "tasks": {"task": dict(self.task)},
            "estimators": {
                "ST": {"estimator": "straight_through", "temperature": list(self.temperatures)}
            },
            "training": {"lr": list(self.lrs), "optimizer": "adam"},
            "seeds": self.seeds,
        }


_POLYNOMIAL = {"task": "polynomial", "p": 2, "latents": 16, "batch_size": 32}
_DIGITS = {"task": "categorical_vae", "dataset": "digits", "categories": 4, "latents": 8}

SWEEPS = {
    # Arithmetic is the limit: nets of 64-512-256-32 and back, batches of 100.
    "digits-60": Timed({**_DIGITS, "steps": 1000}, (0.001, 0.0007, 0.0005), (1.0, 1.5), 10),
    # Start-up is the limit.
    "polynomial-400": Timed(
        {**_POLYNOMIAL, "steps": 300}, (0.01, 0.005, 0.002, 0.001), (1.0, 1.5), 50
    ),
    # Overhead per run and per step is the limit.
    "polynomial-2000": Timed(
        {**_POLYNOMIAL, "steps": 1000}, (0.01, 0.005, 0.002, 0.001), (1.0, 1.5), 250
    ),
}

"""Learning rates that fall where a metric no longer improves."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

THRESHOLD = 1e-4
"""Relative improvement over the best value that counts as one, as in torch."""


class Plateau:
    """Factors of the learning rates, equal to `ReduceLROnPlateau` of torch on each replica alone.

    A larger metric is better.

    Args:
        replicas: Number of replicas, R.
        factor: Factor by which the learning rate is multiplied at a reduction.
        patience: Number of values in a row without an improvement that cause no reduction.
    """

    def __init__(self, replicas: int, factor: float, patience: int) -> None:
        self._factor, self._patience = factor, patience
        self._best = torch.full((replicas,), -torch.inf, dtype=torch.float64)
        self._bad = torch.zeros(replicas, dtype=torch.int64)
        self._factors = torch.ones(replicas, dtype=torch.float64)

    @property
    def factors(self) -> Float[Tensor, " R"]:
        """Factor of each replica's learning rate."""
        return self._factors

    def observe(self, values: Float[Tensor, " R"]) -> None:
        """Take the next value of the metric of each replica."""
        values = values.cpu().double()
        better = values > self._best * (1 + THRESHOLD)
        self._best = torch.where(better, values, self._best)
        self._bad = torch.where(better, 0, self._bad + 1)
        reduced = self._bad > self._patience
        self._factors = torch.where(reduced, self._factors * self._factor, self._factors)
        self._bad = torch.where(reduced, 0, self._bad)

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        keep = keep.cpu()
        self._best, self._bad = self._best[keep], self._bad[keep]
        self._factors = self._factors[keep]

    def state_dict(self) -> dict[str, Any]:
        """Return the best values, the counts of values without an improvement, and the factors."""
        return {"best": self._best, "bad": self._bad, "factors": self._factors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a schedule with the same settings and replicas."""
        self._best, self._bad = state["best"].cpu(), state["bad"].cpu()
        self._factors = state["factors"].cpu()

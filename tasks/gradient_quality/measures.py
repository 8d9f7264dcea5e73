"""Measures of gradient estimates against the exact gradient: direction, bias, variance, error."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.tasks.base import Metric

COUNTS = (1, 10, 100, 1000)
"""Numbers of estimates that are averaged before they are compared with the exact gradient."""

_TWO = {"evaluation_samples": 2}
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{
            f"cosine_{n}": Metric(
                "max",
                "",
                f"cosine similarity of the mean of {n} estimates and the exact gradient",
                needs={"evaluation_samples": n},
            )
            for n in COUNTS
        },
        "relative_bias": Metric(
            "min",
            "",
            "distance of the expected estimate from the exact gradient, over its norm",
            needs=_TWO,
        ),
        "relative_variance": Metric(
            "min",
            "",
            "variance of one estimate, summed over coordinates, over the squared norm",
            needs=_TWO,
        ),
        **{
            f"relative_rmse_{n}": Metric(
                "min",
                "",
                f"root mean squared error of the mean of {n} estimates, over the norm",
                needs=_TWO,
            )
            for n in COUNTS
        },
        "gradient_norm": Metric("min", "", "norm of the exact gradient"),
    }
)


def measured(draws: int) -> list[str]:
    """Return the names of the measures that this number of estimates allows."""
    others = [name for name in METRICS if not name.startswith("cosine_")]
    cosines = [f"cosine_{n}" for n in COUNTS if n <= draws]
    return [*cosines, *(others if draws >= 2 else ["gradient_norm"])]


class Quality:
    """Accumulator of estimates, whose memory does not grow with their number.

    Args:
        exact: Exact gradient, flat, `R M`.
    """

    def __init__(self, exact: Float[Tensor, "R M"]) -> None:
        self._exact = exact.double()
        self._norm = self._exact.norm(dim=-1)
        self._draws = 0
        self._sum = torch.zeros_like(self._exact)
        self._squares = torch.zeros_like(self._norm)
        self._groups = {n: torch.zeros_like(self._exact) for n in COUNTS}
        self._cosines = {n: torch.zeros_like(self._norm) for n in COUNTS}

    def add(self, estimates: Float[Tensor, "n R M"]) -> None:
        """Add n estimates, one after the other."""
        for estimate in estimates.double():
            self._draws += 1
            self._sum += estimate
            self._squares += estimate.square().sum(-1)
            for n, group in self._groups.items():
                group.add_(estimate)
                if self._draws % n == 0:
                    self._cosines[n] += torch.cosine_similarity(group, self._exact, dim=-1)
                    group.zero_()

    def metrics(self) -> dict[str, Float[Tensor, " R"]]:
        """Return the measures, without those that need more estimates than were added.

        The squared distance of the mean estimate from the exact gradient exceeds the squared bias
        by the mean's variance, which is subtracted; a negative difference counts as no bias.
        """
        mean, norm = self._sum / self._draws, self._norm
        metrics = {
            f"cosine_{n}": total / (self._draws // n)
            for n, total in self._cosines.items()
            if self._draws >= n
        }
        metrics["gradient_norm"] = norm
        if self._draws < 2:
            return metrics
        spread = (self._squares / self._draws - mean.square().sum(-1)).clamp(min=0)
        variance = spread * self._draws / (self._draws - 1)
        distance = (mean - self._exact).square().sum(-1)
        bias = (distance - variance / self._draws).clamp(min=0)
        metrics["relative_bias"] = bias.sqrt() / norm
        metrics["relative_variance"] = variance / norm.square()
        for n in COUNTS:
            metrics[f"relative_rmse_{n}"] = (bias + variance / n).sqrt() / norm
        return metrics

"""Metrics of the last evaluation during training."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LastEvaluation(nn.Module):
    """Values of the last evaluation, in a buffer, so that checkpoints and selections include them.

    Args:
        names: Names of the metrics.
        replicas: Number of replicas, R.
        device: Device of the values, which are in float64.
    """

    values: Float[Tensor, "R n"]

    def __init__(self, names: Sequence[str], replicas: int, device: torch.device) -> None:
        super().__init__()
        self.names = list(names)
        start = torch.zeros(replicas, len(self.names), dtype=torch.float64, device=device)
        self.register_buffer("values", start)

    def hold(self, metrics: Mapping[str, Float[Tensor, " R"]]) -> None:
        """Replace every value."""
        self.values.copy_(torch.stack([metrics[name] for name in self.names], 1))

    def metrics(self) -> dict[str, Float[Tensor, " R"]]:
        """Return copies of the values, by name."""
        return dict(zip(self.names, self.values.clone().unbind(1), strict=True))

"""Metrics that are measured now and then, and hold until they are measured again."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LastEvaluation(nn.Module):
    """The latest values, as a buffer, so that checkpoints have them and replicas can be dropped.

    Args:
        names: Of the metrics.
        replicas: R.
        device: Where the values are kept, in float64.
    """

    values: Float[Tensor, "R n"]

    def __init__(self, names: Sequence[str], replicas: int, device: torch.device) -> None:
        super().__init__()
        self.names = list(names)
        held = torch.zeros(replicas, len(self.names), dtype=torch.float64, device=device)
        self.register_buffer("values", held)

    def hold(self, metrics: Mapping[str, Float[Tensor, " R"]]) -> None:
        """Replaces every value."""
        self.values.copy_(torch.stack([metrics[name] for name in self.names], 1))

    def metrics(self) -> dict[str, Float[Tensor, " R"]]:
        """The values by name, as tensors of their own."""
        return dict(zip(self.names, self.values.clone().unbind(1), strict=True))

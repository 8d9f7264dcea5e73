"""Running variance of the encoder's gradient."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

DECAY = 0.999


class GradientVariance(nn.Module):
    """Running moments of every weight's gradient: the mean over weights of E[g^2] - E[g]^2.

    Gradients are of the loss per example, and both moments are exponential averages whose bias at
    the start is corrected, as in Adam. Parameters change meanwhile, so the value lags by about a
    thousand steps; over the first hundreds it is too small (0 after one gradient) and depends on
    the first gradients. In float32 it cannot be distinguished from 0 where a mean is a thousand
    times its standard deviation.

    Args:
        parameters: Parameters to observe, by name, `R ...`.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, figure 1; their public code follows the
        gradient of a batch's sum and divides by the squared batch size, which is the same.
    """

    first: Float[Tensor, "R P"]
    second: Float[Tensor, "R P"]
    weight: Float[Tensor, "R 1"]

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._names = list(parameters)
        flat = torch.cat([parameters[name].detach().flatten(1) for name in self._names], 1)
        self.register_buffer("first", torch.zeros_like(flat))
        self.register_buffer("second", torch.zeros_like(flat))
        self.register_buffer("weight", torch.zeros_like(flat[:, :1]))

    @torch.no_grad()
    def observe(self, gradients: Mapping[str, Tensor]) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the variance after one more gradient."""
        flat = torch.cat([gradients[name].flatten(1) for name in self._names], 1)
        self.first.lerp_(flat, 1 - DECAY)
        self.second.mul_(DECAY).addcmul_(flat, flat, value=1 - DECAY)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - DECAY)
        moments = self.second / self.weight - (self.first / self.weight).square()
        return {"gradient_variance": moments.mean(1).clamp(min=0)}

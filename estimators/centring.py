"""The learning signal of neural variational inference: losses minus learned baselines."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.estimate import flag, mean_over_samples, sample_count
from raysweep.estimators.learned import Baseline
from raysweep.estimators.method import Method

Sizes = TypeVar("Sizes")


class Centring(Method[Sizes]):
    """A method that subtracts a running mean and a network's prediction from its losses.

    The network b, one hidden layer of tanh units, exists where there is a context, and learns by
    squared error; the running mean is that of `f - b` over calls in training mode, and a call uses
    the value from before it.
    """

    unbiased = True
    needs_gradient = False
    reads_context = True
    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self, *, samples: int = 1, normalise: bool = False, decay: float = 0.8, hidden: int = 100
    ) -> None:
        super().__init__(samples=samples)
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
            raise ValueError(f"decay must be a number in [0, 1), got {decay!r}")
        self.normalise = flag("normalise", normalise)
        self.unbiased = not normalise
        self.decay = decay
        self.hidden = sample_count(hidden, quantity="hidden")
        self.baseline: Baseline | None = None

    def _build_baselines(self, context: int | None, replicas: int | None) -> None:
        """Create the running moments, and the network if there is a context."""
        shape = () if replicas is None else (replicas,)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_variance", torch.zeros(shape))
        if context is not None:
            self.baseline = Baseline(context, self.hidden, replicas, self.name)

    def _center(
        self, losses: Float[Tensor, " K *B"], context: Float[Tensor, "*B F"] | None
    ) -> tuple[Float[Tensor, " K *B"], Float[Tensor, "*B"] | None]:
        """Return the signal of these losses, detached, and the loss of the network.

        Args:
            losses: Detached losses; where the moments have a replica axis, *B leads with it.
            context: Input of the network.
        """
        mean, variance = (
            moment.to(losses.dtype).view(-1, *(1,) * (losses.dim() - 2)) if moment.dim() else moment
            for moment in (self.running_mean, self.running_variance)
        )
        with torch.enable_grad():
            residual = losses
            if self.baseline is not None and context is not None:
                residual = residual - self.baseline(context)
            error = residual - mean
            tuning_loss = None if self.baseline is None else mean_over_samples(error.square())
        signal = error.detach()
        if self.normalise:
            signal = signal / variance.sqrt().clamp(min=1)
        if self.training:
            self._update_moments(residual.detach())
        return signal, tuning_loss

    @torch.no_grad()
    def _update_moments(self, residual: Float[Tensor, " K *B"]) -> None:
        """Move the running moments towards those of these losses."""
        rows = residual.movedim(0, -1).flatten(self.running_mean.dim()).to(self.running_mean.dtype)
        deviation = (rows - self.running_mean.unsqueeze(-1)).square().mean(-1)
        self.running_mean.lerp_(rows.mean(-1), 1 - self.decay)
        self.running_variance.lerp_(deviation, 1 - self.decay)

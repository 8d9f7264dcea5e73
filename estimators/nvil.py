"""Neural variational inference and learning: the score function with learned baselines."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import compact, draw_one_hot, probabilities
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    evaluate,
    flag,
    mean_over_samples,
    sample_count,
)
from raysweep.estimators.learned import Baseline, per_example, replica_view
from raysweep.estimators.noise import Noise
from raysweep.estimators.reinforce import score_estimate


class NVIL(Estimator):
    """The score function with a running mean and a network's prediction as baselines.

    Unbiased unless `normalise` is on: `(f(D) - c - b(x)) (D - pi)`. One evaluation of the objective
    per sample, which need not be differentiable in the sample. The network b, one hidden layer of
    tanh units, exists where there is a context, and learns by squared error; c is the running mean
    of `f - b` over calls in training mode, and a call uses the value from before it.

    Args:
        samples: Independent samples that the estimate averages over.
        normalise: Whether to divide by the signal's running standard deviation where that exceeds
            1, as the paper does: it changes the step size, and makes the estimate biased.
        decay: Decay of the running mean and variance, in [0, 1); 0.8 in the paper.
        hidden: Number of units of the baseline network.

    Raises:
        ValueError: If `samples` or `hidden` is not at least 1, or `decay` not in [0, 1).

    References:
        Mnih, Gregor (2014), arXiv:1402.0030, section 2.3 and algorithm 1.
    """

    name = "nvil"
    unbiased = True
    needs_gradient = False
    reads_context = True
    reference = "Mnih, Gregor (2014), arXiv:1402.0030"
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

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        shape = () if replicas is None else (replicas,)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_variance", torch.zeros(shape))
        if context is not None:
            self.baseline = Baseline(context, self.hidden, replicas, self.name)

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        p = probabilities(compact(logits))
        one_hot = draw_one_hot(p, logits, noise, self.samples)
        losses = evaluate(objective, one_hot)
        mean, variance = (
            per_example(replica_view(moment.to(logits.dtype), logits))
            for moment in (self.running_mean, self.running_variance)
        )
        with torch.enable_grad():
            residual = losses.detach()
            if self.baseline is not None and context is not None:
                residual = residual - self.baseline(context)
            error = residual - mean
            tuning_loss = None if self.baseline is None else mean_over_samples(error.square())
        signal = error.detach()
        if self.normalise:
            signal = signal / variance.sqrt().clamp(min=1)
        if self.training:
            self._update_moments(residual.detach())
        estimate = score_estimate(logits, one_hot - p, losses, signal, one_hot[0])
        return estimate._replace(tuning_loss=tuning_loss)

    @torch.no_grad()
    def _update_moments(self, residual: Float[Tensor, " K *B"]) -> None:
        """Move the running moments towards those of these losses."""
        rows = residual.movedim(0, -1).flatten(self.running_mean.dim()).to(self.running_mean.dtype)
        deviation = (rows - self.running_mean.unsqueeze(-1)).square().mean(-1)
        self.running_mean.lerp_(rows.mean(-1), 1 - self.decay)
        self.running_variance.lerp_(deviation, 1 - self.decay)

"""Neural variational inference and learning: the score function with learned baselines."""

from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator, Sizes
from raysweep.estimators.categorical import (
    draw_one_hot,
    sampling_probabilities,
)
from raysweep.estimators.centring import Centring
from raysweep.estimators.estimate import Estimate, Objective, evaluate
from raysweep.estimators.noise import Noise
from raysweep.estimators.reinforce import score_estimate


class NVIL(Centring[Sizes], Estimator):
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
    reference = "Mnih, Gregor (2014), arXiv:1402.0030"

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        self._build_baselines(context, replicas)

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        p = sampling_probabilities(logits)
        one_hot = draw_one_hot(p, logits, noise, self.samples)
        losses = evaluate(objective, one_hot)
        signal, tuning_loss = self._center(losses.detach(), context)
        estimate = score_estimate(logits, one_hot - p, losses, signal, one_hot[0])
        return estimate._replace(tuning_loss=tuning_loss)

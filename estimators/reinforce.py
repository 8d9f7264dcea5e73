"""Score-function estimators with baselines that need no learning."""

from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    draw_one_hot,
    sampling_probabilities,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    mean_over_samples,
    sample_count,
)
from raysweep.estimators.noise import Noise


class Reinforce(Estimator):
    """The score function times the loss: `f(D) (D - pi)`.

    Unbiased. One evaluation of the objective per sample; the objective need not be differentiable
    in the sample. No baseline, hence the largest variance of all.

    Args:
        samples: Independent samples that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Williams (1992), Machine Learning 8, 229-256.
    """

    name = "reinforce"
    unbiased = True
    needs_gradient = False
    reference = "Williams (1992), Machine Learning 8, 229-256"

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
        return score_estimate(logits, one_hot - p, losses, losses.detach(), one_hot[0])


class ReinforceLOO(Estimator):
    """The score function with the mean loss of the other samples as baseline.

    Unbiased: `1/(K-1) sum_k (f_k - mean f) (D_k - pi)`. K evaluations of the objective, which need
    not be differentiable in the sample.

    Args:
        samples: K, independent samples; at least 2.

    Raises:
        ValueError: If `samples` is not at least 2.

    References:
        Kool, van Hoof, Welling (2019), Buy 4 REINFORCE samples, get a baseline for free.
    """

    name = "reinforce_loo"
    unbiased = True
    needs_gradient = False
    reference = (
        "Kool, van Hoof, Welling (2019), ICLR workshop on deep RL meets structured prediction"
    )

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=sample_count(samples, least=2, purpose="leave-one-out"))

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
        detached = losses.detach()
        signal = (detached - detached.mean(0)) * (self.samples / (self.samples - 1))
        return score_estimate(logits, one_hot - p, losses, signal, one_hot[0])


def score_estimate(
    logits: Float[Tensor, "*B L C"],
    score: Float[Tensor, "K *B L C"],
    losses: Float[Tensor, " K *B"],
    signal: Float[Tensor, " K *B"],
    one_hot: Float[Tensor, "*B L C"],
) -> Estimate:
    """Return detached signals times scores, plus losses for all that the objective closes over.

    Args:
        logits: Logits of the samples.
        score: Samples minus probabilities.
        losses: The objective at the samples.
        signal: The losses minus a baseline, detached.
        one_hot: One of the samples.
    """
    gradient = mean_over_samples(signal[..., None, None] * score)
    return estimate_from_gradient(logits, gradient, losses, one_hot)

"""ARM: antithetic evaluations of a binary variable's reparametrisation."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    MASKED,
    binary_one_hot,
    compact,
    from_log_odds,
    log_odds,
    uniforms,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    even_sample_count,
    mean_over_samples,
)
from raysweep.estimators.noise import Noise


class ARM(Estimator):
    """Antithetic pairs of hard samples, each from one uniform; binary variables only.

    Unbiased. Two evaluations of the objective per pair, which need not be differentiable in the
    sample. With p = sigmoid(a) the probability of class 1, `b = 1[u > 1 - p]` and
    `b' = 1[u < p]`, the gradient to a is `(f(b) - f(b')) (u - 1/2)`.

    Args:
        samples: Hard samples, in pairs that the estimate averages over.

    Raises:
        ValueError: If `samples` is not even and at least 2.

    References:
        Yin, Zhou (2019), arXiv:1807.11143, theorem 1.
    """

    name = "arm"
    unbiased = True
    binary_only = True
    needs_gradient = False
    reference = "Yin, Zhou (2019), arXiv:1807.11143"

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=even_sample_count(samples, self.name))

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        uniform = uniforms(noise, logits, self.samples // 2)
        a = log_odds(compact(logits))
        pair = antithetic_pair(a, uniform)
        losses = evaluate(objective, pair)
        first, second = losses.detach().chunk(2)
        gradient = mean_over_samples((first - second).unsqueeze(-1) * (uniform - 0.5))
        gradient = gradient * (a.abs() < -MASKED / 2)  # a variable with one class left is sure
        gradient = torch.add(gradient, a, alpha=0)  # NaN where a logit is
        return estimate_from_gradient(logits, from_log_odds(gradient), losses, pair[0])


def antithetic_pair(
    a: Float[Tensor, "*b L"], uniform: Float[Tensor, "H *B L"]
) -> Float[Tensor, "K *B L 2"]:
    """Return the hard samples `1[u > 1 - p]` of every uniform u, then those of 1 - u: K = 2H."""
    bits = torch.cat((uniform > torch.sigmoid(-a), uniform < torch.sigmoid(a)))
    return binary_one_hot(bits, a.dtype)

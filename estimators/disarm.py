"""DisARM: ARM with the noise integrated out, given the samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.arm import antithetic_pair
from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import compact, from_log_odds, log_odds, uniforms
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    even_sample_count,
    mean_over_samples,
)
from raysweep.estimators.noise import Noise


class DisARM(Estimator):
    """ARM's expectation given its two hard samples; binary variables only.

    Unbiased, with no more variance than `arm`; also known as U2G. Two evaluations of the objective
    per pair, which need not be differentiable in the sample. With the samples of `arm` the
    gradient to a is `(f(b) - f(b')) (-1)^b' 1[b != b'] sigmoid(|a|) / 2`.

    Args:
        samples: Hard samples, in pairs that the estimate averages over.

    Raises:
        ValueError: If `samples` is not even and at least 2.

    References:
        Dong, Mnih, Tucker (2020), arXiv:2006.10680, equation 6; Yin, Ho, Yan, Qian, Zhou (2020),
        arXiv:2006.06448.
    """

    name = "disarm"
    unbiased = True
    binary_only = True
    needs_gradient = False
    reference = "Dong, Mnih, Tucker (2020), arXiv:2006.10680"

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=even_sample_count(samples, self.name))

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        return estimate_of_bits(logits, objective, noise, self.samples // 2)


def estimate_of_bits(
    logits: Float[Tensor, "*B L 2"], objective: Objective, noise: Noise, pairs: int
) -> Estimate:
    """Return the mean estimate of DisARM over a number of pairs of samples."""
    a = log_odds(compact(logits))
    one_hot = antithetic_pair(a, uniforms(noise, logits, pairs))
    losses = evaluate(objective, one_hot)
    (first, second), (f_first, f_second) = one_hot[..., 1].chunk(2), losses.detach().chunk(2)
    weight = 0.5 * (first - second) * torch.sigmoid(a.abs())
    gradient = mean_over_samples((f_first - f_second).unsqueeze(-1) * weight)
    return estimate_from_gradient(logits, from_log_odds(gradient), losses, one_hot[0])

"""Double control variates: leave-one-out with the objective's gradients at the samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    draw_one_hot,
    jacobian_product,
    sampling_probabilities,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate_and_differentiate,
    sample_count,
)
from raysweep.estimators.learned import Scalar
from raysweep.estimators.noise import Noise


class DoubleCV(Estimator):
    """Leave-one-out, with linear control variates that use the other samples' gradients.

    Unbiased, for any weight. K evaluations of the objective, with gradients G_k at the samples.
    With `F_k = f_k + alpha <mean_{j != k} G_j, D_k - pi>` the gradient is
    `mean_k (F_k - mean_{j != k} F_j) (D_k - pi) - alpha J(pi) mean_k G_k`. alpha starts at 0, which
    is `reinforce_loo`, and is learned, to reduce the squared gradient. The paper has binary
    variables, where `J(pi)` is `p (1 - p)`.

    Args:
        samples: K, independent samples; at least 2.

    Raises:
        ValueError: If `samples` is not at least 2.

    References:
        Titsias, Shi (2022), arXiv:2111.05300, section 4.
    """

    name = "double_cv"
    unbiased = True
    needs_gradient = True
    reference = "Titsias, Shi (2022), arXiv:2111.05300"
    alpha: Scalar

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=sample_count(samples, least=2, purpose=self.name))

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        self.alpha = Scalar(0.0, replicas, "real")

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        p = sampling_probabilities(logits)
        one_hot = draw_one_hot(p, logits, noise, self.samples)
        losses, slopes = evaluate_and_differentiate(objective, one_hot, self.name)
        score = one_hot - p
        plain = leave_one_out(losses.detach(), score)
        others = (slopes.sum(0) - slopes) / (self.samples - 1)
        exact = jacobian_product([(1.0, p)], slopes.mean(0, keepdim=True)).squeeze(0)
        control = leave_one_out((others * score).sum((-2, -1)), score) - exact
        with torch.enable_grad():
            gradient = plain + self.alpha(logits) * control
            tuning_loss = gradient.square().sum((-2, -1))
        return estimate_from_gradient(logits, gradient, losses, one_hot[0], tuning_loss)


def leave_one_out(
    signal: Float[Tensor, " K *B"], score: Float[Tensor, "K *B L C"]
) -> Float[Tensor, "*B L C"]:
    """Return the mean over k of `(signal_k - mean_{j != k} signal_j) score_k`."""
    centred = (signal - signal.mean(0)) / (len(signal) - 1)
    return (centred[..., None, None] * score).sum(0)

"""The straight-through estimator."""

from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import HardForwardEstimator
from raysweep.estimators.carrying import carry_gradient
from raysweep.estimators.categorical import (
    compact,
    draw_one_hot,
    jacobian_product,
    probabilities,
)
from raysweep.estimators.noise import Noise


class StraightThrough(HardForwardEstimator):
    """Hard sample forward, softmax Jacobian backward.

    Biased, except for objectives linear in the one-hot sample. One evaluation of the objective
    per sample. The gradient is `(1/tau) J(softmax(theta/tau)) g` with g the objective's gradient
    at the sample; the sample itself is drawn at temperature 1.

    Args:
        temperature: tau, which divides the logits in the backward pass only; > 0, dimensionless.
        samples: Hard samples that the estimate averages over.

    Raises:
        ValueError: If `temperature` is not positive or `samples` not at least 1.

    References:
        Bengio, Leonard, Courville (2013), arXiv:1308.3432, section 4; with a temperature as in
        Liu et al. (2023), arXiv:2304.08612, algorithm 1.
    """

    name = "straight_through"
    reference = "Bengio, Leonard, Courville (2013), arXiv:1308.3432"

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        temperature = self._broadcast("temperature", logits)
        constant = compact(logits)
        p = probabilities(constant)
        one_hot = draw_one_hot(p, logits, noise, samples)
        relaxed = tempered(constant, p, temperature)
        terms = [(1 / temperature, relaxed)]
        return carry_gradient(logits, one_hot, lambda g: jacobian_product(terms, g))


def tempered(
    constant: Float[Tensor, "*b L C"], p: Float[Tensor, "*b L C"], temperature: float | Tensor
) -> Float[Tensor, "... L C"]:
    """Return probabilities at a temperature, given those at temperature 1."""
    if isinstance(temperature, float) and temperature == 1:
        return p
    return probabilities(constant / temperature)

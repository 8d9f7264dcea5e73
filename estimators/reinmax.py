"""ReinMax: a second-order straight-through estimator."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import HardForwardEstimator
from raysweep.estimators.carrying import carry_gradient
from raysweep.estimators.categorical import (
    Term,
    binary_jacobian_product,
    compact,
    draw_one_hot,
    is_small,
    jacobian_product,
    probabilities,
)
from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import tempered

PROBABILITY_FLOOR = 1e-12
"""The least probability of a sampled class that the uniform baseline divides by."""


class ReinMax(HardForwardEstimator):
    """Heun's method in place of straight-through's Euler step, at the same cost.

    Biased, except for objectives that are quadratic in the one-hot sample at temperature 1. One
    evaluation of the objective per sample. With D the sample, g the objective's gradient there,
    J(p) the softmax Jacobian and `m = (D + softmax(theta/tau)) / 2`, the gradient is

    - baseline "expected" (equation 7): `2 J(m) g - J(pi) g / 2`;
    - baseline "uniform" (remark 4.1 with Heun's method): the same with the mean over categories
      as baseline, `((g_D - mean g) (D - pi) + J(pi) g / (C pi_D)) / 2`. Its variance grows without
      bound as pi_D goes to 0; pi_D is floored at 1e-12. Follows the formula: the authors' kernel
      for it deviates from their own remark. It is defined at temperature 1 only.

    Args:
        temperature: tau, which divides the logits of m, not of pi; >= 1, dimensionless.
        baseline: Baseline of the approximated finite differences, "expected" or "uniform".
        samples: Hard samples that the estimate averages over.

    Raises:
        ValueError: If `temperature` is below 1, or not 1 with the uniform baseline; if `baseline`
            is unknown; if `samples` is not at least 1.

    References:
        Liu, Dong, Liu, Yu, Gao (2023), arXiv:2304.08612, algorithm 2.
    """

    name = "reinmax"
    reference = "Liu, Dong, Liu, Yu, Gao (2023), arXiv:2304.08612"
    least_temperature = 1.0
    baseline: Literal["expected", "uniform"] = "expected"

    def __init__(
        self,
        *,
        temperature: float | Tensor = 1.0,
        baseline: Literal["expected", "uniform"] = "expected",
        samples: int = 1,
    ) -> None:
        super().__init__(temperature=temperature, samples=samples)
        if baseline not in ("expected", "uniform"):
            raise ValueError(f"baseline must be 'expected' or 'uniform', got {baseline!r}")
        self.baseline = baseline
        self.set_temperature(temperature)  # which the baseline may refuse

    def _misfit(self, temperature: float | Tensor) -> str | None:
        at_one = temperature == 1
        if self.baseline == "expected" or (at_one.all() if isinstance(at_one, Tensor) else at_one):
            return None
        return f"the uniform baseline needs temperature 1, got {temperature}"

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        temperature = self._broadcast("temperature", logits)
        constant = compact(logits)
        p = probabilities(constant)
        one_hot = draw_one_hot(p, logits, noise, samples)
        if self.baseline == "uniform":
            return carry_gradient(
                logits,
                one_hot,
                lambda g: _uniform_gradient(one_hot, p, g),
                lambda x: _uniform_adjoint(one_hot, p, x),
            )
        relaxed = tempered(constant, p, temperature)

        is_binary = logits.shape[-1] == 2 and not is_small(logits)
        backward = _binary_gradient if is_binary else _gradient
        return carry_gradient(logits, one_hot, lambda g: backward(one_hot, p, relaxed, g))


def _gradient(
    one_hot: Float[Tensor, "K *B L C"],
    p: Float[Tensor, "*b L C"],
    relaxed: Float[Tensor, "... L C"],
    gradient: Float[Tensor, "K *B L C"],
) -> Float[Tensor, "K *B L C"]:
    terms: list[Term] = [(2.0, (one_hot + relaxed).mul_(0.5)), (-0.5, p)]
    return jacobian_product(terms, gradient)


def _binary_gradient(
    one_hot: Float[Tensor, "K *B L 2"],
    p: Float[Tensor, "*b L 2"],
    relaxed: Float[Tensor, "... L 2"],
    gradient: Float[Tensor, "K *B L 2"],
) -> Float[Tensor, "K *B L 2"]:
    """Return `_gradient` by `4 m_0 m_1 = q + q_0 q_1`, q the relaxed p of the class not drawn."""
    first, second = relaxed.unbind(-1)
    weight = torch.lerp(first, second, one_hot[..., 0]).mul_(0.5)
    if relaxed is not p:
        weight += 0.5 * (first * second - p[..., 0] * p[..., 1])
    return binary_jacobian_product(weight, gradient)


def _uniform_gradient(
    one_hot: Float[Tensor, "K *B L C"],
    p: Float[Tensor, "*b L C"],
    gradient: Float[Tensor, "K *B L C"],
) -> Float[Tensor, "K *B L C"]:
    weight, rest = _uniform_parts(one_hot, p)
    excess = ((one_hot - rest) * gradient).sum(-1, keepdim=True)
    return 0.5 * excess * (one_hot - p) + jacobian_product([(0.5 * weight, p)], gradient)


def _uniform_adjoint(
    one_hot: Float[Tensor, "K *B L C"], p: Float[Tensor, "*b L C"], x: Float[Tensor, "K *B L C"]
) -> Float[Tensor, "K *B L C"]:
    """Return the adjoint of `_uniform_gradient`, whose first part is an outer product."""
    weight, rest = _uniform_parts(one_hot, p)
    along = ((one_hot - p) * x).sum(-1, keepdim=True)
    return 0.5 * along * (one_hot - rest) + jacobian_product([(0.5 * weight, p)], x)


def _uniform_parts(
    one_hot: Float[Tensor, "K *B L C"], p: Float[Tensor, "*b L C"]
) -> tuple[Float[Tensor, "K *B L 1"], Float[Tensor, "*b L C"]]:
    """Return `1 / (C pi_D)`, and 1 / C; C counts the categories that are not masked."""
    present = (p > 0).to(p.dtype)
    count = present.sum(-1, keepdim=True)
    p_sample = (one_hot * p).sum(-1, keepdim=True).clamp(min=PROBABILITY_FLOOR)
    return 1 / (count * p_sample), present / count

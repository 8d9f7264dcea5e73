"""Estimators that perturb the logits with Gumbel noise and relax the arg max."""

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import HardForwardEstimator, PathwiseEstimator
from raysweep.estimators.carrying import carry_gradient, with_gradients
from raysweep.estimators.categorical import (
    MASKED,
    argmax_one_hot,
    binary_jacobian_product,
    draw_one_hot,
    exponentials,
    is_small,
    jacobian_product,
    log_odds,
    matrix_product,
    probabilities,
    sampling_probabilities,
    uniforms,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_at,
    evaluate,
    mean_over_samples,
    no_gradient,
)
from raysweep.estimators.noise import Noise

FEW_NUMBERS = 64
"""Numbers per variable up to which the draws are kept, not their mean Jacobian."""

FEW_DRAWN = 2**12
"""Numbers of all draws up to which each has its own Jacobian's product."""

CHUNK_NUMBERS = 2**22
"""Numbers per replica that conditional Gumbel draws hold at a time."""


def _straight_through_sample(
    logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None, temperature: float | Tensor
) -> Float[Tensor, "K *B L C"]:
    """Return the arg max of perturbed logits, with the gradient of their tempered softmax."""
    perturbed = logits.detach().clamp(min=MASKED) - exponentials(noise, logits, samples).log()
    terms = [(1 / temperature, probabilities(perturbed / temperature))]
    one_hot = argmax_one_hot(perturbed)
    return carry_gradient(logits, one_hot, lambda g: jacobian_product(terms, g))


class STGumbelSoftmax(HardForwardEstimator):
    """Hard Gumbel-max sample forward, Gumbel-softmax Jacobian backward.

    Biased. One evaluation of the objective per sample. With G Gumbel noise and
    `D = argmax(theta + G)` the gradient is `(1/tau) J(softmax((theta + G)/tau)) g(D)`.

    Args:
        temperature: tau of the relaxation; > 0, dimensionless.
        samples: Hard samples that the estimate averages over.

    Raises:
        ValueError: If `temperature` is not positive or `samples` not at least 1.

    References:
        Jang, Gu, Poole (2017), arXiv:1611.01144, section 2.2.
    """

    name = "st_gumbel_softmax"
    reference = "Jang, Gu, Poole (2017), arXiv:1611.01144"

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        temperature = self._broadcast("temperature", logits)
        return _straight_through_sample(logits, noise, samples, temperature)


class GumbelSoftmax(PathwiseEstimator):
    """Relaxed sample `softmax((theta + G)/tau)` in place of the hard one.

    Biased: it is the exact gradient of another objective, the relaxed one, which need not bound
    the true one. The surrogate, and with it the gradient of what the objective closes over, is
    taken at relaxed samples; `value` and `sample` at the hard samples of the same noise. Both are
    evaluated in one call of the objective, stacked along the sample axis: two evaluations each.
    `sample(logits, noise)` is hard, and carries the gradient of the relaxed sample.

    Args:
        temperature: tau of the relaxation; > 0, dimensionless.
        samples: Relaxed samples that the estimate averages over.

    Raises:
        ValueError: If `temperature` is not positive or `samples` not at least 1.

    References:
        Jang, Gu, Poole (2017), arXiv:1611.01144; Maddison, Mnih, Teh (2017), arXiv:1611.00712.
    """

    name = "gumbel_softmax"
    reference = "Maddison, Mnih, Teh (2017), arXiv:1611.00712"

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: a relaxed and a hard one per sample."""
        return 2 * self.samples

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        temperature = self._broadcast("temperature", logits)
        return _straight_through_sample(logits, noise, samples, temperature)

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        perturbed = logits - exponentials(noise, logits, self.samples).log()
        hard = argmax_one_hot(perturbed.detach())
        soft = probabilities(perturbed / self._broadcast("temperature", logits))
        relaxed, at_hard = evaluate(objective, torch.cat((soft, hard))).chunk(2)
        if soft.requires_grad and not relaxed.requires_grad:
            raise no_gradient(self.name)
        value = mean_over_samples(at_hard.detach())
        surrogate = with_gradients(value, mean_over_samples(relaxed))
        return Estimate(surrogate, value, hard[0])


class GumbelRao(PathwiseEstimator):
    """Straight-through Gumbel-softmax, averaged over Gumbel noise given the hard sample.

    Biased exactly as `st_gumbel_softmax`, with less variance the more draws. One evaluation of the
    objective. The perturbation is a constant in the backward pass, which is the convention of the
    public implementations (nshepperd/gumbel-rao-pytorch, and the authors' of `gapped_st`,
    chijames/GST). The paper's text takes the total derivative, through the conditional noise too:
    that is another estimator, whose mean is 79 % of the gradient's length away from that of
    `st_gumbel_softmax` where it was first measured, and 59 to 83 % in six more problems. Draws are
    taken in chunks. Of at least as many draws as categories only the means of s and `s s^T` are
    kept, so memory does not grow with their number.

    Args:
        temperature: tau of the relaxation; > 0, dimensionless.
        samples: K, conditional Gumbel draws for the one hard sample.

    Raises:
        ValueError: If `temperature` is not positive or `samples` not at least 1.

    References:
        Paulus, Maddison, Krause (2021), arXiv:2010.04838, section 4.
    """

    name = "gumbel_rao"
    reference = "Paulus, Maddison, Krause (2021), arXiv:2010.04838"

    def __init__(self, *, temperature: float | Tensor = 1.0, samples: int = 100) -> None:
        super().__init__(temperature=temperature, samples=samples)

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: one, whatever the number of draws."""
        return 1

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        return estimate_at(self._draw(logits, noise, 1), objective)

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        p = sampling_probabilities(logits)
        one_hot = draw_one_hot(p, logits, noise, samples)
        hard = one_hot if samples is None else one_hot.squeeze(0)
        temperature = self._broadcast("temperature", logits)
        scale = 1 / (temperature * self.samples)
        if logits.shape[-1] == 2:
            weight = self._mean_weight(logits.detach(), hard, temperature, noise)
            return carry_gradient(logits, one_hot, lambda g: binary_jacobian_product(weight, g))
        draws = self._draws(logits, (p, hard), temperature, noise)
        if is_small(logits) and self.samples * logits.numel() <= FEW_DRAWN:
            s = torch.cat(list(draws))
            return carry_gradient(
                logits,
                one_hot,
                lambda g: jacobian_product([(scale, s)], g.expand_as(s)).sum(0).view_as(g),
            )
        if self.samples < logits.shape[-1] or self.samples * logits.shape[-1] <= FEW_NUMBERS:
            s = torch.cat([part.movedim(0, -2) for part in draws], -2)  # `*B L K C`
            total = s.sum(-2)

            def product(g: Float[Tensor, "1 *B L C"]) -> Float[Tensor, "1 *B L C"]:
                at_draws = matrix_product(s, g.unsqueeze(-1))
                return scale * (total * g - matrix_product(s.mT, at_draws).squeeze(-1))

            return carry_gradient(logits, one_hot, product)
        jacobian = _mean_jacobian(logits.detach(), draws, scale)
        return carry_gradient(
            logits, one_hot, lambda g: matrix_product(jacobian, g.unsqueeze(-1)).squeeze(-1)
        )

    def _draws(
        self,
        logits: Float[Tensor, "*B L C"],
        sample: tuple[Float[Tensor, "*b L C"], Float[Tensor, "*B L C"]],
        temperature: float | Tensor,
        noise: Noise,
    ) -> Iterator[Float[Tensor, "K *B L C"]]:
        """Yield the relaxed samples given the hard one, as many at a time as a chunk holds.

        Args:
            logits: Logits of the samples.
            sample: Probabilities, and the hard sample.
            temperature: Temperature of the relaxation.
            noise: Source of the draws.
        """
        for count in self._chunks(noise, logits):
            ratio = _conditional_ratio(*sample, exponentials(noise, logits, count))
            if is_small(logits):
                yield (ratio.log1p() / -temperature).softmax(-1)
            else:
                weights = _power(1 + ratio, -1 / temperature)
                yield weights / weights.sum(-1, keepdim=True)

    def _mean_weight(
        self,
        logits: Float[Tensor, "*B L 2"],
        one_hot: Float[Tensor, "*B L 2"],
        temperature: float | Tensor,
        noise: Noise,
    ) -> Float[Tensor, "*B L"]:
        """Average `(1/tau) s_0 s_1` over draws, for two categories.

        The drawn class leads by a logistic variable given its sign. With its odds r and v uniform,
        the other class's weight relative to it, before the temperature, is `(1 - v) / (1 + v r)`.
        """
        odds = ((one_hot[..., 1] - one_hot[..., 0]) * log_odds(logits)).exp()
        temperature = temperature.squeeze(-1) if isinstance(temperature, Tensor) else temperature
        total = torch.zeros_like(odds)
        for count in self._chunks(noise, odds):
            v = uniforms(noise, logits, count)
            relative = (1 - v) / torch.addcmul(torch.ones_like(odds), v, odds)
            relative = _power(relative, 1 / temperature)
            total += (relative / (1 + relative).square()).sum(0)
        return total / (temperature * self.samples)

    def _chunks(self, noise: Noise, like: Tensor) -> list[int]:
        """Return the numbers of draws to take at a time."""
        numbers = math.prod(noise.replica_shape(like.shape))
        chunk = min(max(CHUNK_NUMBERS // max(numbers, 1), 1), self.samples)
        full, rest = self.samples // chunk, self.samples % chunk
        return [chunk] * full + [rest] * (rest > 0)


def _mean_jacobian(
    like: Float[Tensor, "*B L C"],
    draws: Iterable[Float[Tensor, "K *B L C"]],
    scale: float | Tensor,
) -> Float[Tensor, "*B L C C"]:
    """Average `(1/tau) J(s)` over draws, that is `(1/tau) (diag(s) - s s^T)`.

    Args:
        like: Numbers in the shape of one draw.
        draws: The relaxed samples s, in parts.
        scale: The inverse of their number times tau.
    """
    mean, outer = torch.zeros_like(like), like.new_zeros(*like.shape, like.shape[-1])
    for s in draws:
        mean += s.sum(0)
        by_draw = s.movedim(0, -1)
        outer += matrix_product(by_draw, by_draw.mT)
    return (torch.diag_embed(mean) - outer) * (
        scale.unsqueeze(-1) if isinstance(scale, Tensor) else scale
    )


def _conditional_ratio(
    p: Float[Tensor, "*b L C"], one_hot: Float[Tensor, "*B L C"], draws: Float[Tensor, "K *B L C"]
) -> Float[Tensor, "K *B L C"]:
    """Return `E_c / (E_D pi_c)`, and 0 at the sample D, of exponentials E.

    Of logits perturbed given their arg max D, with log pi as logits, the largest is `-log E_D`, and
    the others are `-log(E_c / pi_c + E_D)`. So relative to D a category weighs
    `(1 + ratio) ** (-1/tau)` in their tempered softmax: at most 1, and 0 where that overflows.
    """
    at_sample = (draws * one_hot).sum(-1, keepdim=True)
    return (draws / at_sample / p).masked_fill(one_hot.bool(), 0.0)


def _power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """Raise to a power, without torch's slow power where a simpler operation will do."""
    if isinstance(exponent, float) and exponent in (1.0, -1.0):
        return base if exponent == 1 else base.reciprocal()
    return base**exponent

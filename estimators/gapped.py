"""The gapped straight-through estimator."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import HardForwardEstimator
from raysweep.estimators.carrying import carry_gradient
from raysweep.estimators.categorical import (
    compact,
    draw_one_hot,
    jacobian_product,
    log_normaliser,
    probabilities,
)
from raysweep.estimators.noise import Noise


class GappedST(HardForwardEstimator):
    """Straight-through at logits moved so that the sampled class leads by a gap.

    Biased. One evaluation of the objective per sample. The sampled class gets the largest logit,
    every other class at most that minus the gap; the move is a constant in the backward pass, whose
    gradient is `(1/tau) J(softmax(moved/tau)) g`. With gap "expected" (GST-p) the gap is
    `-log(1 - pi_D) / pi_D`, by which the Gumbel-max process separates the two largest perturbed
    logits on average, given D; it is computed in log space, where the authors' code shrinks pi_D.

    Args:
        temperature: tau, which divides the moved logits; > 0, dimensionless.
        gap: Least lead of the sampled class's logit, >= 0; 1.0 is the paper's GST-1.0.
        samples: Hard samples that the estimate averages over.

    Raises:
        ValueError: If `temperature` is not positive, `gap` negative or unknown, or `samples`
            not at least 1.
        TypeError: If `gap` is a tensor.

    References:
        Fan, Chi, Rudnicky, Ramadge (2022), arXiv:2206.07235, section 3.
    """

    name = "gapped_st"
    reference = "Fan, Chi, Rudnicky, Ramadge (2022), arXiv:2206.07235"

    def __init__(
        self,
        *,
        temperature: float | Tensor = 1.0,
        gap: float | Literal["expected"] = 1.0,
        samples: int = 1,
    ) -> None:
        super().__init__(temperature=temperature, samples=samples)
        if isinstance(gap, Tensor):
            raise TypeError(
                "gap must be a number >= 0 or 'expected', got a tensor, for which no gradient is "
                "computed; use its item()"
            )
        number = isinstance(gap, int | float) and not isinstance(gap, bool)
        if gap != "expected" and not (number and 0 <= float(gap) < float("inf")):
            raise ValueError(f"gap must be a number >= 0 or 'expected', got {gap!r}")
        self.gap = gap

    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        temperature = self._broadcast("temperature", logits)
        constant = compact(logits)
        p = probabilities(constant)
        one_hot = draw_one_hot(p, logits, noise, samples)
        gap = expected_gap(constant, p, one_hot) if self.gap == "expected" else float(self.gap)
        top = constant.amax(-1, keepdim=True)
        moved = torch.where(one_hot.bool(), top, torch.minimum(constant, top - gap))
        terms = [(1 / temperature, probabilities(moved / temperature))]
        return carry_gradient(logits, one_hot, lambda g: jacobian_product(terms, g))


def expected_gap(
    logits: Float[Tensor, "*b L C"],
    p: Float[Tensor, "*b L C"],
    one_hot: Float[Tensor, "K *B L C"],
) -> Float[Tensor, "K *B L 1"]:
    """Return `-log(1 - p_D) / p_D`: 1 in the limit of a small p_D, large where it is near 1."""
    smallest = torch.finfo(p.dtype).tiny
    at_sample = (one_hot * p).sum(-1, keepdim=True).clamp(min=smallest)
    if logits.shape[-1] == 2:
        others = (logits * (1 - one_hot)).sum(-1, keepdim=True)
    else:
        others = logits.masked_fill(one_hot.bool(), -torch.inf).logsumexp(-1, keepdim=True)
    log_rest = others - log_normaliser(logits).unsqueeze(-1)
    # each form is accurate where the other cancels
    small = at_sample < 0.5
    return -torch.where(small, torch.log1p(-at_sample.clamp(max=0.5)), log_rest) / at_sample

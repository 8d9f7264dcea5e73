"""The bound of K samples, each with a baseline from the others."""

import math
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.carrying import with_gradients
from raysweep.estimators.categorical import (
    draw_one_hot,
    sampling_probabilities,
)
from raysweep.estimators.estimate import Estimate, Objective, evaluate, sample_count
from raysweep.estimators.method import Target
from raysweep.estimators.noise import Noise

Mean = Literal["geometric", "arithmetic"]
"""Mean of the weights of the other samples, which replaces the weight of a sample."""


class VIMCO(Estimator):
    """The gradient of the bound of K samples, `L = -log 1/K sum_k exp(-f_k)`.

    Unbiased for the expectation of L, not of f: the objective returns `f = -log w`, such as
    `log q(D) - log p(x, D)`, with its gradient through log q too, and what is minimised is the
    importance-weighted bound, as a loss. K evaluations of the objective, which need not be
    differentiable in the sample. The gradient is `sum_k (L - L_k) (D_k - pi)`, L_k being L with w_k
    replaced by a mean of the others; the gradient to what the objective closes over is
    `sum_k w_k grad f_k / sum_k w_k`. `value` is L at the samples. Losses must be finite: where all
    other weights (geometric: one of them) are 0, L_k is infinite, and so is the gradient.

    Args:
        mean: Mean of the other weights in L_k: "geometric", or "arithmetic".
        samples: K, independent samples of the bound; at least 2.

    Raises:
        ValueError: If `mean` is another name, or `samples` not at least 2.

    References:
        Mnih, Rezende (2016), arXiv:1602.06725; the bound is that of Burda, Grosse,
        Salakhutdinov (2016), arXiv:1509.00519, equation 8.
    """

    name = "vimco"
    unbiased = True
    target: ClassVar[Target] = "bound"
    needs_gradient = False
    reference = "Mnih, Rezende (2016), arXiv:1602.06725"

    def __init__(self, *, samples: int = 2, mean: Mean = "geometric") -> None:
        super().__init__(samples=sample_count(samples, least=2, purpose=self.name))
        if mean not in get_args(Mean):
            raise ValueError(f"mean must be 'geometric' or 'arithmetic', got {mean!r}")
        self.mean = mean

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
        bound = bound_of(losses)
        signal = bound.detach() - self._bounds_without(losses.detach())
        gradient = (signal[..., None, None] * (one_hot - p)).sum(0)
        surrogate = with_gradients(bound.detach(), bound, [logits], [gradient])
        return Estimate(surrogate, bound.detach(), one_hot[0])

    def _bounds_without(self, losses: Float[Tensor, " K *B"]) -> Float[Tensor, " K *B"]:
        """Return the bounds in which a loss is replaced by a mean of the others, for each loss."""
        is_replaced = torch.eye(self.samples, dtype=torch.bool, device=losses.device)
        is_replaced = is_replaced.view(*is_replaced.shape, *(1,) * (losses.dim() - 1))
        if self.mean == "arithmetic":  # then the mean over K weights is that over the others
            others = torch.where(is_replaced, torch.inf, losses)
            return math.log(self.samples - 1) - (-others).logsumexp(1)
        others = torch.where(is_replaced, 0.0, losses).sum(1, keepdim=True) / (self.samples - 1)
        return math.log(self.samples) - (-torch.where(is_replaced, others, losses)).logsumexp(1)


def bound_of(losses: Float[Tensor, " K *B"]) -> Float[Tensor, "*B"]:
    """Return the bound of K samples as a loss, `-log 1/K sum_k exp(-f_k)`, differentiable.

    Args:
        losses: Losses `f = -log w` of the samples.
    """
    return math.log(len(losses)) - (-losses).logsumexp(0)

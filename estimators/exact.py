"""Enumeration of all states: the exact expectation, and its gradient."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    Link,
    draw_one_hot,
    log_normaliser,
    sampling_probabilities,
    softmax_logits,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    evaluate,
)
from raysweep.estimators.noise import Noise

MAX_STATES = 2**20
"""The largest number of states that is enumerated."""

CHUNK_NUMBERS = 2**22
"""Numbers in the one-hot states that one call of the objective sees."""


class Exact(Estimator):
    """The exact gradient, by enumeration of all `C**L` states.

    Unbiased, without variance. `C**L` evaluations of the objective, at most 2**20, in chunks that
    the backward pass evaluates again where there are several. `value` is the expectation, the sum
    over states of `q(D) f(D)`, and the gradient is its derivative.

    Args:
        samples: Hard samples, of which `sample` is one; nothing else depends on them.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Liu et al. (2023), arXiv:2304.08612, section 5.2, uses it as the reference.
    """

    name = "exact"
    version = 2
    unbiased = True
    needs_gradient = False
    reference = "Liu, Dong, Liu, Yu, Gao (2023), arXiv:2304.08612, section 5.2"

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: one per state."""
        return categories**latents

    def _check(self, latents: int, categories: int) -> str | None:
        return _refusal(latents, categories)

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        expected = _enumerate(_log_softmax(logits), objective)
        one_hot = draw_one_hot(sampling_probabilities(logits), logits, noise, self.samples)
        return Estimate(expected, expected.detach(), one_hot[0])


def expectation(
    logits: Float[Tensor, "*B L C"], objective: Objective, link: Link = "softmax"
) -> Float[Tensor, "*B"]:
    """Return `E[objective(D)]`, differentiable in logits and in all that the objective closes over.

    Args:
        logits: Logits of L independent variables with C categories.
        objective: Function from one-hot `K *B L C` to losses `K *B`; K runs over states.
        link: "softmax", or "probit" for C = 2 with P(class 1) = Phi(theta_1 - theta_0).

    Raises:
        ValueError: If there are more than `MAX_STATES` states, the link is unknown, or it is
            "probit" with C > 2.
    """
    if logits.ndim < 2:
        raise ValueError(f"logits must be `*B L C`, got shape {tuple(logits.shape)}")
    latents, categories = logits.shape[-2:]
    if (reason := _refusal(latents, categories)) is not None:
        raise ValueError(reason)
    if link == "probit":
        if categories != 2:
            raise ValueError(f"the probit link needs 2 categories, got {categories}; use 'softmax'")
        log_p = softmax_logits(logits, link)
    elif link == "softmax":
        log_p = _log_softmax(logits)
    else:
        raise ValueError(f"link must be 'softmax' or 'probit', got {link!r}")
    return _enumerate(log_p, objective)


def _log_softmax(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B L C"]:
    return logits - log_normaliser(logits).unsqueeze(-1)


def _refusal(latents: int, categories: int) -> str | None:
    if latents * math.log2(categories) <= math.log2(MAX_STATES):
        return None
    return (
        f"exact enumeration needs at most {MAX_STATES} states, "
        f"got {categories}**{latents}; use fewer latents or a sampling estimator"
    )


def _enumerate(log_p: Float[Tensor, "*B L C"], objective: Objective) -> Float[Tensor, "*B"]:
    """Return the expectation, summed over all states in order."""
    *batch, latents, categories = log_p.shape
    states = categories**latents
    chunk = max(1, min(states, CHUNK_NUMBERS // max(1, log_p.numel())))
    total = log_p.new_zeros(batch)
    for start in range(0, states, chunk):
        one_hot = _states(start, min(start + chunk, states), log_p)

        def part(log_p: Tensor, one_hot: Tensor = one_hot) -> Tensor:
            state_losses = evaluate(objective, one_hot)
            chosen = torch.where(one_hot.bool(), log_p, 0)  # a product with -inf is no number
            weights = chosen.sum((-2, -1)).exp()
            return (weights * state_losses).sum(0)

        if chunk < states and torch.is_grad_enabled():
            share = checkpoint(part, log_p, use_reentrant=False)
        else:
            share = part(log_p)
        total = total + share
    return total


def _states(start: int, stop: int, like: Float[Tensor, "*B L C"]) -> Float[Tensor, "S *B L C"]:
    """Return the one-hot states `start` to `stop`, the last latent running fastest."""
    *batch, latents, categories = like.shape
    numbers = torch.arange(start, stop, device=like.device)
    place_values = torch.tensor(_place_values(latents, categories), device=like.device)
    digits = numbers.unsqueeze(-1) // place_values % categories
    one_hot = torch.nn.functional.one_hot(digits, categories).to(like.dtype)
    shape = (len(numbers), *(1 for _ in batch), latents, categories)
    return one_hot.view(shape).expand(-1, *batch, -1, -1)


def _place_values(latents: int, categories: int) -> list[int]:
    return [categories ** (latents - 1 - latent) for latent in range(latents)]

"""Distinct joint states, weighted by the probability that each was drawn first."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.carrying import with_gradients
from raysweep.estimators.categorical import MASKED, compact, exponentials, probabilities
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    evaluate,
    flag,
    sample_count,
)
from raysweep.estimators.noise import Noise

IMPOSSIBLE = MASKED / 2
"""Log-probability below which a state has a masked category."""

_LOWEST = -28.0
"""First point of the quadrature; the remainder below it is exp(-28) of an integral."""


class UnorderedSet(Estimator):
    """K distinct joint states, drawn without replacement, with the weights of their set.

    Unbiased. K evaluations of the objective, which need not be differentiable in the sample. With
    p(s) the probability of a joint state of all variables, S the set that was drawn, and
    `R(S, s) = p(S - s drawn from all states but s) / p(S)`, the estimate of the expectation is
    `sum_s p(s) R(S, s) f(s)`, whose weights sum to 1. With the baseline
    `sum_s' p(s') R'(S, s') f(s')`, R' the ratio among all states but s, the gradient is the sum
    over pairs of `w (f(s) - f(s')) (s - s')`, `w = p(s) p(s') p(S - s - s') / p(S)`, each p of a
    set among all states but those taken from S. It is exact if S holds every state that is not
    masked. States are drawn by stochastic beam search over the variables, as race times:
    the time of a state's first variables is the least time of the states that they begin.

    Args:
        baseline: Whether to subtract the baseline; without it, one sample is `reinforce`.
        samples: K, distinct states; at most C^L, at least 2 with the baseline.

    Raises:
        ValueError: If `baseline` is neither true nor false, or `samples` not large enough.

    References:
        Kool, van Hoof, Welling (2020), arXiv:2002.06043, with the baseline of second-order
        leave-one-out ratios; beam search: Kool, van Hoof, Welling (2019), arXiv:1903.06059.
    """

    name = "unordered_set"
    unbiased = True
    needs_gradient = False
    reference = "Kool, van Hoof, Welling (2020), arXiv:2002.06043"

    def __init__(self, *, samples: int = 2, baseline: bool = True) -> None:
        if flag("baseline", baseline):
            sample_count(samples, least=2, purpose=f"the baseline of {self.name}")
        super().__init__(samples=samples)
        self.baseline = baseline

    def _check(self, latents: int, categories: int) -> str | None:
        if latents * math.log(categories) >= math.log(self.samples) - 1e-9:
            return None
        return (
            f"{self.name} draws distinct states, so samples must be at most {categories}**{latents}"
            f" = {categories**latents}, got {self.samples}"
        )

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        constant = compact(logits)
        draws = exponentials(noise, logits, self.samples).movedim(0, -3).double()
        drawn = draw_distinct(constant.double().log_softmax(-1), draws)
        one_hot = drawn.one_hot.movedim(-3, 0).to(logits.dtype)
        losses = evaluate(objective, one_hot)
        first, pairs = set_weights(drawn.log_p, drawn.log_rest)
        weights = first.movedim(-1, 0).to(losses.dtype)
        f = losses.detach()
        if self.baseline:
            gaps = f.unsqueeze(1) - f  # K K *B
            signal = (pairs.movedim((-2, -1), (0, 1)).to(losses.dtype) * gaps).sum(1)
        else:
            signal = weights * f
        score = one_hot - probabilities(constant)
        gradient = (signal[..., None, None] * score).sum(0).expand_as(logits)
        direct = (weights * losses).sum(0)
        surrogate = with_gradients(direct.detach(), direct, [logits], [gradient])
        return Estimate(surrogate, direct.detach(), one_hot[0])


class DistinctStates(NamedTuple):
    """Joint states drawn without replacement, in their order.

    Args:
        one_hot: The states. Where fewer than K are possible, the first is repeated.
        log_p: Log-probabilities, below `IMPOSSIBLE` for repeated states.
        log_rest: Log of the probability of all other states, below `IMPOSSIBLE` if it is 0.
    """

    one_hot: Float[Tensor, "*B K L C"]
    log_p: Float[Tensor, "*B K"]
    log_rest: Float[Tensor, "*B"]


def draw_distinct(
    log_p: Float[Tensor, "*b L C"], draws: Float[Tensor, "*B K L C"]
) -> DistinctStates:
    """Draw joint states without replacement, in time linear in L.

    State s arrives at a time with rate p(s), and the first K are kept. Given the first time among
    the states of a node, one child has that time, and the others' times after it are exponential:
    `T_c = T + (e_c / pi_c - min e / pi) / p(node)`, here as logarithms. What a level leaves out
    makes up the rest, so its probability is a sum without cancellation.

    Args:
        log_p: Log-probabilities of the categories.
        draws: Standard exponentials, one for each state, variable and category.
    """
    *batch, count, latents, categories = draws.shape
    mass, time = (draws.new_full((*batch, 1), start) for start in (0.0, -math.inf))
    rest = [draws.new_full(batch, -math.inf)]
    states = torch.zeros((*batch, 1, 0), dtype=torch.int64, device=draws.device)
    for latent in range(latents):
        log_pi = log_p[..., latent, :].unsqueeze(-2)
        race = draws[..., : mass.shape[-1], latent, :].log() - log_pi
        gap = race + (-torch.expm1(race.amin(-1, keepdim=True) - race)).log()
        times = torch.logaddexp(time.unsqueeze(-1), gap - mass.unsqueeze(-1)).flatten(-2)
        masses = (mass.unsqueeze(-1) + log_pi).flatten(-2)
        order = times.argsort(-1)
        kept, dropped = order[..., :count], order[..., count:]
        if dropped.shape[-1]:
            rest.append(masses.gather(-1, dropped).logsumexp(-1))
        mass, time = masses.gather(-1, kept), times.gather(-1, kept)
        parents = (kept // categories).unsqueeze(-1).expand(*kept.shape, latent)
        states = torch.cat((states.gather(-2, parents), (kept % categories).unsqueeze(-1)), -1)
    is_possible = (mass > IMPOSSIBLE)[..., None]
    states = torch.where(is_possible, states, states[..., :1, :])
    one_hot = states.unsqueeze(-1) == torch.arange(categories, device=draws.device)
    return DistinctStates(one_hot, mass, torch.stack(rest).logsumexp(0))


def set_weights(
    log_p: Float[Tensor, "*B K"], log_rest: Float[Tensor, "*B"]
) -> tuple[Float[Tensor, "*B K"], Float[Tensor, "*B K K"]]:
    """Return `p(s) R(S, s)`, and `p(s) p(s') p(S - s - s') / p(S)` for pairs, 0 on the diagonal.

    Args:
        log_p: Log-probabilities of the states in S.
        log_rest: Log of the probability of all states outside S.
    """
    is_all = (log_rest < IMPOSSIBLE).unsqueeze(-1)
    p = log_p.exp()
    log_p = torch.where(is_all, 0.0, log_p)
    log_odds = log_p - torch.where(is_all, 0.0, log_rest.unsqueeze(-1))
    without = log_probabilities_without(log_odds)
    first = log_p + without.diagonal(dim1=-2, dim2=-1)
    total = first.logsumexp(-1, keepdim=True)
    both = log_p.unsqueeze(-1) + log_p.unsqueeze(-2) + without - total.unsqueeze(-1)
    pairs = torch.where(is_all.unsqueeze(-1), p.unsqueeze(-1) * p.unsqueeze(-2), both.exp())
    off_diagonal = 1 - torch.eye(p.shape[-1], dtype=p.dtype, device=p.device)
    return torch.where(is_all, p, (first - total).exp()), pairs * off_diagonal


def log_probabilities_without(log_odds: Float[Tensor, "*B K"]) -> Float[Tensor, "*B K K"]:
    """Return log-probabilities to draw S without a pair, among all states but the pair.

    With a = p(s) / p(rest), the probability of a set is
    `int_0^inf exp(-t) prod_s (1 - exp(-a_s t)) dt`, whose integrand is analytic and log-concave
    in log t: so the trapezoidal rule, there, converges exponentially, at
    steps that shrink as the integrand narrows, with 1 / sqrt(K).

    Args:
        log_odds: Log of a for the states of S. The diagonal of the result is for single states.
    """
    count = log_odds.shape[-1]
    highest, step = math.log(2 * count + 60), 0.5 / math.sqrt(count + 1)
    y = torch.arange(_LOWEST, highest, step, dtype=log_odds.dtype, device=log_odds.device)
    y = y.view(-1, *(1,) * log_odds.dim())
    factors = _log_arrived(y + log_odds)  # Y *B K
    whole = y - y.exp() + factors.sum(-1, keepdim=True)
    others = 1 - torch.eye(count, dtype=log_odds.dtype, device=log_odds.device)
    rows = [
        (whole - factors[..., s : s + 1] - others[s] * factors).logsumexp(0) for s in range(count)
    ]
    return torch.stack(rows, -2) + math.log(step)


def _log_arrived(z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return `log(1 - exp(-exp(z)))`, also where exp(z) underflows."""
    return torch.where(z < -40, z, (-torch.expm1(-z.clamp(min=-40).exp())).log())

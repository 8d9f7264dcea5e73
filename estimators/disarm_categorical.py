"""DisARM for any number of categories: pairs of samples from antithetic binary decisions.

A category is drawn by at most C - 1 binary decisions, whose distribution the logits determine. One
sample of a pair decides by uniforms u, the other by 1 - u.
"""

from abc import abstractmethod
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import compact, probabilities
from raysweep.estimators.disarm import estimate_of_bits
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    even_sample_count,
    mean_over_samples,
)
from raysweep.estimators.noise import Noise

Order = Literal["descending", "ascending", "given"]
"""The order of the categories along a stick, by probability."""

Pair = tuple[Int[Tensor, "H *B L 1"], Int[Tensor, "H *B L 1"]]
"""The positions of both samples of every pair in the order of the categories."""


class _Coupled(Estimator):
    """The common form: `(f - f') w / 2` for every pair, with a row of weights w for each latent."""

    unbiased = True
    needs_gradient = False
    order: Order = "given"

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=even_sample_count(samples, self.name))

    @abstractmethod
    def _decisions(
        self, p: Float[Tensor, "*b L C"]
    ) -> tuple[Float[Tensor, "*b L N"], Float[Tensor, "*b L N"]]:
        """Return the probability of both outcomes of N = C - 1 decisions, up to a factor each."""

    @abstractmethod
    def _positions(self, bits: Bool[Tensor, "K *B L N"]) -> Int[Tensor, "K *B L"]:
        """Return the category's position in the order, given which decisions take outcome 1."""

    @abstractmethod
    def _weights(
        self, p: Float[Tensor, "*b L C"], rank: Int[Tensor, "... C"], pair: Pair
    ) -> Float[Tensor, "H *B L C"]:
        """Return w, given the probabilities and positions of the categories, and the samples."""

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        if logits.shape[-1] == 2:  # the same estimator, in fewer operations
            return estimate_of_bits(logits, objective, noise, self.samples // 2)
        theta = compact(logits)
        p, rank = probabilities(theta), _ranks(theta, self.order)
        uniform = _uniforms(noise, logits, self.samples // 2)
        decisions = self._decisions(in_order(p, rank))
        position = self._positions(antithetic_bits(uniform, *decisions)).unsqueeze(-1)
        one_hot = (rank == position).to(theta.dtype)
        losses = evaluate(objective, one_hot)
        (first, second), (f_first, f_second) = position.chunk(2), losses.detach().chunk(2)
        weights = self._weights(p, rank, (first, second))
        gradient = mean_over_samples(0.5 * (f_first - f_second)[..., None, None] * weights)
        return estimate_from_gradient(logits, gradient, losses, one_hot[0])


class _RaoBlackwell(_Coupled):
    """DisARM of the binary decisions, given the categories alone.

    A decision that both samples of a pair meet has the gradient of DisARM to its log-odds,
    `(f - f') (b - b') sigmoid(|a|) / 2`; of one that a single sample meets, of loss f, the other's
    bit is averaged over, which leaves `(f - f') (b - p) / 2`; one that neither meets averages to 0.
    Both meet the same decisions up to the one, of log-odds a, where they part. Summed over all
    decisions and carried to the logits, the gradient is

        (f - f') (D - D' - sigmoid(-|a|) (q - q')) / 2,

    with q and q' the distributions of the categories in either branch of that decision.
    """

    @abstractmethod
    def _branches(
        self, rank: Int[Tensor, "... C"], pair: Pair
    ) -> tuple[Bool[Tensor, "H *B L C"], Bool[Tensor, "H *B L C"]]:
        """Return which categories both samples' branches hold; two equal ones of equal samples."""

    def _weights(
        self, p: Float[Tensor, "*b L C"], rank: Int[Tensor, "... C"], pair: Pair
    ) -> Float[Tensor, "H *B L C"]:
        first, second = (p * branch for branch in self._branches(rank, pair))
        masses = first.sum(-1, keepdim=True), second.sum(-1, keepdim=True)
        rarer = torch.minimum(*masses) / (masses[0] + masses[1])  # sigmoid(-|a|)
        difference = (rank == pair[0]).to(p.dtype) - (rank == pair[1]).to(p.dtype)
        return difference - rarer * (first / masses[0] - second / masses[1])


class _OfStick(_Coupled):
    """Decisions along a stick: to stop at a category, or pass it."""

    def _decisions(
        self, p: Float[Tensor, "*b L C"]
    ) -> tuple[Float[Tensor, "*b L N"], Float[Tensor, "*b L N"]]:
        return stick(p)

    def _positions(self, bits: Bool[Tensor, "K *B L N"]) -> Int[Tensor, "K *B L"]:
        return first_true(bits)


class DisARMSB(_OfStick, _RaoBlackwell):
    """DisARM of stick-breaking decisions: to stop at a category, or pass it.

    Unbiased in every order; with two categories it is `disarm`. Two evaluations of the objective
    per pair, which need not be differentiable in the sample. Decisions after the stop of one sample
    or of both are integrated out. With m the category of the sample D that stops first, a its
    log-odds against all later ones and q their distribution, the gradient is
    `(f(D) - f(D')) (sigmoid(|a|) D - D' + sigmoid(-|a|) q) / 2`.

    On random problems it had 0.6 to 0.9 of the variance of `reinforce_loo` with two samples, the
    more the more categories. For as many evaluations, leave-one-out with C samples varied less from
    4 categories on with one variable, and from 3 on with six.

    Args:
        samples: Hard samples, in pairs that the estimate averages over.
        order: Order of the categories along the stick: "descending" or "ascending" probability, or
            as "given", which saves the sorting. On random problems of 3 to 16 categories,
            descending varied least on average: 4 to 11 % less than ascending.

    Raises:
        ValueError: If `samples` is not even and at least 2, or `order` is unknown.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, the stick-breaking form.
    """

    name = "disarm_sb"
    reference = "Dong, Mnih, Tucker (2021), arXiv:2106.08056"

    def __init__(self, *, samples: int = 2, order: Order = "descending") -> None:
        super().__init__(samples=samples)
        if order not in get_args(Order):
            options = "', '".join(get_args(Order))
            raise ValueError(f"order must be one of '{options}', got {order!r}")
        self.order = order

    def _branches(
        self, rank: Int[Tensor, "... C"], pair: Pair
    ) -> tuple[Bool[Tensor, "H *B L C"], Bool[Tensor, "H *B L C"]]:
        first, second = pair
        return (
            torch.where(first > second, rank > second, rank == first),
            torch.where(second > first, rank > first, rank == second),
        )


class DisARMTree(_RaoBlackwell):
    """DisARM of the decisions in a balanced binary tree, whose leaves are the categories.

    Unbiased; with two categories it is `disarm`. Two evaluations of the objective per pair, which
    need not be differentiable in the sample. Decisions that one sample or neither meets are
    integrated out. With a the log-odds of the decision where the samples D and D' part and q, q'
    the distributions of the categories in their branches, the gradient is
    `(f(D) - f(D')) (D - D' - sigmoid(-|a|) (q - q')) / 2`. The first decision parts even from odd
    categories, the next ones every second of those, and so on, so that branches differ by at most
    one category.

    Args:
        samples: Hard samples, in pairs that the estimate averages over.

    Raises:
        ValueError: If `samples` is not even and at least 2.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, the form with a tree.
    """

    name = "disarm_tree"
    reference = "Dong, Mnih, Tucker (2021), arXiv:2106.08056"

    def _decisions(
        self, p: Float[Tensor, "*b L C"]
    ) -> tuple[Float[Tensor, "*b L N"], Float[Tensor, "*b L N"]]:
        """Return the masses of both branches of every node, the root first.

        Node n parts the positions `n - h` from `n` modulo `2 h`, h the largest power of 2 up to n.
        """
        levels = []
        while (width := p.shape[-1]) > 1:
            half = 1 << ((width - 1).bit_length() - 1)
            low, alone, high = p.split((width - half, 2 * half - width, width - half), -1)
            levels.append((low, high))
            p = torch.cat((low + high, alone), -1)
        low, high = (torch.cat(masses[::-1], -1) for masses in zip(*levels, strict=True))
        return low, high

    def _positions(self, bits: Bool[Tensor, "K *B L N"]) -> Int[Tensor, "K *B L"]:
        nodes = bits.shape[-1]
        position = torch.zeros(bits.shape[:-1], dtype=torch.long, device=bits.device)
        for depth in range(nodes.bit_length()):
            node = position + 2**depth
            index = (node - 1).clamp(max=nodes - 1).unsqueeze(-1)
            stays = bits.gather(-1, index).squeeze(-1) | (node > nodes)
            position = torch.where(stays, position, node)
        return position

    def _branches(
        self, rank: Int[Tensor, "... C"], pair: Pair
    ) -> tuple[Bool[Tensor, "H *B L C"], Bool[Tensor, "H *B L C"]]:
        changed = pair[0] ^ pair[1]
        below = 2 * (changed & -changed) - 1  # the lowest bit that differs, and those below it
        first, second = (((rank ^ position) & below) == 0 for position in pair)
        return first, second


class DisARMIW(_OfStick):
    """Leave-one-out with two coupled samples and importance weights.

    Unbiased; with two categories it is `disarm`. Two evaluations of the objective per pair, which
    need not be differentiable in the sample. The samples D and D' come from antithetic
    stick-breaking in ascending order of probability. With s_c the probability of stopping at c, and
    m the smaller position of the two, the gradient is `(f(D) - f(D')) (D - D') v / 2` with
    `v = max(s_m, 1 - s_m) prod_{c < m} (1 - s_c)^2 / (1 - 2 s_c)`, the probability of two different
    categories if drawn independently over that of the coupling. In ascending order s_c is at most
    1/3 wherever it enters the product, and v less than 2. In other orders, some pairs of categories
    are never drawn, and the estimate is biased; the authors' code takes any order that it is given.

    Args:
        samples: Hard samples, in pairs that the estimate averages over.

    Raises:
        ValueError: If `samples` is not even and at least 2.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, the form with importance weights.
    """

    name = "disarm_iw"
    reference = "Dong, Mnih, Tucker (2021), arXiv:2106.08056"
    order = "ascending"

    def _weights(
        self, p: Float[Tensor, "*b L C"], rank: Int[Tensor, "... C"], pair: Pair
    ) -> Float[Tensor, "H *B L C"]:
        ratios = _importance(*stick(in_order(p, rank)))
        smaller = torch.minimum(*pair).clamp(max=ratios.shape[-1] - 1)  # C of equal samples
        ratio = ratios.expand(*smaller.shape[:-1], -1).gather(-1, smaller)
        return ratio * ((rank == pair[0]).to(p.dtype) - (rank == pair[1]).to(p.dtype))


def _importance(
    here: Float[Tensor, "*b L N"], later: Float[Tensor, "*b L N"]
) -> Float[Tensor, "*b L N"]:
    """Return the importance weight of two different samples, the first of which stops at m."""
    stop, passes = here / (here + later), later / (here + later)
    both_pass = (passes**2 / (passes - stop))[..., :-1].cumprod(-1)
    before = torch.cat((torch.ones_like(stop[..., :1]), both_pass), -1)
    return torch.maximum(stop, passes) * before


def antithetic_bits(
    uniform: Float[Tensor, "H *B L N"],
    first: Float[Tensor, "*b L N"],
    second: Float[Tensor, "*b L N"],
) -> Bool[Tensor, "K *B L N"]:
    """Return where the first outcome is drawn by every uniform u, then by 1 - u: K = 2H.

    Args:
        uniform: Uniform numbers for every decision.
        first: Probabilities of the first outcome, up to a factor that both outcomes share.
        second: Probabilities of the second outcome, up to that factor.
    """
    total = first + second  # 0 of decisions that are never met
    return torch.cat((uniform < first / total, uniform > second / total))


def stick(
    p: Float[Tensor, "*b L C"],
) -> tuple[Float[Tensor, "*b L N"], Float[Tensor, "*b L N"]]:
    """Return the probabilities of every category but the last, and of all later ones together."""
    later = p.flip(-1).cumsum(-1).flip(-1)
    return p[..., :-1], later[..., 1:]


def first_true(bits: Bool[Tensor, "K *B L N"]) -> Int[Tensor, "K *B L"]:
    """Return the position of the first true entry, N where there is none."""
    return (bits.cumsum(-1) == 0).sum(-1)


def in_order(p: Float[Tensor, "*b L C"], rank: Int[Tensor, "... C"]) -> Float[Tensor, "*b L C"]:
    """Return the probabilities by the categories' positions; one rank for all is that given."""
    return p if rank.dim() == 1 else p.gather(-1, rank.argsort(-1))


def _ranks(theta: Float[Tensor, "*b L C"], order: Order) -> Int[Tensor, "... C"]:
    """Return the categories' positions in an order."""
    if order == "given":
        return torch.arange(theta.shape[-1], device=theta.device)
    return theta.argsort(dim=-1, descending=order == "descending", stable=True).argsort(-1)


def _uniforms(
    noise: Noise, logits: Float[Tensor, "*B L C"], pairs: int
) -> Float[Tensor, "H *B L N"]:
    """Draw one uniform per pair and decision; the request leads with the batch."""
    *batch, latents, categories = logits.shape
    drawn = noise.uniform(
        *batch, pairs, latents, categories - 1, dtype=logits.dtype, device=logits.device
    )
    return drawn.movedim(-3, 0).contiguous()

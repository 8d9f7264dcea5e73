"""ARS, ARSM and their improved forms: categorical samples with coordinates of the noise swapped."""

from abc import abstractmethod
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    MASKED,
    argmax_one_hot,
    compact,
    exponentials,
    matrix_product,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    mean_over_samples,
)
from raysweep.estimators.noise import Noise


class Swaps(NamedTuple):
    """Hard samples after every swap with a pivot; `M` = C is the number of its new positions.

    Args:
        log_noise: `K *B L C`. Logs of the Dirichlet noise.
        pivot: `K *B 1 1`. The coordinate that is swapped with every other one.
        swapped: `M K *B L C`. The logs after each swap.
        one_hot: `M K *B L C`. Arg min of the noise over the exponential of the logits.
    """

    log_noise: Float[Tensor, "K *B L C"]
    pivot: Int[Tensor, "K *B 1 1"]
    swapped: Float[Tensor, "M K *B L C"]
    one_hot: Float[Tensor, "M K *B L C"]


class _Swap(Estimator):
    """The common form of ARS and ARS+: `(F_c - mean_m F_m) (1 - C w)`, w the pivot's noise."""

    unbiased = True
    needs_gradient = False

    def __init__(self, *, samples: int = 1, pivot: Literal["random", "first"] = "random") -> None:
        super().__init__(samples=samples)
        if pivot not in ("random", "first"):
            raise ValueError(f"pivot must be 'random' or 'first', got {pivot!r}")
        self.pivot = pivot

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: C per sample."""
        return self.samples * categories

    @abstractmethod
    def _weights(
        self, theta: Float[Tensor, "*b L C"], noise: Noise, swaps: Swaps
    ) -> Float[Tensor, "K *B L"]:
        """Return `1 - C w` for every latent variable."""

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        theta = compact(logits)
        swaps = self._swaps(logits, theta, noise)
        losses = evaluate(objective, swaps.one_hot.flatten(0, 1))
        by_position = losses.detach().unflatten(0, swaps.one_hot.shape[:2])
        centred = (by_position - by_position.mean(0)).movedim(0, -1)
        weights = self._weights(theta, noise, swaps)
        gradient = mean_over_samples(centred.unsqueeze(-2) * weights.unsqueeze(-1))
        gradient = _of_the_rest(gradient, theta)
        return estimate_from_gradient(logits, gradient, losses, swaps.one_hot[0, 0])

    def _swaps(
        self, logits: Float[Tensor, "*B L C"], theta: Float[Tensor, "*b L C"], noise: Noise
    ) -> Swaps:
        categories = logits.shape[-1]
        log_noise = log_dirichlet(logits, noise, self.samples)
        pivot = torch.zeros((*log_noise.shape[:-2], 1, 1), dtype=torch.long, device=logits.device)
        if self.pivot == "random":
            pivot = pivot + random_below(categories, logits[..., :1, :1], noise, self.samples)
        index = torch.arange(categories, device=logits.device)
        new = index.view(-1, *(1,) * log_noise.dim())
        source = torch.where(index == new, pivot, torch.where(index == pivot, new, index))
        swapped = log_noise.expand(categories, *log_noise.shape).gather(
            -1, source.expand(categories, *log_noise.shape)
        )
        return Swaps(log_noise, pivot, swapped, argmax_one_hot(theta - swapped))


class ARS(_Swap):
    """Augment-REINFORCE-swap: one coordinate of Dirichlet noise swapped with every other one.

    Unbiased. C evaluations of the objective per sample, which need not be differentiable in the
    sample. With w Dirichlet noise, j the pivot and F_m the loss at the arg min of `w exp(-theta)`
    after w_m and w_j are swapped in every latent variable, the gradient is
    `(F_c - mean_m F_m) (1 - C w_j)`.

    Args:
        samples: Independent draws of the noise that the estimate averages over.
        pivot: "random" for every example, or the "first" category.

    Raises:
        ValueError: If `samples` is not at least 1, or `pivot` is unknown.

    References:
        Yin, Yue, Zhou (2019), arXiv:1905.01413; as in Dong, Mnih, Tucker (2021),
        arXiv:2106.08056, section 2.
    """

    name = "ars"
    reference = "Yin, Yue, Zhou (2019), arXiv:1905.01413"

    def _weights(
        self, theta: Float[Tensor, "*b L C"], noise: Noise, swaps: Swaps
    ) -> Float[Tensor, "K *B L"]:
        return 1 - theta.shape[-1] * _gather(swaps.log_noise, swaps.pivot).exp()


class ARSPlus(_Swap):
    """ARS with one coordinate of the noise integrated out, and zeros where no swap matters.

    Unbiased with the "full" bounds. C evaluations of the objective per sample, as for `ars`, with
    no more variance. The pivot's noise w_j is replaced by its mean given every other coordinate but
    a random one, and given the swapped samples: the middle of an interval. A latent variable whose
    sample no swap changes gets a gradient of zero.

    Args:
        samples: Independent draws of the noise that the estimate averages over.
        pivot: "random" for every example, or the "first" category.
        bounds: "full" for an interval given which category won each swap. "paper" for the
            published one, given only whether the moved coordinate won, which is biased for C >= 3.
            Public code also clips a sum, and is then biased with two categories, too.

    Raises:
        ValueError: If `samples` is not at least 1, or `pivot` or `bounds` is unknown.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, section 3, with corrected bounds.
    """

    name = "ars_plus"
    reference = "Dong, Mnih, Tucker (2021), arXiv:2106.08056"

    def __init__(
        self,
        *,
        samples: int = 1,
        pivot: Literal["random", "first"] = "random",
        bounds: Literal["full", "paper"] = "full",
    ) -> None:
        super().__init__(samples=samples, pivot=pivot)
        if bounds not in ("full", "paper"):
            raise ValueError(f"bounds must be 'full' or 'paper', got {bounds!r}")
        self.bounds = bounds
        self.unbiased = bounds == "full"

    def _weights(
        self, theta: Float[Tensor, "*b L C"], noise: Noise, swaps: Swaps
    ) -> Float[Tensor, "K *B L"]:
        categories = theta.shape[-1]
        like = swaps.one_hot[0, 0, ..., :1]
        step = 1 + random_below(categories - 1, like, noise, self.samples)
        partner = (swaps.pivot + step) % categories
        low, high = self._interval(theta, swaps, partner)
        changes = swaps.one_hot.amin(0).amax(-1) == 0
        return (1 - categories * (low + high) / 2) * changes

    def _interval(
        self,
        theta: Float[Tensor, "*b L C"],
        swaps: Swaps,
        partner: Int[Tensor, "K *B L 1"],
    ) -> tuple[Float[Tensor, "K *B L"], Float[Tensor, "K *B L"]]:
        """Return bounds of the pivot's noise, given its sum with the partner's and all the rest.

        m runs over the new positions of the pivot's noise, `slot` is the partner's position after
        that swap. Category i has the score `log w_i - theta_i`; the smallest score wins.
        """
        index = torch.arange(theta.shape[-1], device=theta.device)
        m = index.view(-1, *(1,) * partner.dim())
        slot = torch.where(m == partner, swaps.pivot, partner)
        scores = (swaps.swapped - theta).masked_fill((index == m) | (index == slot), torch.inf)
        best_other = scores.amin(-1)
        at_m = theta.movedim(-1, 0).unsqueeze(1)
        at_slot = _gather(theta.expand(slot.shape[:-1] + theta.shape[-1:]), slot)
        log_total = torch.logaddexp(
            _gather(swaps.log_noise, swaps.pivot), _gather(swaps.log_noise, partner)
        )
        total = log_total.exp()
        level = total * torch.sigmoid(at_m - at_slot)  # m and slot score equally
        below = torch.minimum(best_other + at_m, log_total).exp()  # m and the best other do
        above = total - torch.minimum(best_other + at_slot, log_total).exp()
        m_won = _gather(swaps.one_hot, m.expand(slot.shape)) == 1
        if self.bounds == "paper":
            first = torch.minimum(below, level)
            low = torch.where(m_won, 0.0, first)
            high = torch.where(m_won, first, total)
        else:
            slot_won = _gather(swaps.one_hot, slot) == 1
            low = torch.where(m_won, 0.0, torch.where(slot_won, torch.maximum(level, above), below))
            high = torch.where(
                m_won, torch.minimum(below, level), torch.where(slot_won, total, above)
            )
        return low.amax(0), high.amin(0)


class _SwapMerge(Estimator):
    """The common form of ARSM and ARSM+: the mean of ARS over all pivots, from shared losses."""

    unbiased = True
    needs_gradient = False

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: per sample, one per pair of categories and one without a swap."""
        return self.samples * (categories * (categories - 1) // 2 + 1)

    def _mask(self, category: Float[Tensor, "M J K *B L"]) -> Tensor | None:
        """Return weights `K *B L J` of the pivots j after swaps of m and j; None for all 1."""
        return None

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        categories = logits.shape[-1]
        log_noise = log_dirichlet(logits, noise, self.samples)
        order, table = _pair_orders(categories, logits.device)
        theta = compact(logits)
        one_hot = argmax_one_hot(theta - log_noise[..., order].movedim(-2, 0))
        losses = evaluate(objective, one_hot.flatten(0, 1))
        by_pair = losses.detach().unflatten(0, one_hot.shape[:2])[table]
        centred = (by_pair - by_pair.mean(0)).movedim((0, 1), (-1, -2))
        weights = 1 - categories * log_noise.exp()
        if (mask := self._mask(_category(one_hot)[table])) is not None:
            weights = weights * mask
        gradient = mean_over_samples(matrix_product(weights, centred)) / categories
        gradient = _of_the_rest(gradient, theta)
        return estimate_from_gradient(logits, gradient, losses, one_hot[0, 0])


class ARSM(_SwapMerge):
    """Augment-REINFORCE-swap-merge: ARS averaged over all pivots, with shared evaluations.

    Unbiased; with two categories it is `arm`. C (C - 1) / 2 + 1 evaluations of the objective per
    sample, which need not be differentiable in the sample.

    Args:
        samples: Independent draws of the noise that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Yin, Yue, Zhou (2019), arXiv:1905.01413, equation 11.
    """

    name = "arsm"
    reference = "Yin, Yue, Zhou (2019), arXiv:1905.01413"


class ARSMPlus(_SwapMerge):
    """ARSM without the terms whose expectation is zero.

    Unbiased, with no more variance than `arsm` and the same evaluations. For each pivot, a latent
    variable whose sample no swap changes contributes nothing.

    Args:
        samples: Independent draws of the noise that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Dong, Mnih, Tucker (2021), arXiv:2106.08056, section 3.1.
    """

    name = "arsm_plus"
    reference = "Dong, Mnih, Tucker (2021), arXiv:2106.08056"

    def _mask(self, category: Float[Tensor, "M J K *B L"]) -> Tensor | None:
        return (category.amin(0) != category.amax(0)).movedim(0, -1)


def _of_the_rest(
    gradient: Float[Tensor, "*B L C"], theta: Float[Tensor, "*b L C"]
) -> Float[Tensor, "*B L C"]:
    """Return the gradient: 0 at masked categories, where its mean is 0; NaN where a logit is."""
    return torch.add(gradient * (theta > MASKED), theta, alpha=0)


def log_dirichlet(
    logits: Float[Tensor, "*B L C"], noise: Noise, samples: int
) -> Float[Tensor, "K *B L C"]:
    """Draw logs of uniform points of the simplex so that small ones keep their digits."""
    draws = exponentials(noise, logits, samples)
    return draws.log() - draws.sum(-1, keepdim=True).log()


def random_below(
    count: int, like: Float[Tensor, "*B N 1"], noise: Noise, samples: int
) -> Int[Tensor, "K *B N 1"]:
    """Draw uniform integers from 0 to `count - 1`; the request leads with the batch."""
    *batch, rows, _ = like.shape
    uniform = noise.uniform(*batch, samples, rows, dtype=like.dtype, device=like.device)
    return (uniform.movedim(-2, 0).unsqueeze(-1) * count).long().clamp(max=count - 1)


def _gather(values: Tensor, index: Tensor) -> Tensor:
    """Gather the value at an index of the last axis, where the index has length 1."""
    shape = torch.broadcast_shapes(values.shape[:-1], index.shape[:-1])
    values, index = values.expand(*shape, values.shape[-1]), index.expand(*shape, 1)
    return values.gather(-1, index).squeeze(-1)


def _category(one_hot: Float[Tensor, "... C"]) -> Float[Tensor, "..."]:
    """Return the category's index; an arg max over a short axis would take longer."""
    return one_hot @ torch.arange(one_hot.shape[-1], dtype=one_hot.dtype, device=one_hot.device)


def _pair_orders(categories: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the coordinates' order after every swap, `P C`, and the row of each pair, `C C`."""
    pairs = torch.triu_indices(categories, categories, 1, device=device)
    count = 1 + pairs.shape[1]
    order = torch.arange(categories, device=device).repeat(count, 1)
    rows = torch.arange(1, count, device=device)
    order[rows, pairs[0]], order[rows, pairs[1]] = pairs[1], pairs[0]
    table = torch.zeros(categories, categories, dtype=torch.long, device=device)
    table[pairs[0], pairs[1]] = table[pairs[1], pairs[0]] = rows
    return order, table

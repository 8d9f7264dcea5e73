"""RODEO: leave-one-out with control variates made by a discrete Stein operator."""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import leaky_relu

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    draw_one_hot,
    sampling_probabilities,
)
from raysweep.estimators.double_cv import leave_one_out
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate_and_differentiate,
    sample_count,
)
from raysweep.estimators.learned import Network, Scalar
from raysweep.estimators.noise import Noise


class Neighbours(NamedTuple):
    """The samples with one variable changed: `A` = C - 1 other categories of each.

    Args:
        category: `K *B L A`. The changed variable's new category.
        one_hot: `A K *B L C`. The new category as a one-hot.
        weight: `*B K L A`. The new category's probability, over L.
    """

    category: Int[Tensor, "K *B L A"]
    one_hot: Float[Tensor, "A K *B L C"]
    weight: Float[Tensor, "*B K L A"]


class RODEO(Estimator):
    """Leave-one-out, with learned functions of zero mean from the other samples' losses.

    Unbiased, for any parameters. K evaluations of the objective, with gradients G_k at the samples;
    losses at changed samples are expanded linearly, at no evaluation. The operator
    `(A h)(x) = sum_l sum_c pi_lc (h(x with x_l = c) - h(x)) / L` has mean zero. With
    `h_k(y) = mean_{j != k} H(f_j, <G_j, y - D_j>)` for a network H of two outputs, the gradient is
    `mean_k (f_k - mean_{j != k} (f_j + alpha (A h_j^0)(D_j))) (D_k - pi)
    + beta (A [h_k^1 (. - pi)])(D_k)`. alpha and beta start at 0, which is `reinforce_loo`; they and
    H are learned, to reduce the squared gradient. The paper has binary variables.

    Args:
        samples: K, independent samples; at least 2.
        hidden: Number of units of H, leaky rectified with slope 0.3.

    Raises:
        ValueError: If `samples` is not at least 2, or `hidden` not at least 1.

    References:
        Shi, Zhou, Hwang, Titsias, Mackey (2022), arXiv:2202.09497, sections 4 and 5; outputs are
        averaged over the other samples, for any K.
    """

    name = "rodeo"
    unbiased = True
    needs_gradient = True
    reference = "Shi, Zhou, Hwang, Titsias, Mackey (2022), arXiv:2202.09497"
    alpha: Scalar
    beta: Scalar
    network: Network

    def __init__(self, *, samples: int = 2, hidden: int = 100) -> None:
        super().__init__(samples=sample_count(samples, least=2, purpose=self.name))
        self.hidden = sample_count(hidden, quantity="hidden")

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        self.alpha = Scalar(0.0, replicas, "real")
        self.beta = Scalar(0.0, replicas, "real")
        self.network = Network(
            (2, self.hidden, 2),
            partial(leaky_relu, negative_slope=0.3),
            replicas,
            name=self.name,
            starts_at_zero=False,
        )

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
        neighbours = _neighbours(one_hot, p)
        with torch.enable_grad():
            h_same, h_changed = self._values_of_h(losses.detach(), slopes, one_hot, neighbours)
            alpha, beta = self.alpha(logits), self.beta(logits)
            # (A h)(D_k) for both outputs of H
            operated = (neighbours.weight.unsqueeze(-1) * (h_changed - h_same)).sum((-3, -2))
            by_sample = operated.movedim(-2, 0)
            plain = leave_one_out(losses.detach(), score)
            total = by_sample[..., 0].sum(0) - by_sample[..., 0]
            of_others = (total[..., None, None] / (self.samples - 1) * score).mean(0)
            operated_score = _operated_score(
                h_changed[..., 1], by_sample[..., 1], score, one_hot, neighbours
            )
            gradient = plain - alpha * of_others + beta * operated_score
            tuning_loss = gradient.square().sum((-2, -1))
        return estimate_from_gradient(logits, gradient, losses, one_hot[0], tuning_loss)

    def _values_of_h(
        self,
        losses: Float[Tensor, " K *B"],
        slopes: Float[Tensor, "K *B L C"],
        one_hot: Float[Tensor, "K *B L C"],
        neighbours: Neighbours,
    ) -> tuple[Float[Tensor, "*B K 1 1 O"], Float[Tensor, "*B K L A O"]]:
        """Return h_k for both outputs of H, at the sample k and at its neighbours."""
        k = torch.arange(self.samples, device=losses.device)
        j = torch.stack([k.roll(-by) for by in range(1, self.samples)])  # J K, every other sample
        slope = slopes[j]
        distance = (slope * (one_hot - one_hot[j])).sum((-2, -1))  # J K *B
        at_sample = (slope * one_hot).sum(-1, keepdim=True)
        index = neighbours.category.expand(len(j), *neighbours.category.shape)
        change = slope.gather(-1, index) - at_sample  # J K *B L A
        h_changed = (distance[..., None, None] + change).movedim((0, 1), (-4, -3))
        return (
            self._average(losses[j], distance.movedim((0, 1), (-2, -1))[..., None, None]),
            self._average(losses[j], h_changed),
        )

    def _average(
        self, losses: Float[Tensor, "J K *B"], expansion: Float[Tensor, "*B J K L A"]
    ) -> Float[Tensor, "*B K L A O"]:
        """Average H(f_j, expansion) over the other samples."""
        values = losses.movedim((0, 1), (-2, -1))[..., None, None].expand(expansion.shape)
        return self.network(torch.stack((values, expansion), -1)).mean(-5)


def _neighbours(one_hot: Float[Tensor, "K *B L C"], p: Float[Tensor, "*b L C"]) -> Neighbours:
    latents, categories = one_hot.shape[-2:]
    steps = range(1, categories)
    rolled = torch.stack([one_hot.roll(by, -1) for by in steps])
    weight = (rolled * p).sum(-1) / latents  # A K *B L
    step = torch.tensor(list(steps), device=one_hot.device)
    category = (one_hot.argmax(-1, keepdim=True) + step) % categories
    return Neighbours(category, rolled, weight.movedim((1, 0), (-3, -1)))


def _operated_score(
    h_changed: Float[Tensor, "*B K L A"],
    operated: Float[Tensor, " K *B"],
    score: Float[Tensor, "K *B L C"],
    one_hot: Float[Tensor, "K *B L C"],
    neighbours: Neighbours,
) -> Float[Tensor, "*B L C"]:
    """Return the mean over k of `(A [h_k (. - pi)])(D_k)`.

    A neighbour's `y - pi` differs from `D_k - pi` in the changed variable only.
    """
    moved = (neighbours.weight * h_changed).movedim((-3, -1), (1, 0))  # A K *B L
    gained = (moved.unsqueeze(-1) * neighbours.one_hot).sum(0)
    lost = moved.sum(0).unsqueeze(-1) * one_hot
    return (operated[..., None, None] * score + gained - lost).mean(0)

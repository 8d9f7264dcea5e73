"""Mixtures that follow gradients: by an estimator, and in the relaxed model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link, log_odds, softmax_logits
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES
from raysweep.tasks.gmm.mixture import describe, log_densities, log_likelihoods
from raysweep.tasks.gmm.settings import COMPONENTS, GmmSettings, draw_data, draw_start
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import Losses, Model


class MixtureModel(Model, ABC):
    """Model of class weights' logits, means, covariances' factors, and the data.

    Args:
        settings: Settings of the pack.
        seeds: Seed of each replica.
        device: Device of the parameters.
        link: Link from the logits to the class weights.
    """

    theta: Float[Tensor, "R C"]
    means: Float[Tensor, "R C D"]
    factors: Float[Tensor, "R C D D"]

    def __init__(
        self,
        settings: GmmSettings,
        seeds: Sequence[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        start = draw_start(settings, seeds).to(device, dtype)
        self.theta = nn.Parameter(start.new_zeros(len(seeds), COMPONENTS))
        self.means = nn.Parameter(start)
        self.factors = nn.Parameter(start.new_zeros(*start.shape, settings.dimensions))
        self.x = draw_data(settings).to(device, dtype)
        self.link = link

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return a surrogate of -log likelihood, and metrics of the exact one before the update."""
        log_weights = self.log_weights()
        log_density = log_densities(self.x, self.means, self.factors)
        log_likelihood = log_likelihoods(log_weights, log_density).detach()
        surrogate, tuning_loss = self._surrogate(log_density, log_likelihood, estimator, noise)
        metrics = describe(log_weights, log_likelihood, self.means)
        return Losses(surrogate, tuning_loss, metrics)

    @abstractmethod
    def _surrogate(
        self,
        log_density: Float[Tensor, "R B C"],
        log_likelihood: Float[Tensor, "R B"],
        estimator: Estimator,
        noise: Noise,
    ) -> tuple[Float[Tensor, "R B"], Float[Tensor, "R B"] | None]:
        """Return the losses that parameters follow, and those of the estimator's own, or None.

        Args:
            log_density: Log-density of every example under every component, with its graph.
            log_likelihood: Log-likelihood of every example, detached.
            estimator: Estimator built for one variable with C categories.
            noise: Noise at the step.
        """

    @torch.no_grad()
    def log_weights(self) -> Float[Tensor, "R C"]:
        """Return logarithms of the class weights, in this model's link."""
        return softmax_logits(self.theta, self.link).log_softmax(-1)

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the exact negative log-likelihood per example."""
        log_density = log_densities(self.x, self.means, self.factors)
        return {"neg_log_likelihood": -log_likelihoods(self.log_weights(), log_density).mean(-1)}

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)


class EstimatedMixture(MixtureModel):
    """Mixture that follows an estimator, with one variable per example, its component.

    An example's objective is -N(x; D) / sum_c p_c N(x; c) with the denominator constant; the
    gradient of its expectation is that of -log likelihood in every parameter. The gradient in
    means and covariances uses the same samples.
    """

    def _surrogate(
        self,
        log_density: Float[Tensor, "R B C"],
        log_likelihood: Float[Tensor, "R B"],
        estimator: Estimator,
        noise: Noise,
    ) -> tuple[Float[Tensor, "R B"], Float[Tensor, "R B"] | None]:
        """Return the estimate of the objective's expectation."""
        ratio = torch.exp(log_density - log_likelihood.unsqueeze(-1))
        logits = self.theta[:, None, None].expand(-1, len(self.x), -1, -1)
        estimate = estimator.estimate(logits, partial(negative_ratio, ratio), noise)
        return estimate.surrogate, estimate.tuning_loss


def negative_ratio(
    ratio: Float[Tensor, "R B C"], component: Float[Tensor, "*batch 1 C"]
) -> Float[Tensor, "*batch"]:
    """Return minus the density ratio, linear in the component, which may be relaxed."""
    return -(component.squeeze(-2) * ratio).sum(-1)


class RelaxedMixture(MixtureModel):
    """Mixture of two components that follows the score function in the relaxed model.

    With z ~ N(a, 1), a = theta_1 - theta_0, an example's density is that of the components mixed
    by (sigmoid(-z/lambda), sigmoid(z/lambda)). The gradient in theta is E[density score] over
    E[density], both from the same samples, so the ratio has a bias of order 1/K. Means and
    covariances follow the same ratio pathwise. The mean of sigmoid(z/lambda) is not P(z > 0), so
    the maximised likelihood is not that of the mixture, whose weights are Phi(+-a).
    """

    def __init__(self, settings: GmmSettings, seeds: Sequence[int], device: torch.device) -> None:
        super().__init__(settings, seeds, device, "probit")
        self._relaxation = settings.relaxation
        self._samples = settings.relaxed_samples

    def _surrogate(
        self,
        log_density: Float[Tensor, "R B C"],
        log_likelihood: Float[Tensor, "R B"],
        estimator: Estimator,
        noise: Noise,
    ) -> tuple[Float[Tensor, "R B"], None]:
        """Return minus the log of the samples' mean density, plus a term for theta's gradient."""
        uniform = noise.uniform(
            *log_density.shape[:2],
            self._samples,
            dtype=log_density.dtype,
            device=log_density.device,
        )
        location = log_odds(self.theta)[:, None]
        score = torch.special.ndtri(uniform)
        scaled = (location.detach().unsqueeze(-1) + score) / self._relaxation
        first, second = log_density.unsqueeze(-1).unbind(-2)
        mixed = torch.logaddexp(first + logsigmoid(-scaled), second + logsigmoid(scaled))
        weighted_score = (mixed.detach().softmax(-1) * score).sum(-1)
        log_mean = mixed.logsumexp(-1) - math.log(self._samples)
        return -log_mean - weighted_score * location, None

"""Estimators that pass means and variances through the network, and sample its last layer."""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    head_of,
    mean_losses,
)
from raysweep.estimators.layered.psa import by_unit
from raysweep.estimators.layered.sampling import beside_hard, over_units, signs, uniforms

LOGISTIC_VARIANCE = math.pi**2 / 3
"""Variance of the standard logistic distribution."""


class MomentMatching(LayeredEstimator):
    """A network of independent units whose laws are approximated from layer to layer.

    The last layer's units are sampled from their approximate law, and their gradient is that of
    the expected loss under it, from the loss's differences for each unit's flip.
    """

    unbiased = False
    needs_gradient = False
    needs_head = True
    needs_moments = True
    further_evaluations = "flips"
    relaxes = True

    @abstractmethod
    def _mean(self, mean: Tensor, variance: Tensor | None, request: Request) -> Tensor:
        """Return the mean state of units, given the moments of their pre-activations.

        Args:
            mean: Means of the pre-activations, `K *B units`.
            variance: Variances of these; None for the first layer, whose input is known.
            request: Request of the estimate.
        """

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: per sample, one hard, one approximate, one per flipped unit."""
        return 2 * self.samples

    def _estimate(self, request: Request) -> LayeredEstimate:
        first = request.layers[0](request.x)
        mean = self._mean(first.expand(self.samples, *first.shape), None, request)
        for layer in request.layers[1:]:
            mean = self._mean(*layer.moments(mean, 1 - mean.square()), request)
        uniform = uniforms(request.noise, mean, request.batch_axes)
        state = signs(mean.detach() - (2 * uniform - 1), mean.dtype)
        head = head_of(request, state.dim() - 1 - request.batch_axes)
        losses = request.checked(head.function(state), state)
        with torch.no_grad():
            effects = by_unit(losses - head.flips(state), state) * state
        carried = over_units(mean * (effects / 2), 1 + request.batch_axes)
        relaxed = mean_losses(losses.detach())
        return beside_hard(request, self.samples, mean_losses(carried + losses), relaxed)


class ADF(MomentMatching):
    """Assumed density filtering: means and variances of all units, passed on analytically.

    Biased: units of a layer are taken as independent, and pre-activations as logistic with the
    matched variance, `E x = 2 sigmoid(m sqrt(V / (v + V))) - 1` with `V = pi^2 / 3`. It follows the
    expected loss of that approximation.

    Args:
        samples: Samples of the last layer that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Shekhovtsov, Flach (2018), arXiv:1803.10590, as AP2; Roth, Schindler, Froening,
        Pernkopf (2019), ECML.
    """

    name = "adf"
    reference = "Shekhovtsov, Flach (2018), arXiv:1803.10590"

    def _mean(self, mean: Tensor, variance: Tensor | None, request: Request) -> Tensor:
        if variance is not None:
            mean = mean * (LOGISTIC_VARIANCE / (variance + LOGISTIC_VARIANCE)).sqrt()
        return torch.tanh(mean / 2)


class LocalReparam(MomentMatching):
    """Normal pre-activations of matched mean and variance, and units at their mean given them.

    Biased: units of a layer are taken as independent, and pre-activations as normal. It follows
    the expected loss of that approximation.

    Args:
        samples: Samples that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Peters, Genewein, Welling (2019), Probabilistic binary neural networks, with the change
        described by Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.2.
    """

    name = "local_reparam"
    reference = "Peters, Genewein, Welling (2019), Probabilistic binary neural networks"

    def _mean(self, mean: Tensor, variance: Tensor | None, request: Request) -> Tensor:
        if variance is not None:
            uniform = uniforms(request.noise, mean, request.batch_axes)
            deviation = variance.clamp(min=torch.finfo(mean.dtype).tiny).sqrt()
            mean = mean + (deviation * torch.special.ndtri(uniform)).to(mean.dtype)
        return torch.tanh(mean / 2)

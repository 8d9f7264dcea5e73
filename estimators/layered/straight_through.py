"""Straight-through estimators of layered networks: a smooth function's slope for that of a sign."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.estimate import no_gradient
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    first_states,
    mean_losses,
)
from raysweep.estimators.layered.objective import Path
from raysweep.estimators.layered.sampling import signs, uniforms


class SignWithSlope(LayeredEstimator):
    """Hard samples that carry the slope of a smooth function of the pre-activation."""

    unbiased = False
    needs_gradient = True

    @abstractmethod
    def _smooth(self, logits: Tensor) -> Tensor:
        """Return the function of the pre-activation whose slope the samples carry."""

    def _estimate(self, request: Request) -> LayeredEstimate:
        states: list[Tensor] = []
        logits: list[Tensor] = []
        for index, layer in enumerate(request.layers):
            a = layer(states[-1] if index else request.x)
            a = a if index else a.expand(self.samples, *a.shape)
            uniform = uniforms(request.noise, a, request.batch_axes)
            hard = signs(a.detach() + torch.logit(uniform), a.dtype)
            smooth = self._smooth(a)
            states.append(hard + (smooth - smooth.detach()))
            logits.append(a.detach())
        surrogate = mean_losses(request.losses(Path(tuple(states), tuple(logits))))
        if states[-1].requires_grad and not surrogate.requires_grad:
            raise no_gradient(self.name, "the states")
        return LayeredEstimate(surrogate, surrogate.detach(), first_states(states))


class LayeredStraightThrough(SignWithSlope):
    """The straight-through estimator with the slope of the sampled law, `2 sigmoid(a)`.

    Biased: PSA with the distribution function and the objective linearised around the sample. One
    sample, and backpropagation through the network as if a state were its mean.

    Args:
        samples: Independent samples that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, algorithm 2.
    """

    name = "straight_through"
    reference = "Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143"

    def _smooth(self, logits: Tensor) -> Tensor:
        return 2 * logits.sigmoid()


class HardST(SignWithSlope):
    """The straight-through estimator with the slope of the hard tanh, 1 for |a| < 1 and else 0.

    Biased, and not matched to the law that states are drawn from. One sample.

    Args:
        samples: Independent samples that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Hubara, Courbariaux, Soudry, El-Yaniv, Bengio (2016), arXiv:1602.02830.
    """

    name = "hard_st"
    reference = "Hubara, Courbariaux, Soudry, El-Yaniv, Bengio (2016), arXiv:1602.02830"

    def _smooth(self, logits: Tensor) -> Tensor:
        return functional.hardtanh(logits)

"""Continuous relaxations of discrete variables, with noise redrawn given the hard sample.

A variable has perturbed logits z, of which the hard sample is a function. Given the hard sample, z
can be drawn again. Both are returned as constants, with derivatives beside them: no
derivative needs more than the first order, and none passes through a clamp.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from raysweep.estimators.categorical import (
    argmax_one_hot,
    binary_one_hot,
    exponentials,
    from_log_odds,
    log_normaliser,
    log_odds,
    probabilities,
    uniforms,
)
from raysweep.estimators.noise import Noise


class Draw(NamedTuple):
    """Hard samples with the noise behind them; `W` is C, or 1 for a binary variable's log-odds.

    Args:
        one_hot: `K *B L C`. The hard samples.
        z: `K *B L W`. Perturbed logits, of which the hard samples are functions.
        conditional: `K *B L W`. Perturbed logits drawn again, given the hard samples.
        slope: `K *B L W`. Derivative of `conditional` with respect to the location.
    """

    one_hot: Float[Tensor, "K *B L C"]
    z: Float[Tensor, "K *B L W"]
    conditional: Float[Tensor, "K *B L W"]
    slope: Float[Tensor, "K *B L W"]


class Relaxation(ABC):
    """The distribution of z, with a location that depends on the logits, and its soft samples.

    Args:
        logits: The logits, as constants.

    Attributes:
        location: Location `*b L W` that the noise is added to.
    """

    def __init__(self, logits: Float[Tensor, "*b L C"]) -> None:
        self.logits = logits
        self.location = self.locate(logits)
        self._p: Tensor | None = None

    @property
    def p(self) -> Float[Tensor, "*b L C"]:
        """The softmax of the logits."""
        if self._p is None:
            self._p = probabilities(self.logits)
        return self._p

    @abstractmethod
    def locate(self, logits: Float[Tensor, "*b L C"]) -> Float[Tensor, "*b L W"]:
        """Return the location for these logits."""

    @abstractmethod
    def draw(
        self, noise: Noise, like: Float[Tensor, "*B L C"], samples: int, *, coupled: bool
    ) -> Draw:
        """Draw samples in the shape of `like`; if coupled, z is redrawn to the value it has."""

    @abstractmethod
    def soften(self, z: Float[Tensor, "K *B L W"]) -> Float[Tensor, "K *B L C"]:
        """Return the soft sample at scaled z."""

    @abstractmethod
    def to_z(
        self, soft: Float[Tensor, "K *B L C"], gradient: Float[Tensor, "K *B L C"]
    ) -> Float[Tensor, "K *B L W"]:
        """Return the gradient to the argument of `soften`, given the one to the soft sample."""

    @abstractmethod
    def to_logits(self, gradient: Float[Tensor, "K *B L W"]) -> Float[Tensor, "K *B L C"]:
        """Return the gradient to the logits, given the one to the location."""

    @abstractmethod
    def score(self, one_hot: Float[Tensor, "K *B L C"]) -> Float[Tensor, "K *B L C"]:
        """Return the gradient of the samples' log-probabilities to the logits."""


class Categorical(Relaxation):
    """Gumbel noise: z = log pi + noise, and the hard sample is its arg max.

    References:
        Tucker et al. (2017), arXiv:1703.07370, appendix C.
    """

    def draw(
        self, noise: Noise, like: Float[Tensor, "*B L C"], samples: int, *, coupled: bool
    ) -> Draw:
        """Draw z = log(pi / E), E exponential; its largest entry is -log M, M exponential."""
        log_p = self.location
        z = log_p - exponentials(noise, like, samples).log()
        one_hot = argmax_one_hot(z)
        if coupled:
            top = z.amax(-1, keepdim=True)
            return Draw(one_hot, z, z, -torch.expm1(z - top))
        redrawn = exponentials(noise, like, samples).log()
        log_top = (redrawn * one_hot).sum(-1, keepdim=True)
        excess = redrawn - log_p
        others = -torch.logaddexp(excess, log_top)
        is_top = one_hot.bool()
        slope = torch.sigmoid(excess - log_top).masked_fill(is_top, 0.0)
        return Draw(one_hot, z, torch.where(is_top, -log_top, others), slope)

    def locate(self, logits: Float[Tensor, "*b L C"]) -> Float[Tensor, "*b L C"]:
        """Return the log-probabilities."""
        return logits - log_normaliser(logits).unsqueeze(-1)

    def soften(self, z: Float[Tensor, "K *B L C"]) -> Float[Tensor, "K *B L C"]:
        """Return the softmax of z."""
        return probabilities(z)

    def to_z(
        self, soft: Float[Tensor, "K *B L C"], gradient: Float[Tensor, "K *B L C"]
    ) -> Float[Tensor, "K *B L C"]:
        """Return the softmax Jacobian's product."""
        return soft * (gradient - (soft * gradient).sum(-1, keepdim=True))

    def to_logits(self, gradient: Float[Tensor, "K *B L C"]) -> Float[Tensor, "K *B L C"]:
        """Return the gradient through the normaliser of the log-probabilities."""
        return gradient - self.p * gradient.sum(-1, keepdim=True)

    def score(self, one_hot: Float[Tensor, "K *B L C"]) -> Float[Tensor, "K *B L C"]:
        """Return D - pi."""
        return one_hot - self.p


class _Binary(Relaxation):
    """A binary variable: z = a + noise, a the log-odds of class 1, drawn where z > 0."""

    def locate(self, logits: Float[Tensor, "*b L 2"]) -> Float[Tensor, "*b L 1"]:
        """Return the difference of the logits."""
        return log_odds(logits).unsqueeze(-1)

    def soften(self, z: Float[Tensor, "K *B L 1"]) -> Float[Tensor, "K *B L 2"]:
        """Return the sigmoid, as the probability of class 1."""
        return torch.cat((torch.sigmoid(-z), torch.sigmoid(z)), -1)

    def to_z(
        self, soft: Float[Tensor, "K *B L 2"], gradient: Float[Tensor, "K *B L 2"]
    ) -> Float[Tensor, "K *B L 1"]:
        """Return the sigmoid's slope times the difference of the gradients."""
        slope = soft[..., :1] * soft[..., 1:]
        return slope * (gradient[..., 1:] - gradient[..., :1])

    def to_logits(self, gradient: Float[Tensor, "K *B L 1"]) -> Float[Tensor, "K *B L 2"]:
        """Return opposite gradients for the two classes."""
        return from_log_odds(gradient.squeeze(-1))


class Logistic(_Binary):
    """Logistic noise: P(class 1) = sigmoid(a).

    With s = 1 where class 1 is drawn and -1 elsewhere, A = s a and v uniform, z given the sample
    is `s (softplus(A + log v) - log(1 - v))`.

    References:
        Tucker et al. (2017), arXiv:1703.07370, section 3.1 and appendix G.2.
    """

    def draw(
        self, noise: Noise, like: Float[Tensor, "*B L 2"], samples: int, *, coupled: bool
    ) -> Draw:
        """Draw one uniform per variable, and another if uncoupled."""
        a = self.location
        uniform = uniforms(noise, like, samples).unsqueeze(-1)
        z = a + torch.logit(uniform)
        one_hot = binary_one_hot(z.squeeze(-1) > 0, z.dtype)
        redrawn = None if coupled else uniforms(noise, like, samples).unsqueeze(-1)
        return Draw(one_hot, z, *redraw_logistic(a, z, redrawn))

    def score(self, one_hot: Float[Tensor, "K *B L 2"]) -> Float[Tensor, "K *B L 2"]:
        """Return D - pi."""
        return one_hot - self.p


def redraw_logistic(a: Tensor, z: Tensor, uniform: Tensor | None) -> tuple[Tensor, Tensor]:
    """Draw logistic z = a + noise again, given its sign; return it with its derivative to a.

    Args:
        a: Location of the distribution.
        z: First draw, whose sign is kept.
        uniform: Uniform numbers; if None, the draw is coupled: it has the value of the first.
    """
    sign = torch.where(z > 0, 1.0, -1.0).to(z.dtype)
    if uniform is None:
        return z, -torch.sigmoid(sign * a) * torch.expm1(-z.abs())
    shifted = sign * a + uniform.log()
    conditional = sign * (-logsigmoid(-shifted) - torch.log1p(-uniform))
    return conditional, torch.sigmoid(shifted)


class Probit(_Binary):
    """Normal noise: P(class 1) = Phi(a).

    With s and A as in `Logistic`, z given the sample is `s (A - Phi^-1(v Phi(A)))`.

    References:
        The form is consistent; formulas in print for this case are not.
    """

    def draw(
        self, noise: Noise, like: Float[Tensor, "*B L 2"], samples: int, *, coupled: bool
    ) -> Draw:
        """Draw one uniform per variable, and another if uncoupled."""
        a = self.location
        z = a + torch.special.ndtri(uniforms(noise, like, samples).unsqueeze(-1))
        sign = torch.where(z > 0, 1.0, -1.0).to(z.dtype)
        one_hot = binary_one_hot(z.squeeze(-1) > 0, z.dtype)
        signed = sign * a
        if coupled:
            return Draw(one_hot, z, z, 1 - _mills_quotient(signed, signed - z.abs()))
        redrawn = uniforms(noise, like, samples).unsqueeze(-1)
        lower = torch.special.ndtri(redrawn * torch.special.ndtr(signed))
        slope = 1 - _mills_quotient(signed, lower)
        return Draw(one_hot, z, sign * (signed - lower), slope)

    def score(self, one_hot: Float[Tensor, "K *B L 2"]) -> Float[Tensor, "K *B L 2"]:
        """Return the inverse Mills ratio of the drawn class."""
        sign = one_hot[..., 1] - one_hot[..., 0]
        signed = sign * self.location.squeeze(-1)
        return from_log_odds(sign * _log_inverse_mills(signed).exp())


def _log_inverse_mills(x: Tensor) -> Tensor:
    """Return the log of the normal density over the normal distribution function."""
    return -0.5 * (x.square() + math.log(2 * math.pi)) - torch.special.log_ndtr(x)


def _mills_quotient(x: Tensor, lower: Tensor) -> Tensor:
    """Return the inverse Mills ratio at x over that at a point below it, in [0, 1]."""
    return torch.exp(_log_inverse_mills(x) - _log_inverse_mills(lower))

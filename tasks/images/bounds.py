"""Losses and bounds of images under sampled codes, in parts of fixed sizes."""

import functools
import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.noise import Noise
from raysweep.tasks.pauses import pause

EVALUATION_ROWS = 100  # examples at a time: bounds memory, and evaluation noise depends on it
BOUND_CODES = 5  # codes at a time in the multi-sample bound, for the same reasons
ACTIVE = 0.01  # variance above which a latent variable is active: Burda et al. (2015), section 5


class Codes(ABC):
    """Codes of some images, given the images: their draws, and the losses at them."""

    @abstractmethod
    def mean_loss(self, noise: Noise, samples: int) -> Float[Tensor, "R B"]:
        """Return the loss of the images, averaged over some codes."""

    @abstractmethod
    def losses(self, noise: Noise, used: int) -> Float[Tensor, "K R B"]:
        """Draw `BOUND_CODES` codes, and return -log p(x, D) / q(D | x) of the first of them.

        Args:
            noise: Source of the codes' random numbers.
            used: Number of codes with a loss, K, at most `BOUND_CODES`.
        """

    def moments(self) -> Float[Tensor, "2 R L C"] | None:
        """Return sums over the images of probabilities and of their squares, or None."""
        return None


def multi_sample_bound(
    codes: Codes, noise: Noise, samples: int, index: int
) -> Float[Tensor, "R B"]:
    """Return -log of the mean importance weight p(x, D) / q(D | x), in float64.

    Codes are drawn a few at a time, so that memory does not grow with their number.

    Args:
        codes: Codes of the images.
        noise: Source of the codes' random numbers.
        samples: Number of codes for each image.
        index: Index of these images among those that are evaluated.

    References:
        Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519, equation 8.
    """
    parts = math.ceil(samples / BOUND_CODES)

    def log_weight(part: int) -> Tensor:
        pause()
        noise.at(index * parts + part)
        # always the same number of draws, as fewer would repeat numbers of an earlier part
        loss = codes.losses(noise, min(BOUND_CODES, samples - part * BOUND_CODES))
        return (-loss.double()).logsumexp(0)

    return math.log(samples) - functools.reduce(torch.logaddexp, map(log_weight, range(parts)))


def active_units(moments: Float[Tensor, "2 R L C"], images: int) -> Float[Tensor, " R"]:
    """Return the number of variables whose probabilities vary over the images.

    Args:
        moments: Sums over the images of probabilities and of their squares, in float64.
        images: Number of images.
    """
    mean, square = moments / images
    spread = square - mean.square()
    variance = spread.sum(-1) / 2  # for two categories, that of the bit
    active = torch.where(variance.isnan(), variance, (variance > ACTIVE).double())
    return active.sum(-1)


def cross_entropy(
    logits: Float[Tensor, "*K R B T"], target: Float[Tensor, "R B T"]
) -> Float[Tensor, "*K R B"]:
    """Return the cross entropy of grey or binary values, over all pixels, in nats.

    Args:
        logits: Log-odds of the pixels.
        target: Values of the pixels, 0 to 1.
    """
    return functional.softplus(logits).sum(-1) - (logits * target).sum(-1)

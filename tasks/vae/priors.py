"""Priors of codes: log-probabilities of independent variables, per replica."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Prior(nn.Module, ABC):
    """Prior of independent variables whose probabilities do not depend on the image."""

    @abstractmethod
    def cross_entropy(self, weights: Float[Tensor, "*K R B L C"]) -> float | Tensor:
        """Return -log p(D) of one-hot codes, or its mean under probabilities: `*K R B`, in nats."""

    def divergence(self, log_q: Float[Tensor, "R B L C"]) -> Float[Tensor, "R B"]:
        """Return KL(q || p), in nats, summed over the variables."""
        q = log_q.exp()
        return (q * log_q).sum((-1, -2)) + self.cross_entropy(q)


class Uniform(Prior):
    """Prior with equal probabilities of all categories; nothing is learned.

    Args:
        latents: Number of latent variables, L.
        categories: Number of categories, C.
    """

    def __init__(self, latents: int, categories: int) -> None:
        super().__init__()
        self._nats = latents * math.log(categories)

    def cross_entropy(self, weights: Float[Tensor, "*K R B L C"]) -> float | Tensor:
        """Return `L log C`, for every code."""
        return self._nats


class Learned(Prior):
    """Prior with learned logits for every variable, uniform at the start.

    Args:
        replicas: Number of replicas, R.
        latents: Number of latent variables, L.
        categories: Number of categories, C.
        dtype: Floating point format of the logits.
        device: Device of the logits.
    """

    logits: Float[Tensor, "R 1 L C"]

    def __init__(
        self,
        replicas: int,
        latents: int,
        categories: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        start = torch.zeros(replicas, 1, latents, categories, dtype=dtype, device=device)
        self.logits = nn.Parameter(start)

    def cross_entropy(self, weights: Float[Tensor, "*K R B L C"]) -> float | Tensor:
        """Return -<weights, log softmax(logits)>."""
        return -(weights * self.logits.log_softmax(-1)).sum((-1, -2))


class Mispaired(Prior):
    """Prior with Bernoulli masses s, 1 - s paired across variables: code of Liu et al. (2023).

    In that code the vector (s_1 .. s_L, 1 - s_1 .. 1 - s_L) is read as if it were ordered by
    variable: a variable of the first half gets two adjacent s as its masses, one of the second
    half their complements. The masses of such a pair of variables sum to m and 2 - m, whose
    product is at most 1, so the reported value is still a bound, for a model with a poorer prior.
    It serves to measure the effect on published numbers.

    Args:
        replicas: Number of replicas, R.
        latents: Number of latent variables, L, even.
        dtype: Floating point format of the logits.
        device: Device of the logits.
    """

    logits: Float[Tensor, "R 1 L"]

    def __init__(
        self, replicas: int, latents: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        start = torch.zeros(replicas, 1, latents, dtype=dtype, device=device)
        self.logits = nn.Parameter(start)

    def cross_entropy(self, weights: Float[Tensor, "*K R B L 2"]) -> float | Tensor:
        """Return -<weights, log masses>."""
        both = torch.cat((self.logits, -self.logits), -1)
        log_masses = nn.functional.logsigmoid(both).unflatten(-1, (-1, 2))
        return -(weights * log_masses).sum((-1, -2))

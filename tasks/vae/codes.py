"""Discrete codes: logits from an encoder's outputs, and a decoder's inputs from a code."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class Code(ABC):
    """Code of L variables with C categories between two nets.

    Args:
        latents: Number of latent variables, L.
        categories: Number of categories, C.
    """

    def __init__(self, latents: int, categories: int) -> None:
        self.latents, self.categories = latents, categories

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of the encoder's outputs."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of the decoder's inputs."""

    @abstractmethod
    def logits(self, h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B L C"]:
        """Return the logits of the encoder's outputs."""

    @abstractmethod
    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """Return the decoder's input, linear in the one-hot or relaxed code."""


class LogitPerCategory(Code):
    """Code for which the encoder outputs a logit per category of every variable."""

    @property
    def outputs(self) -> int:
        """Number of the encoder's outputs, `L * C`."""
        return self.latents * self.categories

    def logits(self, h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B L C"]:
        """Split the outputs into variables."""
        return h.unflatten(-1, (self.latents, self.categories))


class OneHot(LogitPerCategory):
    """One-hot code, which the decoder reads as it is."""

    @property
    def inputs(self) -> int:
        """Number of the decoder's inputs, `L * C`."""
        return self.latents * self.categories

    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """Return all entries."""
        return code.flatten(-2)


class Integer(LogitPerCategory):
    """Code that the decoder reads as L numbers 0, 1, ..., C - 1."""

    @property
    def inputs(self) -> int:
        """Number of the decoder's inputs, L."""
        return self.latents

    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """Return each category's number, or its mean for a relaxed code."""
        numbers = torch.arange(self.categories, dtype=code.dtype, device=code.device)
        return code @ numbers


class Bits(Code):
    """Binary code: one encoder output per variable; the decoder reads bits or signs.

    Args:
        latents: Number of latent variables, L.
        reflected: True for logits (1 - h, h) of an output h, so that P(bit = 1) = sigmoid(2 h - 1),
            as in the code of Liu et al. (2023); otherwise they are (0, h), with sigmoid(h).
        signs: True if the decoder reads -1 and 1; otherwise it reads 0 and 1.
    """

    def __init__(self, latents: int, *, reflected: bool = False, signs: bool = False) -> None:
        super().__init__(latents, 2)
        self._reflected, self._signs = reflected, signs

    @property
    def outputs(self) -> int:
        """Number of the encoder's outputs, L."""
        return self.latents

    @property
    def inputs(self) -> int:
        """Number of the decoder's inputs, L."""
        return self.latents

    def logits(self, h: Float[Tensor, "*B L"]) -> Float[Tensor, "*B L 2"]:
        """Add a second logit to each output."""
        return torch.stack((1 - h if self._reflected else torch.zeros_like(h), h), -1)

    def features(self, code: Float[Tensor, "*B L 2"]) -> Float[Tensor, "*B L"]:
        """Return the second entry, or its difference to the first."""
        return code[..., 1] - code[..., 0] if self._signs else code[..., 1]

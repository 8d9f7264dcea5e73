"""How an encoder's outputs become logits, and how a code is handed to a decoder."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class Code(ABC):
    """L variables with C categories between two nets.

    Args:
        latents: L.
        categories: C.
    """

    def __init__(self, latents: int, categories: int) -> None:
        self.latents, self.categories = latents, categories

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that the encoder gives."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Numbers that the decoder takes."""

    @abstractmethod
    def logits(self, h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B L C"]:
        """From the encoder's outputs to logits."""

    @abstractmethod
    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """From a one-hot or relaxed code to the decoder's input, linearly."""


class LogitPerCategory(Code):
    """The encoder gives a logit for every category of every variable."""

    @property
    def outputs(self) -> int:
        """`L * C`."""
        return self.latents * self.categories

    def logits(self, h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B L C"]:
        """The outputs, cut into variables."""
        return h.unflatten(-1, (self.latents, self.categories))


class OneHot(LogitPerCategory):
    """Codes go in as they are."""

    @property
    def inputs(self) -> int:
        """`L * C`."""
        return self.latents * self.categories

    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """All entries."""
        return code.flatten(-2)


class Integer(LogitPerCategory):
    """A code goes in as L numbers 0, 1, ..., C - 1."""

    @property
    def inputs(self) -> int:
        """L."""
        return self.latents

    def features(self, code: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B F"]:
        """The category's number, or its mean for a relaxed code."""
        numbers = torch.arange(self.categories, dtype=code.dtype, device=code.device)
        return code @ numbers


class Bits(Code):
    """One output per binary variable, and bits 0 and 1, or signs -1 and 1, for the decoder.

    Args:
        latents: L.
        reflected: An output h gives the logits (1 - h, h), so that P(bit = 1) = sigmoid(2 h - 1),
            as in the code of Liu et al. (2023); otherwise (0, h) and sigmoid(h).
        signs: Codes go in as -1 and 1.
    """

    def __init__(self, latents: int, *, reflected: bool = False, signs: bool = False) -> None:
        super().__init__(latents, 2)
        self._reflected, self._signs = reflected, signs

    @property
    def outputs(self) -> int:
        """L."""
        return self.latents

    @property
    def inputs(self) -> int:
        """L."""
        return self.latents

    def logits(self, h: Float[Tensor, "*B L"]) -> Float[Tensor, "*B L 2"]:
        """A second logit beside each output."""
        return torch.stack((1 - h if self._reflected else torch.zeros_like(h), h), -1)

    def features(self, code: Float[Tensor, "*B L 2"]) -> Float[Tensor, "*B L"]:
        """The second entry, or its difference to the first."""
        return code[..., 1] - code[..., 0] if self._signs else code[..., 1]

"""Layers with a replica axis in front."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.noise import Noise

Initialisation = Literal["torch", "glorot", "variance_scaling"]
TRUNCATION = 2.0  # standard deviations at which the normal of variance_scaling is cut


def initial(
    inputs: int,
    outputs: int,
    noise: Noise,
    initialisation: Initialisation,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Float[Tensor, "R inputs outputs"], Float[Tensor, "R 1 outputs"]]:
    """Return the initial weights and biases of an affine map.

    They are uniform in ±1/sqrt(inputs), as in `torch.nn.Linear` ("torch"); or weights are uniform
    in ±sqrt(6 / (inputs + outputs)), as in Glorot and Bengio (2010), and biases 0 ("glorot"); or
    weights are normal with the variance 2.6 / inputs, truncated at two standard deviations so that
    about 2 / inputs remains, as in TensorFlow's form of He et al. (2015), and biases 0
    ("variance_scaling"). Each replica's numbers depend on its own seed only.

    Args:
        inputs: Number of input features.
        outputs: Number of output features.
        noise: Noise of the replicas for initialisation.
        initialisation: Distribution of the weights.
        dtype: Floating point format of the weights.
        device: Device of the weights.

    Raises:
        ValueError: If the noise has no seed per replica.
    """
    if noise.seeds is None:
        raise ValueError("layers need one seed per replica, got a noise of a single seed")
    weight, bias = (
        noise.uniform(len(noise.seeds), rows, outputs, dtype=dtype, device=device)
        for rows in (inputs, 1)
    )
    if initialisation == "variance_scaling":
        lowest = torch.special.ndtr(torch.tensor(-TRUNCATION, dtype=dtype, device=device))
        normal = torch.special.ndtri(lowest + weight * (1 - 2 * lowest))
        return normal.mul(math.sqrt(2.6 / inputs)), torch.zeros_like(bias)
    bounds = [1 / math.sqrt(inputs)] * 2
    if initialisation == "glorot":
        bounds = [math.sqrt(6 / (inputs + outputs)), 0.0]
    return weight.mul(2 * bounds[0]).sub(bounds[0]), bias.mul(2 * bounds[1]).sub(bounds[1])


class Linear(nn.Module):
    """Affine map per replica: `x @ weight + bias`.

    Args:
        inputs: Number of input features.
        outputs: Number of output features.
        noise: Noise of the replicas for initialisation.
        initialisation: Distribution of the initial weights, as in `initial`.
        dtype: Floating point format of the weights.
        device: Device of the weights.
    """

    weight: Float[Tensor, "R inputs outputs"]
    bias: Float[Tensor, "R 1 outputs"]

    def __init__(
        self,
        inputs: int,
        outputs: int,
        noise: Noise,
        *,
        initialisation: Initialisation = "torch",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        weight, bias = initial(inputs, outputs, noise, initialisation, dtype=dtype, device=device)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Float[Tensor, "*K R B inputs"]) -> Float[Tensor, "*K R B outputs"]:
        """Map every row by its replica's weights; `K` is an optional axis of samples."""
        if x.dim() == 3:
            return torch.baddbmm(self.bias, x, self.weight)
        return unfold_samples(torch.baddbmm(self.bias, fold_samples(x), self.weight), x.shape[0])


class MLP(nn.Module):
    """Linear layers with an activation between them, none after the last.

    Args:
        sizes: Numbers of features before the first layer, between layers, and after the last.
        noise: Noise of the replicas for initialisation.
        activation: Elementwise function; may overwrite its argument.
        initialisation: Distribution of the initial weights, as in `initial`.
        dtype: Floating point format of the weights.
        device: Device of the weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        noise: Noise,
        activation: Callable[[Tensor], Tensor] = torch.relu_,
        *,
        initialisation: Initialisation = "torch",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.inputs = sizes[0]
        self.layers = nn.ModuleList(
            Linear(
                inputs, outputs, noise, initialisation=initialisation, dtype=dtype, device=device
            )
            for inputs, outputs in pairwise(sizes)
        )
        self._activation = activation

    def forward(self, x: Float[Tensor, "*K R B inputs"]) -> Float[Tensor, "*K R B outputs"]:
        """Map every row by its replica's weights; `K` is an optional axis of samples."""
        h = x if x.dim() == 3 else fold_samples(x)
        *inner, last = self.layers
        for layer in inner:
            h = self._activation(layer(h))
        h = last(h)
        return h if x.dim() == 3 else unfold_samples(h, x.shape[0])


def fold_samples(x: Float[Tensor, "K R B D"]) -> Float[Tensor, "R rows D"]:
    """Move samples into the batch, K * B rows, so that a replica's weights are read once."""
    samples, replicas, batch, features = x.shape
    if samples == 1:
        return x.squeeze(0)
    return x.transpose(0, 1).reshape(replicas, samples * batch, features)


def unfold_samples(x: Float[Tensor, "R rows D"], samples: int) -> Float[Tensor, "K R B D"]:
    """Undo `fold_samples`."""
    if samples == 1:
        return x.unsqueeze(0)
    return x.unflatten(1, (samples, -1)).transpose(0, 1)


@torch.no_grad()
def select(module: nn.Module, keep: Tensor) -> None:
    """Drop replicas from every parameter and buffer of a module.

    Args:
        module: Module whose parameters and buffers all lead with `R`.
        keep: A boolean mask or indices, over the current replicas.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(parameter[keep], parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer[keep])

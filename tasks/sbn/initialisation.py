"""Initial parameters of layered networks: uniform weights, then whitened pre-activations."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.layered import Convolution, Dense
from raysweep.estimators.layered.sampling import signs
from raysweep.estimators.noise import Noise

LEAST_VARIANCE = 1e-5
"""Variance to which smaller ones are raised, so that a constant pre-activation is not blown up."""


@torch.no_grad()
def whitened_dense(
    sizes: Sequence[int], x: Float[Tensor, "R B inputs"], noise: Noise
) -> list[Dense]:
    """Return fully connected layers whose pre-activations have mean 0 and variance 1 on a batch.

    Weights are uniform in (-1, 1); each unit's weights and bias are then scaled and shifted, layer
    by layer, with states drawn from the layers before.

    Args:
        sizes: Number of inputs, then of each layer's units.
        x: Batch of inputs, of each replica.
        noise: Noise of the replicas.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.2.
    """
    layers: list[Dense] = []
    state = x
    for inputs, outputs in pairwise(sizes):
        uniform = noise.uniform(len(x), inputs, outputs, dtype=x.dtype, device=x.device)
        layer = Dense(2 * uniform - 1, x.new_zeros(len(x), outputs))
        layers.append(layer)
        state = drawn(whiten(layer, state), noise)
    return layers


@torch.no_grad()
def whiten(layer: Dense | Convolution, x: Float[Tensor, "R B *inputs"]) -> Tensor:
    """Scale and shift a layer so that its pre-activations have mean 0 and variance 1 on a batch.

    Both are over the examples, and over positions after a convolution, for each replica and unit
    (or channel). The scale and the bias from before have no effect on the result.

    Args:
        layer: Layer whose weights and biases are changed.
        x: Batch of inputs.

    Returns:
        The pre-activations after the change, `R B *units`.
    """
    a = layer(x)
    axes = (1, *range(3, a.dim()))
    mean, variance = a.mean(axes), a.var(axes, correction=0)
    scale = variance.clamp(min=LEAST_VARIANCE).rsqrt()
    layer.bias.sub_(mean).mul_(scale)
    layer.weight.mul_(scale[:, None] if isinstance(layer, Dense) else scale[..., None, None, None])
    shape = (len(a), 1, -1, *(1,) * (a.dim() - 3))
    return (a - mean.view(shape)) * scale.view(shape)


def drawn(logits: Float[Tensor, "R B *units"], noise: Noise) -> Float[Tensor, "R B *units"]:
    """Draw the states of a layer, given its pre-activations."""
    uniform = noise.uniform(*logits.shape, dtype=logits.dtype, device=logits.device)
    return signs(logits + torch.logit(uniform))

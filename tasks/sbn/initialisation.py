"""Initial parameters of layered networks: uniform weights, then whitened pre-activations."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.layered import Dense
from raysweep.estimators.layered.sampling import signs
from raysweep.estimators.noise import Noise


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
        weight = 2 * uniform - 1
        a = state @ weight
        deviation = a.std(1, unbiased=False).clamp(min=torch.finfo(x.dtype).eps)
        layer = Dense(weight / deviation.unsqueeze(1), -a.mean(1) / deviation)
        layers.append(layer)
        a = layer(state)
        logistic = torch.logit(noise.uniform(*a.shape, dtype=a.dtype, device=a.device))
        state = signs(a + logistic)
    return layers

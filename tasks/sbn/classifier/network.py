"""Layers of a classifier, and their initialisation from data."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.layered import Convolution, Dense
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings
from raysweep.tasks.sbn.initialisation import drawn, whiten


def build_layers(
    settings: SbnClassifierSettings, noise: Noise, device: torch.device
) -> list[Dense | Convolution]:
    """Build the layers of stochastic units, with weights and biases uniform in ±1.

    Args:
        settings: Settings of the task.
        noise: Noise of the replicas for initialisation.
        device: Device of the weights.
    """
    if settings.network == "dense":
        return [
            Dense(
                _uniform(noise, (inputs, outputs), 1.0, settings, device),
                _uniform(noise, (outputs,), 1.0, settings, device),
            )
            for inputs, outputs in pairwise(settings.units)
        ]
    channels = pairwise(shape[0] for shape in settings.shapes)
    sizes = zip(channels, settings.kernels, settings.strides, strict=True)
    return [
        Convolution(
            _uniform(noise, (outputs, inputs, kernel, kernel), 1.0, settings, device),
            _uniform(noise, (outputs,), 1.0, settings, device),
            stride,
        )
        for (inputs, outputs), kernel, stride in sizes
    ]


def build_head(settings: SbnClassifierSettings, noise: Noise, device: torch.device) -> Dense:
    """Build the map from the last states to class scores."""
    inputs = settings.units[-1]
    bound = settings.head_bound or 1 / math.sqrt(inputs)
    return Dense(
        _uniform(noise, (inputs, settings.scores), bound, settings, device),
        _uniform(noise, (settings.scores,), bound, settings, device),
    )


@torch.no_grad()
def whiten_layers(
    layers: Iterable[Dense | Convolution],
    x: Float[Tensor, "R B *shape"],
    noise: Noise,
    states: Literal["sampled", "tanh"],
) -> None:
    """Scale and shift every layer so that pre-activations have mean 0 and variance 1.

    Args:
        layers: Layers of the network, first to last.
        x: Inputs of the first layer.
        noise: Noise of the replicas, for sampled states.
        states: States of a layer given its pre-activations a, for the next: samples, or tanh(a).

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.2.
    """
    for layer in layers:
        a = whiten(layer, x)
        x = torch.tanh(a) if states == "tanh" else drawn(a, noise)


def _uniform(
    noise: Noise,
    shape: Sequence[int],
    bound: float,
    settings: SbnClassifierSettings,
    device: torch.device,
) -> Tensor:
    """Draw numbers `R *shape`, uniform in plus or minus a bound."""
    replicas = len(noise.seeds or ())
    uniform = noise.uniform(replicas, *shape, dtype=DTYPES[settings.dtype], device=device)
    return uniform.mul(2 * bound).sub(bound)

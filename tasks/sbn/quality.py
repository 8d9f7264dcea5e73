"""Measures of gradient estimates of layered networks against the exact gradient, by layer."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.estimators.layered import Dense, LayeredEstimator, PathObjective
from raysweep.estimators.layered.base import Request
from raysweep.estimators.layered.enumeration import expected_loss
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import Metric

LAYERS = 3
"""Number of layers, from the input on, whose gradients are measured."""

QUANTILES = (0.15, 0.85)
"""Ends of the interval that holds 70 % of the cosines, as in figure 3 of the paper."""


def _of_layer(direction: Any, meaning: str, layer: int) -> Metric:
    return Metric(
        direction,
        "",
        f"{meaning}, for the parameters of layer {layer}",
        needs={"layers": layer, "draws": 2},
        at_end=True,
        early="evaluate_every",
    )


def measures() -> Mapping[str, Metric]:
    """Return the metrics of every measured layer."""
    metrics = {}
    for layer in range(1, LAYERS + 1):
        metrics[f"relative_rmse_layer_{layer}"] = _of_layer(
            "min",
            "root mean squared error of the mean of `estimates` estimates, over the norm",
            layer,
        )
        metrics[f"cosine_layer_{layer}"] = _of_layer(
            "max", "mean cosine similarity of the mean of `estimates` estimates", layer
        )
        metrics[f"cosine_low_layer_{layer}"] = _of_layer(
            "max", "15 % quantile of the cosine", layer
        )
        metrics[f"cosine_high_layer_{layer}"] = _of_layer(
            "max", "85 % quantile of the cosine", layer
        )
        metrics[f"relative_bias_layer_{layer}"] = _of_layer(
            "min", "distance of the expected estimate from the exact gradient, over its norm", layer
        )
        metrics[f"gradient_norm_layer_{layer}"] = _of_layer(
            "min", "norm of the exact gradient", layer
        )
    return metrics


class Network(NamedTuple):
    """Layers of every replica, with the examples that gradients are measured on.

    Args:
        layers: Fully connected layers, whose parameters lead with `R`.
        x: Input, `R B inputs`.
        objective: Function that returns the objective of copies of the replicas, given the index
            of each copy's replica and the format of its numbers.
    """

    layers: Sequence[Dense]
    x: Float[Tensor, "R B inputs"]
    objective: Callable[[Int[Tensor, " copies"], torch.dtype], PathObjective]


class _Copies(Noise):
    """Noise for several copies of each replica, drawn as one request of each replica.

    Args:
        noise: Noise of the replicas.
        copies: Number of copies of each replica, side by side.
    """

    def __init__(self, noise: Noise, copies: int) -> None:
        super().__init__(seeds=noise.seeds, purpose=noise.purpose)
        self._noise, self._copies = noise, copies

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw uniform numbers, the first axis being all copies."""
        rows = shape[0] // self._copies
        drawn = self._noise.uniform(rows, self._copies, *shape[1:], dtype=dtype, device=device)
        return drawn.flatten(0, 1)


def exact_gradients(network: Network) -> list[Float[Tensor, "R M"]]:
    """Return the exact gradient of the mean loss to each layer's parameters, flat, in float64."""
    replicas = len(network.x)
    index = torch.arange(replicas, device=network.x.device)
    layers = _copied(network.layers, index, torch.float64)
    objective = network.objective(index, torch.float64)
    request = Request(layers, network.x.double(), objective, Noise(), None, None)
    with torch.enable_grad():
        loss = expected_loss(request).mean(1).sum()
        return _by_layer(torch.autograd.grad(loss, _parameters(layers)))


@torch.no_grad()
def expected_losses(network: Network) -> Float[Tensor, "R B"]:
    """Return the exact expectation of each example's loss."""
    index = torch.arange(len(network.x), device=network.x.device)
    request = Request(
        network.layers, network.x, network.objective(index, network.x.dtype), Noise(), None, None
    )
    return expected_loss(request)


def estimates(
    network: Network,
    estimator: LayeredEstimator,
    noise: Noise,
    count: int,
    baseline: Float[Tensor, "R B"] | None = None,
) -> list[Float[Tensor, "n R M"]]:
    """Draw independent estimates of the mean loss's gradient, flat for each layer.

    Args:
        network: Network to differentiate.
        estimator: Estimator built for the network's replicas; it is not changed.
        noise: Noise of the replicas, at the step to draw from.
        count: n, number of estimates; the numbers depend on it.
        baseline: Baseline of each example, for estimators that take one.
    """
    replicas = len(network.x)
    index = torch.arange(replicas, device=network.x.device).repeat_interleave(count)
    copies = copy.deepcopy(estimator).eval()  # frozen: all estimates are of the same estimator
    copies.select(index)
    layers = _copied(network.layers, index, network.x.dtype)
    with torch.enable_grad():
        estimate = copies.estimate(
            layers,
            network.x[index],
            network.objective(index, network.x.dtype),
            _Copies(noise, count),
            context=network.x[index],
            baseline=None if baseline is None else baseline[index],
        )
        gradients = torch.autograd.grad(
            estimate.surrogate.mean(1).sum(),
            _parameters(layers),
            allow_unused=True,
            materialize_grads=True,
        )
    return [one.unflatten(0, (replicas, count)).transpose(0, 1) for one in _by_layer(gradients)]


class LayerQuality:
    """Accumulator of one layer's estimates, whose memory does not grow with their number.

    Args:
        exact: Exact gradient, flat, `R M`.
        group: Number of estimates that are averaged before they are compared, for each replica.
    """

    def __init__(self, exact: Float[Tensor, "R M"], group: Int[Tensor, " R"]) -> None:
        self._exact, self._group = exact.double(), group
        self._norm = self._exact.norm(dim=-1)
        self._draws = 0
        self._errors = torch.zeros_like(self._exact)
        self._squares = torch.zeros_like(self._norm)
        self._in_group = torch.zeros_like(self._exact)
        self._cosines: list[list[Tensor]] = [[] for _ in self._norm]

    def add(self, drawn: Float[Tensor, "n R M"]) -> None:
        """Add n estimates, one after the other."""
        for estimate in drawn.double():
            self._draws += 1
            error = estimate - self._exact
            self._errors += error
            self._squares += error.square().sum(-1)
            self._in_group += estimate
            ends = self._draws % self._group == 0
            for replica in ends.nonzero().flatten().tolist():
                cosine = torch.cosine_similarity(
                    self._in_group[replica], self._exact[replica], dim=-1
                )
                self._cosines[replica].append(cosine)
                self._in_group[replica] = 0

    def metrics(self) -> dict[str, Float[Tensor, " R"]]:
        """Return the measures.

        The squared distance of the mean estimate from the exact gradient exceeds the squared bias
        by the mean's variance, which is subtracted; a negative difference counts as no bias.
        """
        norm = self._norm
        distance = (self._errors / self._draws).square().sum(-1)
        spread = (self._squares / self._draws - distance).clamp(min=0)
        variance = spread * self._draws / max(1, self._draws - 1)
        bias = (distance - variance / self._draws).clamp(min=0)
        cosines = [
            torch.stack(one) if one else norm.new_full((1,), torch.nan) for one in self._cosines
        ]
        low, high = (torch.stack([one.quantile(q) for one in cosines]) for q in QUANTILES)
        return {
            "relative_rmse": (bias + variance / self._group).sqrt() / norm,
            "cosine": torch.stack([one.mean() for one in cosines]),
            "cosine_low": low,
            "cosine_high": high,
            "relative_bias": bias.sqrt() / norm,
            "gradient_norm": norm,
        }


def _copied(layers: Sequence[Dense], index: Tensor, dtype: torch.dtype) -> list[Dense]:
    """Return layers with the parameters of these replicas, as leaves."""
    return [
        Dense(layer.weight.detach()[index].to(dtype), layer.bias.detach()[index].to(dtype))
        for layer in layers
    ]


def _parameters(layers: Sequence[Dense]) -> list[Tensor]:
    return [parameter for layer in layers for parameter in (layer.weight, layer.bias)]


def _by_layer(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return weights' and biases' gradients side by side, for each layer."""
    pairs = zip(gradients[::2], gradients[1::2], strict=True)
    return [torch.cat((weight.flatten(1), bias.flatten(1)), 1) for weight, bias in pairs]

"""Layers of a stochastic binary network: pre-activations, moments, and effects of flips."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.estimate import sample_count
from raysweep.estimators.layered.flips import LARGEST_EXPANDED, expand, rows_at_once
from raysweep.estimators.layered.leading import lead_of

LEAST_EXPANDED = 2**12
"""Weights of a replica from which a sum over flips is cheaper as an expansion than term by term."""


class Layer(nn.Module, ABC):
    """The map from one layer's states to the pre-activations of the next, `a`.

    Unit j of the next layer is 1 with probability `sigmoid(a_j)`, and -1 otherwise. Parameters
    lead with `R` where there are replicas; states are `*K R B units`, or `*K B units` without.

    Attributes:
        has_moments: Whether it can map means and variances of independent inputs.
        input_axes: Number of axes that one example's input has.
        replicas: Number of replicas, or None.
    """

    has_moments: ClassVar[bool] = False
    input_axes: int = 1
    replicas: int | None = None

    @abstractmethod
    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the pre-activations `*K *B outputs` of inputs `*K *B inputs`."""

    @abstractmethod
    def flip_sum(self, x: Tensor, logits: Tensor, signal: Tensor) -> Tensor:
        """Return, for each input i, `sum_j signal_j (F(a_j) - F(a_j with x_i of the other sign))`.

        Args:
            x: Inputs of ±1, `*K *B inputs`.
            logits: Pre-activations at these inputs, `*K *B outputs`.
            signal: Weights of the outputs, in the shape of `logits`.
        """

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and variances of the pre-activations of independent inputs.

        Raises:
            NotImplementedError: If the layer is not linear.
        """
        raise NotImplementedError(f"{type(self).__name__} has no moments: it may not be linear")


class _Linear(Layer):
    """A layer with weights and biases, which say how many replicas there are.

    Attributes:
        weight_axes: Number of axes of the weights of one replica.
    """

    has_moments = True
    weight_axes: ClassVar[int]

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    @property
    def replicas(self) -> int | None:
        """Number of replicas that the parameters lead with, or None."""
        return None if self.weight.ndim == self.weight_axes else len(self.weight)

    @replicas.setter
    def replicas(self, count: int | None) -> None:
        if count != self.replicas:
            raise ValueError(f"the layer's parameters have {self.replicas} replicas, got {count}")


class Dense(_Linear):
    """A fully connected layer: `a = x W + b`.

    Args:
        weight: Initial weights, `R inputs outputs`, or without `R`.
        bias: Initial biases, `R outputs`, or without `R`.

    Raises:
        ValueError: If the shapes do not belong together.
    """

    weight_axes = 2

    def __init__(
        self, weight: Float[Tensor, "*R inputs outputs"], bias: Float[Tensor, "*R outputs"]
    ) -> None:
        if weight.ndim not in (2, 3) or bias.shape != (*weight.shape[:-2], weight.shape[-1]):
            raise ValueError(
                "expected weights `*R inputs outputs` and biases `*R outputs`, got shapes "
                f"{tuple(weight.shape)} and {tuple(bias.shape)}"
            )
        super().__init__(weight, bias)

    def forward(self, x: Float[Tensor, "*B inputs"]) -> Float[Tensor, "*B outputs"]:
        """Return the pre-activations.

        Raises:
            ValueError: If the input has another number of units, or of replicas.
        """
        if x.shape[-1] != self.weight.shape[-2]:
            raise ValueError(
                f"the layer maps {self.weight.shape[-2]} units, got an input of shape "
                f"{tuple(x.shape)}"
            )
        return self._map(x, self.weight, self.bias.unsqueeze(-2))

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and variances of the pre-activations of independent inputs."""
        return self(mean), self._map(variance, self.weight.square(), None)

    @torch.no_grad()
    def flip_sum(self, x: Tensor, logits: Tensor, signal: Tensor) -> Tensor:
        """Return the weighted effects of each input's flip, `*K *B inputs`."""
        doubled = 2 * self.weight
        reach = _reach(doubled, doubled.shape[-2:].numel())
        if reach is None:
            return self._flip_each(x, logits, signal, doubled)
        expansion = expand(logits, signal, reach)
        odd, even = expansion.weights(doubled, -1)
        at_odd = self._map(expansion.odd(-1), odd.mT, None)
        return x * at_odd - self._map(expansion.even(-1), even.mT, None)

    def _flip_each(self, x: Tensor, logits: Tensor, signal: Tensor, doubled: Tensor) -> Tensor:
        lead = lead_of(self.replicas, x, 1)
        rows = [lead.fold(value, 1) for value in (x, logits, signal)]
        effects = torch.empty_like(rows[0])
        step = rows_at_once(doubled.numel())
        for start in range(0, effects.shape[-2], step):
            part = (..., slice(start, start + step), slice(None))
            inputs, a, weight = (value[part] for value in rows)
            moved = a.unsqueeze(-2) - inputs.unsqueeze(-1) * doubled.unsqueeze(-3)
            difference = a.sigmoid().unsqueeze(-2) - moved.sigmoid()
            effects[part] = (difference @ weight.unsqueeze(-1)).squeeze(-1)
        return lead.unfold(effects, 1)

    def _map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        lead = lead_of(self.replicas, x, 1)
        rows = lead.fold(x, 1)
        mapped = rows @ weight if bias is None else _affine(rows, weight, bias)
        return lead.unfold(mapped, 1)


class Convolution(_Linear):
    """A convolution without padding: `a = w * x + b`, over images `C H W`.

    Args:
        weight: Initial weights, `R outputs inputs height width`, or without `R`.
        bias: Initial biases, `R outputs`, or without `R`.
        stride: Step between positions, in both directions.

    Raises:
        ValueError: If the shapes do not belong together, or `stride` is not at least 1.
    """

    weight_axes = 4
    input_axes = 3

    def __init__(
        self,
        weight: Float[Tensor, "*R outputs inputs height width"],
        bias: Float[Tensor, "*R outputs"],
        stride: int = 1,
    ) -> None:
        if weight.ndim not in (4, 5) or bias.shape != weight.shape[:-3]:
            raise ValueError(
                "expected weights `*R outputs inputs height width` and biases `*R outputs`, got "
                f"shapes {tuple(weight.shape)} and {tuple(bias.shape)}"
            )
        super().__init__(weight, bias)
        self.stride = sample_count(stride, quantity="stride")

    def forward(self, x: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B O h w"]:
        """Return the pre-activations.

        Raises:
            ValueError: If the input is no image of the layer's channels, or smaller than the
                kernel, or has another number of replicas.
        """
        channels, height, width = self.weight.shape[-3:]
        fits = x.ndim >= 3 and x.shape[-2] >= height and x.shape[-1] >= width
        if not fits or x.shape[-3] != channels:
            raise ValueError(
                f"the layer maps images `*B {channels} H W` of at least {height} × {width}, got "
                f"an input of shape {tuple(x.shape)}"
            )
        return self._convolve(x, self.weight, self.bias)

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and variances of the pre-activations of independent inputs."""
        return self(mean), self._convolve(variance, self.weight.square(), None)

    @torch.no_grad()
    def flip_sum(self, x: Tensor, logits: Tensor, signal: Tensor) -> Tensor:
        """Return the weighted effects of each input's flip, `*K *B C H W`."""
        doubled = 2 * self.weight
        reach = _reach(doubled, doubled.shape[-4:].numel())
        if reach is None:
            return self._flip_each(x, logits, signal, doubled)
        expansion = expand(logits, signal, reach)
        size = x.shape[-2:]
        odd, even = expansion.weights(doubled, -4)
        at_odd = self._transpose(expansion.odd(-3), odd, size)
        return x * at_odd - self._transpose(expansion.even(-3), even, size)

    def _flip_each(self, x: Tensor, logits: Tensor, signal: Tensor, doubled: Tensor) -> Tensor:
        lead = lead_of(self.replicas, x, 3)
        x, a, signal = (lead.fold(value, 3) for value in (x, logits, signal))
        effects = torch.zeros_like(x)
        height, width = a.shape[-2:]
        rows, columns = doubled.shape[-2:]
        step = rows_at_once(doubled[..., 0, 0].numel() * height * width)
        for offset in range(rows * columns):
            row, column = divmod(offset, columns)
            window = (
                ...,
                slice(row, row + self.stride * height, self.stride),
                slice(column, column + self.stride * width, self.stride),
            )
            # `*R 1 O C 1 1`, against rows `*R B O C H W`
            weight = doubled[..., row, column].unsqueeze(-3)[..., None, None]
            for start in range(0, x.shape[-4], step):
                part = (..., slice(start, start + step), slice(None), slice(None), slice(None))
                at, by = a[part].unsqueeze(-3), signal[part].unsqueeze(-3)
                moved = at - weight * x[part][window].unsqueeze(-4)
                effects[part][window] += (by * (at.sigmoid() - moved.sigmoid())).sum(-4)
        return lead.unfold(effects, 3)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        lead = lead_of(self.replicas, x, 3)
        channels, groups = lead.channels(x), self.replicas or 1
        kernel = weight.flatten(0, -4)
        flat = None if bias is None else bias.flatten()
        mapped = functional.conv2d(channels, kernel, flat, stride=self.stride, groups=groups)
        return lead.from_channels(mapped)

    def _transpose(self, values: Tensor, weight: Tensor, size: torch.Size) -> Tensor:
        """Map outputs back to inputs of this height and width, as the gradient does."""
        lead = lead_of(self.replicas, values, 3)
        channels, groups = lead.channels(values), self.replicas or 1
        rest = [
            whole - (self.stride * (part - 1) + kernel)
            for whole, part, kernel in zip(size, values.shape[-2:], weight.shape[-2:], strict=True)
        ]
        mapped = functional.conv_transpose2d(
            channels,
            weight.flatten(0, -4),
            stride=self.stride,
            output_padding=rest,
            groups=groups,
        )
        return lead.from_channels(mapped)


class General(Layer):
    """Any differentiable map, whose flips are found by evaluating it once for each input.

    Args:
        module: Module from states `*K *B inputs` to pre-activations `*K *B outputs`.
        replicas: Number of replicas that the module's parameters lead with, if any; to be set anew
            when some are dropped.
        input_axes: Number of axes that one example's input has: 1, or 3 for images.
    """

    def __init__(self, module: nn.Module, replicas: int | None = None, input_axes: int = 1) -> None:
        super().__init__()
        self.module = module
        self._has_replicas = replicas is not None
        self.input_axes = sample_count(input_axes, quantity="input_axes")

    @property
    def replicas(self) -> int | None:  # type: ignore[override]
        """Number of replicas that the module's parameters lead with, or None."""
        return len(next(self.module.parameters())) if self._has_replicas else None

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the pre-activations."""
        mapped: Tensor = self.module(x)
        return mapped

    @torch.no_grad()
    def flip_sum(self, x: Tensor, logits: Tensor, signal: Tensor) -> Tensor:
        """Return the weighted effects of each input's flip, `*K *B inputs`."""
        lead = x.ndim - self.input_axes
        flat, p = x.flatten(lead), logits.sigmoid()
        effects = torch.empty_like(flat)
        for index in range(flat.shape[-1]):
            other = flat.clone()
            other[..., index].neg_()
            difference = (p - self(other.reshape(x.shape)).sigmoid()) * signal
            effects[..., index] = difference.flatten(lead).sum(-1)
        return effects.reshape(x.shape)


def _reach(doubled: Tensor, weights: int) -> float | None:
    """Return the reach of an expansion, or None where a sum over flips is better term by term.

    Args:
        doubled: Twice the weights, of all replicas.
        weights: Number of weights of one replica.
    """
    if weights < LEAST_EXPANDED:
        return None
    reach = doubled.abs().max().item()
    return reach if reach <= LARGEST_EXPANDED else None  # None, too, where a replica has diverged


def _affine(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.ndim == 3:
        return torch.baddbmm(bias, rows, weight)
    return torch.addmm(bias, rows, weight)

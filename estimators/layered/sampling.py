"""Paths of samples through a network, and gradients that are known at the pre-activations."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import HALF
from raysweep.estimators.carrying import with_gradients
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    Request,
    first_states,
    mean_losses,
)
from raysweep.estimators.layered.layers import Layer
from raysweep.estimators.layered.objective import Path
from raysweep.estimators.noise import Noise


class Draw(NamedTuple):
    """Hard samples of every layer, first to last.

    Args:
        states: States of ±1, `K *B units`, constants.
        logits: Pre-activations, which carry the gradient to their own layer's parameters alone;
            the first layer's are `*B units`, as its input is no sample, the others `K *B units`.
        noise: Logistic noise, `K *B units`, at least in single precision: a state is 1 where
            `logits + noise > 0`.
        batch_axes: Number of axes of the batch.
    """

    states: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]
    noise: tuple[Tensor, ...]
    batch_axes: int

    @property
    def path(self) -> Path:
        """The states, with their pre-activations as constants."""
        return Path(self.states, tuple(a.detach().expand_as(x) for a, x in self.pairs()))

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Return pre-activations and states, layer by layer."""
        return list(zip(self.logits, self.states, strict=True))

    def scores(self) -> list[Tensor]:
        """Return the log-probability's derivatives to the pre-activations, `K *B units` each."""
        return [x * torch.sigmoid(-x * a.detach()) for a, x in self.pairs()]

    def estimate(
        self,
        gradients: Sequence[Tensor],
        losses: Float[Tensor, " K *B"],
        tuning_loss: Float[Tensor, "*B"] | None = None,
        direct: Float[Tensor, " K *B"] | None = None,
    ) -> LayeredEstimate:
        """Return the estimate whose gradient to the layers' parameters is known.

        Args:
            gradients: Gradients to the pre-activations, `K *B units` each, averaged over K.
            losses: Losses of the samples.
            tuning_loss: Loss of the learned parts, as in `LayeredEstimate`.
            direct: Losses whose gradient reaches all that the objective closes over; `losses` if
                not given.
        """
        tensors, weights = [self.logits[0]], [gradients[0].detach().mean(0)]
        for logits, gradient in zip(self.logits[1:], gradients[1:], strict=True):
            tensors.append(logits.movedim(0, self.batch_axes))
            by_example = gradient.detach().movedim(0, self.batch_axes) / len(gradient)
            weights.append(by_example.expand_as(tensors[-1]))
        # NaN pre-activations still give states: adding 0 times their sum makes the value NaN
        sums = [over_units(tensor.detach(), self.batch_axes) for tensor in tensors]
        value = torch.add(mean_losses(losses.detach()), sum(sums[1:], start=sums[0]), alpha=0)
        mean = mean_losses(losses if direct is None else direct)
        surrogate = with_gradients(value, mean, tensors, weights)
        return LayeredEstimate(surrogate, value, first_states(self.states), tuning_loss)


def draw(
    layers: Sequence[Layer], x: Float[Tensor, "*B inputs"], noise: Noise, samples: int
) -> Draw:
    """Draw hard samples of every layer, with one request of noise for each.

    Args:
        layers: Layers of the network.
        x: Input of the first layer.
        noise: Source of random numbers.
        samples: K, the number of samples.
    """
    batch_axes = x.ndim - layers[0].input_axes
    states: list[Tensor] = []
    logits: list[Tensor] = []
    noises: list[Tensor] = []
    for index, layer in enumerate(layers):
        a = layer(states[-1] if index else x)
        like = a.detach() if index else a.detach().expand(samples, *a.shape)
        logistic = torch.logit(uniforms(noise, like, batch_axes))
        states.append(signs(like + logistic, like.dtype))
        logits.append(a)
        noises.append(logistic)
    return Draw(tuple(states), tuple(logits), tuple(noises), batch_axes)


def beside_hard(
    request: Request, samples: int, followed: Float[Tensor, "*B"], relaxed: Float[Tensor, "*B"]
) -> LayeredEstimate:
    """Return the estimate that follows a relaxed network, with the loss at hard samples beside it.

    Args:
        request: Request of the estimate.
        samples: K, the number of hard samples.
        followed: Losses whose gradient the surrogate has.
        relaxed: Losses of the relaxed network, as constants.
    """
    with torch.no_grad():
        drawn = draw(request.layers, request.x, request.noise, samples)
        value = mean_losses(request.losses(drawn.path))
    value = torch.add(value, followed.detach(), alpha=0)  # NaN where a pre-activation is
    surrogate = with_gradients(value, followed)
    return LayeredEstimate(surrogate, value, first_states(drawn.states), relaxed=relaxed)


def continued(
    layers: Sequence[Layer], drawn: Draw, index: int, state: Tensor, noise: Sequence[Tensor]
) -> Path:
    """Return the path that has another state in one layer, and the same noise after it.

    Args:
        layers: Layers of the network.
        drawn: Hard samples, whose states before that layer are kept.
        index: Layer of the other state.
        state: State of that layer, ±1.
        noise: Logistic noise of all layers.
    """
    path = drawn.path
    states, logits = [*path.states[:index], state], list(path.logits[: index + 1])
    for layer, logistic in zip(layers[index + 1 :], noise[index + 1 :], strict=True):
        a = layer(states[-1]).detach()
        states.append(signs(a + logistic, a.dtype))
        logits.append(a)
    return Path(tuple(states), tuple(logits))


def uniforms(noise: Noise, like: Float[Tensor, "K *B units"], batch_axes: int) -> Tensor:
    """Draw a uniform for each entry; the request leads with the batch, then samples.

    Where the entries have half precision, uniforms have single: few digits reach no rare state.
    """
    samples, *rest = like.shape
    batch, units = rest[:batch_axes], rest[batch_axes:]
    dtype = torch.float32 if like.dtype in HALF else like.dtype
    drawn = noise.uniform(*batch, samples, *units, dtype=dtype, device=like.device)
    return drawn.movedim(batch_axes, 0)


def signs(z: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return 1 where positive, and -1 elsewhere, in a format: that of the numbers if None."""
    return (z > 0).to(z.dtype if dtype is None else dtype).mul_(2).sub_(1)


def over_units(x: Tensor, leading: int) -> Tensor:
    """Return the sum over all axes but the leading ones."""
    return x.flatten(leading).sum(-1)

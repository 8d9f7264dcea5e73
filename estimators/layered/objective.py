"""Objectives of a stochastic binary network: functions of one path of states through it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.layered.flips import rows_at_once
from raysweep.estimators.layered.layers import Dense


class Path(NamedTuple):
    """States of every layer, first to last, with the pre-activations that they were drawn from.

    States are ±1, or in [-1, 1] on a relaxed path.

    Args:
        states: States `K *B units` of each layer.
        logits: Pre-activations `K *B units` of each layer, given the states before it. On a path
            of hard states they are constants: their derivative has the mean 0 in
            log-probabilities of the states, so that nothing is lost. On a relaxed path they carry
            the derivative to the states before them.
    """

    states: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]


PathObjective = Callable[[Path], Float[Tensor, " K *B"]]
"""The loss of every path; it may close over parameters."""


class Head:
    """An objective of the last layer's states alone.

    Args:
        function: Function from states `K *B units` to losses `K *B`; it may close over parameters.
        axes: Number of axes of units: 1, or 3 after a convolution.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], axes: int = 1) -> None:
        self.function, self.axes = function, axes

    def __call__(self, path: Path) -> Float[Tensor, " K *B"]:
        """Return the losses at the last states."""
        return self.function(path.states[-1])

    def flips(self, state: Float[Tensor, "K ..."]) -> Float[Tensor, "n K *B"]:
        """Return the losses with the sign of one unit changed, for each of n units.

        Args:
            state: States of ±1, `K *B units`.
        """
        samples, *batch = state.shape[: state.ndim - self.axes]
        flat = state.flatten(state.ndim - self.axes)
        units = flat.shape[-1]
        losses = []
        for indices in torch.arange(units, device=state.device).split(rows_at_once(flat.numel())):
            signs = 1 - 2 * torch.nn.functional.one_hot(indices, units).to(state.dtype)
            moved = flat * signs.view(-1, *(1,) * (flat.ndim - 1), units)
            shape = (len(indices) * samples, *batch, *state.shape[state.ndim - self.axes :])
            losses.append(self.function(moved.reshape(shape)).unflatten(0, (-1, samples)))
        return torch.cat(losses)


class LinearHead(Head):
    """A loss of linear scores of the last layer's states, whose flips cost one row of weights.

    Args:
        layer: Linear map from states to scores.
        loss: Function from scores `K *B classes` to losses `K *B`.
        axes: Number of axes of units, which are flattened: 1, or 3 after a convolution.
    """

    def __init__(self, layer: Dense, loss: Callable[[Tensor], Tensor], axes: int = 1) -> None:
        super().__init__(self._losses, axes)
        self.layer, self.loss = layer, loss

    def scores(self, state: Float[Tensor, "K ..."]) -> Float[Tensor, "K *B classes"]:
        """Return the scores of these states."""
        return self.layer(state.flatten(state.ndim - self.axes))

    def flips(self, state: Float[Tensor, "K ..."]) -> Float[Tensor, "n K *B"]:
        """Return the losses with the sign of one unit changed, for each of n units."""
        flat = state.flatten(state.ndim - self.axes)
        scores = self.layer(flat)
        weight = (2 * self.layer.weight).movedim(-2, 0)  # `n *R classes`
        if self.layer.replicas is not None:
            weight = weight.unsqueeze(-2)
        weight = weight.view(
            len(weight), *(1,) * (scores.ndim + 1 - weight.ndim), *weight.shape[1:]
        )
        step = rows_at_once(scores.numel())
        losses = []
        for signs, rows in zip(flat.movedim(-1, 0).split(step), weight.split(step), strict=True):
            moved = scores - signs.unsqueeze(-1) * rows
            losses.append(self.loss(moved.flatten(0, 1)).unflatten(0, (-1, len(scores))))
        return torch.cat(losses)

    def _losses(self, state: Tensor) -> Tensor:
        return self.loss(self.scores(state))

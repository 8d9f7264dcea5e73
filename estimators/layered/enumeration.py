"""The exact gradient of a layered network: forward-backward sums over all states of its layers."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    first_states,
)
from raysweep.estimators.layered.layers import Layer
from raysweep.estimators.layered.objective import Head, Path, PathObjective
from raysweep.estimators.layered.sampling import draw
from raysweep.estimators.noise import Noise

MAX_NUMBERS = 2**24
"""The largest transition matrix, or number of joint states, that is enumerated."""


class LayeredExact(LayeredEstimator):
    """The exact gradient, by enumeration.

    Unbiased, without variance. For a `Head`, which reads the last layer alone, the layers are a
    Markov chain: `2 ** n` states in each, and a transition matrix between two. For other
    objectives all joint states are enumerated. `value` is the expectation, whose derivative is the
    gradient.

    Args:
        samples: Hard samples, of which `states` are one; nothing else depends on them.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 2.1.
    """

    name = "exact"
    version = 2
    unbiased = True
    needs_gradient = False
    further_evaluations = "states"
    reference = "Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 2.1"

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: none at paths, and one per state."""
        return 0

    def _check(self, units: Sequence[int], head: bool) -> str | None:
        sizes = [units[0], *map(sum, pairwise(units))] if head else [sum(units)]
        return _refusal(2 ** max(sizes))

    def _estimate(self, request: Request) -> LayeredEstimate:
        expected = expected_loss(request)
        with torch.no_grad():
            drawn = draw(request.layers, request.x, request.noise, self.samples)
        return LayeredEstimate(expected, expected.detach(), first_states(drawn.states))


def exact(
    layers: Sequence[Layer], x: Float[Tensor, "*B inputs"], objective: PathObjective
) -> Float[Tensor, "*B"]:
    """Return the expected objective, differentiable in all parameters, and in the input.

    Args:
        layers: Layers of the network, first to last; at least one.
        x: Input of the first layer. With replicas, `*B` is `R B`.
        objective: Function from a path to losses `K *B`; a `Head` reads the last layer alone.

    Raises:
        ValueError: If the network or the objective does not fit, or there are too many states to
            enumerate.
        TypeError: If the input is not floating point.
    """
    return LayeredExact().estimate(layers, x, objective, Noise()).surrogate


def expected_loss(request: Request) -> Tensor:
    """Return the expected objective, `*B`, differentiable in all parameters.

    Raises:
        ValueError: If there are too many states to enumerate.
    """
    if isinstance(request.objective, Head):
        return _along_the_chain(request, request.objective)
    return _over_joint_states(request)


def _along_the_chain(request: Request, head: Head) -> Tensor:
    logits = request.layers[0](request.x)
    batch = logits.shape[: request.batch_axes]
    every = _all_states(logits, request.batch_axes)
    p = _log_probabilities(logits, every).exp()
    for layer in request.layers[1:]:
        logits = layer(_as_batch(every, layer))
        every = _all_states(logits, 1 if layer.replicas is None else 2)
        p = p @ _log_probabilities(logits, every).exp()
    units = every.shape[1:]
    points = every.view(len(every), *(1,) * len(batch), *units).expand(-1, *batch, *units)
    return (p.movedim(-1, 0) * request.checked(head.function(points), points)).sum(0)


def _over_joint_states(request: Request) -> Tensor:
    states: list[Tensor] = []
    logits: list[Tensor] = []
    log_p = torch.zeros((), dtype=request.x.dtype, device=request.x.device)
    for index, layer in enumerate(request.layers):
        a = layer(states[-1]) if index else layer(request.x).unsqueeze(0)
        every = _all_states(a, 1 + request.batch_axes)
        log_p = (log_p.unsqueeze(-1) + _log_probabilities(a, every)).movedim(-1, 1).flatten(0, 1)
        shape = (len(a), len(every), *a.shape[1:])
        at = every.view(1, len(every), *(1,) * request.batch_axes, *every.shape[1:])
        states = [_repeat(state, len(every)) for state in states]
        logits = [_repeat(old, len(every)) for old in (*logits, a.detach())]
        states.append(at.expand(shape).flatten(0, 1))
    return (log_p.exp() * request.losses(Path(tuple(states), tuple(logits)))).sum(0)


def _repeat(rows: Tensor, count: int) -> Tensor:
    """Repeat every row of the first axis."""
    return rows.unsqueeze(1).expand(len(rows), count, *rows.shape[1:]).flatten(0, 1)


def _log_probabilities(logits: Tensor, every: Tensor) -> Tensor:
    """Return the log-probability of every state, `*B S`."""
    flat = logits.flatten(logits.dim() - every.dim() + 1)
    _check_count(math.prod(flat.shape[:-1]) * len(every))
    # a product of matrices: the terms of all units and states at once would be more numbers
    log_p = torch.cat((functional.logsigmoid(flat), functional.logsigmoid(-flat)), -1)
    is_one = (every.flatten(1) + 1) / 2
    return log_p @ torch.cat((is_one, 1 - is_one), -1).mT


def _all_states(like: Tensor, leading: int) -> Tensor:
    """Return all states of a layer, `S units`; the last unit changes fastest."""
    units = like.shape[leading:]
    count = math.prod(units)
    _check_count(2**count)
    numbers = torch.arange(2**count, device=like.device).unsqueeze(1)
    bits = numbers >> torch.arange(count - 1, -1, -1, device=like.device) & 1
    return bits.to(like.dtype).mul_(2).sub_(1).view(-1, *units)


def _as_batch(states: Tensor, layer: Layer) -> Tensor:
    """Return states as the batch of a layer's input, the same for all replicas."""
    if layer.replicas is None:
        return states
    return states.expand(layer.replicas, *states.shape)


def _check_count(numbers: int) -> None:
    if (reason := _refusal(numbers)) is not None:
        raise ValueError(reason)


def _refusal(numbers: int) -> str | None:
    """Return the reason why so many states times examples cannot be enumerated, or None."""
    if numbers <= MAX_NUMBERS:
        return None
    shown = f"{numbers:.3g}" if numbers < 10**300 else "more than 1e+300"
    return (
        f"exact enumeration needs at most {MAX_NUMBERS} states times examples, got {shown}; "
        "use fewer units, a smaller batch or a sampling estimator"
    )

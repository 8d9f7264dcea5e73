"""Parts that estimators learn: scalars, small networks, and losses that reach nothing else.

Initial values depend on no seed: every replica of a pack starts alike, and as it would alone. They
come from fixed streams.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from raysweep.estimators.noise import Noise

Activation = Callable[[Tensor], Tensor]


class Scalar(nn.Module):
    """A learned number, or one per replica, inside its range at any value of its parameter.

    Args:
        initial: The initial number, or a tensor `R`.
        replicas: Number of replicas R, if there is a replica axis.
        kind: The range: "positive" (the exponential of the parameter), "eta" (twice its sigmoid,
            in (0, 2)), or "real" (the parameter itself).
    """

    def __init__(
        self,
        initial: float | Tensor,
        replicas: int | None,
        kind: Literal["positive", "eta", "real"],
    ) -> None:
        super().__init__()
        value = torch.as_tensor(initial)
        raw = {"positive": torch.log, "eta": lambda x: (x / 2).logit(), "real": lambda x: x}
        shape = () if replicas is None else (replicas,)
        start = raw[kind](value.double()).to(torch.get_default_dtype())
        self.parameter = nn.Parameter(start.expand(shape).clone())
        self._kind = kind

    def forward(self, numbers: Float[Tensor, "..."]) -> Tensor:
        """Return the number in the dtype of other numbers, in a shape that broadcasts over them."""
        raw = replica_view(self.parameter.to(numbers.dtype), numbers)
        if self._kind == "positive":
            return raw.exp()
        return 2 * raw.sigmoid() if self._kind == "eta" else raw


class Network(nn.Module):
    """A fully connected network, one per replica if there are replicas.

    Args:
        sizes: Numbers of features before the first layer, between layers, and after the last.
        activation: Function between layers; none follows the last.
        replicas: Number of replicas R that the weights lead with, if any.
        name: Name of the stream of initial weights, which are uniform in ±1/sqrt(inputs).
        starts_at_zero: Whether the last layer's weights start at zero, and so the output.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation,
        replicas: int | None,
        *,
        name: str,
        starts_at_zero: bool,
    ) -> None:
        super().__init__()
        noise = Noise(purpose=f"initial weights of {name}")
        lead = () if replicas is None else (replicas,)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            bound = 1 / math.sqrt(inputs)
            if starts_at_zero and index == len(sizes) - 2:
                bound = 0.0
            for rows, parameters in ((inputs, self.weights), (1, self.biases)):
                values = noise.uniform(rows, outputs).mul(2 * bound).sub(bound)
                parameters.append(nn.Parameter(values.expand(*lead, -1, -1).clone()))
        self._activation = activation

    def forward(self, x: Float[Tensor, "*B inputs"]) -> Float[Tensor, "*B outputs"]:
        """Map the last axis; with replicas, `x` leads with `R`."""
        weights = list(self.weights)
        has_replicas = weights[0].dim() == 3
        rows = x.flatten(1, -2) if has_replicas and x.dim() > 2 else x
        rows = rows.unsqueeze(1) if has_replicas and x.dim() == 2 else rows
        for index, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
            rows = self._activation(rows) if index else rows
            rows = rows @ weight.to(x.dtype) + (bias if has_replicas else bias[0]).to(x.dtype)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])


class Baseline(nn.Module):
    """A function of the context that predicts the loss: one hidden layer of tanh units.

    Args:
        features: Number of features of the context.
        hidden: Number of hidden units.
        replicas: Number of replicas R, if there is a replica axis.
        name: Name of the estimator, for the stream of initial weights.
    """

    def __init__(self, features: int, hidden: int, replicas: int | None, name: str) -> None:
        super().__init__()
        self.network = Network(
            (features, hidden, 1), torch.tanh, replicas, name=name, starts_at_zero=True
        )

    def forward(self, context: Float[Tensor, "*B F"]) -> Float[Tensor, "*B"]:
        """Return the prediction for every example."""
        return self.network(context).squeeze(-1)


def replica_view(value: Tensor, numbers: Float[Tensor, "..."]) -> Tensor:
    """View a number, or numbers `R`, in a shape that broadcasts over others, which lead with R."""
    return value.view(-1, *(1,) * (numbers.dim() - 1)) if value.dim() else value


def per_example(value: Any) -> Any:
    """Drop the axes of variables and categories of a value that broadcasts over the logits."""
    return value[..., 0, 0] if isinstance(value, Tensor) and value.dim() else value


class DetachedCopy(NamedTuple):
    """A detached copy of a tensor, at which a graph was cut on purpose.

    Args:
        leaf: The copy that later results were computed from.
        source: The tensor that was copied, with its graph.
    """

    leaf: Tensor
    source: Tensor


def reach_only(
    parameters: Sequence[nn.Parameter], loss: Float[Tensor, "*B"], copy: DetachedCopy | None = None
) -> Float[Tensor, "*B"]:
    """Return a loss whose gradient reaches these parameters, whatever else is in its graph.

    Where the loss shares a graph with the surrogate, take its gradient first, or both at once.

    Args:
        parameters: Parameters of the estimator.
        loss: The loss of every example, with its graph.
        copy: A detached copy between the parameters and the loss, if there is one.
    """
    loss_of = _Loss(tuple(parameters), loss, copy)
    return _ReachOnly.apply(loss_of, *parameters)


class _Loss(NamedTuple):
    parameters: tuple[nn.Parameter, ...]
    value: Tensor
    copy: DetachedCopy | None

    def gradients(self, weight: Tensor) -> list[Tensor | None]:
        """Return the gradient to every parameter, with the weight of every loss."""
        if self.copy is None:
            return _gradients(self.value, self.parameters, weight)
        direct = _gradients(self.value, (*self.parameters, self.copy.leaf), weight)
        at_leaf = direct.pop()
        if at_leaf is None or not self.copy.source.requires_grad:
            return direct
        through = _gradients(self.copy.source, self.parameters, at_leaf)
        return [_sum(pair) for pair in zip(direct, through, strict=True)]


def _gradients(value: Tensor, inputs: Sequence[Tensor], weight: Tensor) -> list[Tensor | None]:
    try:
        return list(
            torch.autograd.grad(value, inputs, weight, retain_graph=True, allow_unused=True)
        )
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise RuntimeError(
            "tuning_loss must be differentiated before the surrogate's graph is freed: call "
            "backward on it first, or on the sum of both, or pass retain_graph=True"
        ) from error


def _sum(pair: tuple[Tensor | None, Tensor | None]) -> Tensor | None:
    first, second = pair
    if first is None or second is None:
        return first if second is None else second
    return first + second


class _ReachOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: _Loss, *parameters: Tensor) -> Tensor:
        ctx.loss = loss
        return loss.value.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.loss.gradients(weight))

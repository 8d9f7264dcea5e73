"""Values whose gradient is known, as nodes of autograd.

A gradient estimate is a number, not a function: its derivative is not that of the expectation. So
these nodes refuse to be differentiated twice, instead of leaving a term out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

REFUSAL = (
    "the gradient of an estimate was differentiated again, but an estimate is a random number, "
    "whose second derivative estimates nothing; around another estimate, give rebar and relax "
    "learn_temperature=False, and for second derivatives, such as those of gradient penalties, "
    "use estimators.exact.expectation"
)


Linear = Callable[[Float[Tensor, "K *B L C"]], Float[Tensor, "K *B L C"]]
"""A linear function of gradients."""


def is_traced() -> bool:
    """Return whether operations are compiled, or transformed by `torch.func`.

    Values are then not known, and nodes of autograd must be made of transformable operations.
    """
    return bool(torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def values_and_slopes(
    function: Callable[[Tensor], Tensor], point: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return a function's values, and the slope of their sum, where operations are transformed.

    Args:
        function: Function of one tensor; its values keep their graph.
        point: Point at which it is evaluated.
        weight: Weights of the values in the sum, of their shape; 1 if None.
    """
    pulled: Any = torch.func.vjp(function, point)
    values, pull_back = pulled
    return values, pull_back(torch.ones_like(values) if weight is None else weight)[0]


def carry_gradient(
    logits: Float[Tensor, "*B L C"],
    one_hot: Float[Tensor, "K *B L C"],
    backward: Linear,
    adjoint: Linear | None = None,
) -> Float[Tensor, "K *B L C"]:
    """Return the samples, with a gradient to the logits: `backward` of the samples' gradient.

    The result of `backward` is summed over the samples. Higher derivatives are refused.

    Args:
        logits: Logits of the samples.
        one_hot: Samples, as constants.
        backward: Function from the gradient to the samples to that to the logits, a sample each.
        adjoint: Adjoint of `backward`; `backward`, which must then be symmetric, if not given.
    """
    if is_traced():  # adding 0 times the logits, whose derivative is the adjoint's adjoint
        zeros = _Zeros.apply(logits).expand_as(one_hot)
        return one_hot + (backward if adjoint is None else adjoint)(zeros)
    return _Samples.apply(logits, one_hot, backward)


def with_gradients(
    value: Float[Tensor, "*B"],
    direct: Float[Tensor, "*B"],
    tensors: Sequence[Tensor] = (),
    gradients: Sequence[Tensor] = (),
) -> Float[Tensor, "*B"]:
    """Return values whose gradient is that of other losses, and of more tensors a given one.

    Derivatives of the given gradients are refused, and of all other gradients those to `tensors`:
    to logits, from which the samples of the losses were drawn.

    Args:
        value: Values to return; their graph is not followed.
        direct: Losses whose gradient to all in their graph the result has.
        tensors: Tensors `*B ...` with a gradient of their own for each example.
        gradients: Gradients of the examples' values to these tensors, of the same shapes.
    """
    if is_traced():
        total = value.detach() + _Losses.apply(direct - direct.detach(), *tensors)
        for tensor, gradient in zip(tensors, gradients, strict=True):
            products = _Zeros.apply(tensor) * gradient
            total = total + products.flatten(total.dim()).sum(-1)
        return total
    return _Values.apply(value.detach(), direct, *tensors, *gradients)


class _Samples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, one_hot: Tensor, backward: Any) -> Tensor:
        ctx.sample_backward = backward
        ctx.save_for_backward(logits)
        return one_hot

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        if not torch.is_grad_enabled():
            return _summed(ctx.sample_backward(gradient), *ctx.saved_tensors), None, None
        with torch.no_grad():
            to_logits = _summed(ctx.sample_backward(gradient), *ctx.saved_tensors)
        return _final(to_logits, gradient, *ctx.saved_tensors), None, None


def _summed(
    gradients: Float[Tensor, "K *B L C"], logits: Float[Tensor, "*B L C"]
) -> Float[Tensor, "*B L C"]:
    """Return the sum over the samples, if they have an axis."""
    if gradients.dim() == logits.dim():
        return gradients
    return gradients.squeeze(0) if len(gradients) == 1 else gradients.sum(0)


class _Values(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, direct: Tensor, *pairs: Tensor) -> Tensor:
        ctx.save_for_backward(*pairs)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        count = len(saved) // 2
        tensors, gradients = saved[:count], saved[count:]
        if not torch.is_grad_enabled():
            carried = [_per_example(gradient, known) * known for known in gradients]
            return None, gradient, *carried, *(None,) * count
        with torch.no_grad():
            products = [_per_example(gradient, known) * known for known in gradients]
        carried = [_final(*pair, gradient) for pair in zip(products, tensors, strict=True)]
        return None, _at_samples(gradient, *tensors), *carried, *(None,) * count


def _per_example(gradient: Float[Tensor, "*B"], like: Tensor) -> Tensor:
    """View a number for each example in a shape that broadcasts over more axes."""
    return gradient.view(*gradient.shape, *(1,) * (like.dim() - gradient.dim()))


def _final(product: Tensor, *sources: Tensor) -> Tensor:
    """Return a gradient that refuses to be differentiated by what it depends on."""
    if not torch.is_grad_enabled():
        return product
    return _Final.apply(product, *sources)


def _at_samples(gradient: Tensor, *sources: Tensor) -> Tensor:
    """Return the losses' gradient, which refuses to be differentiated by the samples' sources.

    It can be by all else: a node is reached only where the derivative to its inputs is asked for.
    """
    if not torch.is_grad_enabled():
        return gradient
    return gradient + _Final.apply(torch.zeros_like(gradient), *sources)


class _Losses(torch.autograd.Function):
    """Losses, whose gradient refuses to be differentiated by the sources of their samples."""

    generate_vmap_rule = True

    @staticmethod
    def forward(losses: Tensor, *sources: Tensor) -> Tensor:
        return losses.view_as(losses)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        sources = ctx.saved_tensors
        return _at_samples(gradient, *sources), *(None,) * len(sources)


class _Zeros(torch.autograd.Function):
    """Zeros in the shape of a tensor, to which they carry gradients as the tensor itself would."""

    generate_vmap_rule = True

    @staticmethod
    def forward(tensor: Tensor) -> Tensor:
        return torch.zeros_like(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Final.apply(gradient, *ctx.saved_tensors)


class _Final(torch.autograd.Function):
    """A gradient, which refuses to be differentiated by its sources."""

    generate_vmap_rule = True

    @staticmethod
    def forward(product: Tensor, *sources: Tensor) -> Tensor:
        return product.view_as(product)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(REFUSAL)

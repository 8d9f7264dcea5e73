"""The result of an estimator, and evaluations of the objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.carrying import is_traced, values_and_slopes, with_gradients

Objective = Callable[[Float[Tensor, "K *B L C"]], Float[Tensor, " K *B"]]


class Estimate(NamedTuple):
    """One gradient estimate per example.

    Args:
        surrogate: `*B`. The number `value`, with a gradient that estimates the gradient of
            `E[objective(D)]`, or of another target that the estimator declares, with respect to
            the logits and to everything the objective closes over. So it can be a loss of another
            objective. It has no second derivative.
        value: `*B`. Detached loss at a hard sample, the mean over samples if there are several, or
            their bound if that is the target.
        sample: `*B L C`. One hard one-hot sample, detached.
        tuning_loss: `*B` or None. Its gradient reaches the estimator's own parameters only.
    """

    surrogate: Float[Tensor, "*B"]
    value: Float[Tensor, "*B"]
    sample: Float[Tensor, "*B L C"]
    tuning_loss: Float[Tensor, "*B"] | None = None


def estimate_at(one_hot: Float[Tensor, "K *B L C"], objective: Objective) -> Estimate:
    """Return the estimate of hard samples that carry the gradient themselves.

    Raises:
        ValueError: If the samples carry a gradient and the losses have none.
    """
    surrogate = mean_over_samples(evaluate(objective, one_hot))
    if one_hot.requires_grad and not surrogate.requires_grad:
        raise no_gradient("a pathwise estimator")
    return Estimate(surrogate, surrogate.detach(), one_hot[0].detach())


def no_gradient(method: str, of: str = "its samples") -> ValueError:
    """Return the error of losses that have no gradient to what they are computed from.

    Args:
        method: Name of the estimator, which needs it.
        of: What the losses are computed from.
    """
    if torch.is_inference_mode_enabled():
        return ValueError(
            f"{method} differentiates its objective, which torch.inference_mode makes impossible; "
            "use torch.no_grad"
        )
    return ValueError(
        f"{method} needs an objective that is differentiable in {of}, got losses without a "
        "gradient to them; use an estimator that needs none, such as reinforce"
    )


def evaluate(objective: Objective, one_hot: Float[Tensor, "K *B L C"]) -> Float[Tensor, " K *B"]:
    """Evaluate the objective at these samples; it may return plain numbers.

    Raises:
        ValueError: If the objective does not return one loss per sample and example.
    """
    losses = objective(one_hot)
    if not isinstance(losses, Tensor):  # NumPy's numbers, or a list of them
        losses = torch.tensor(losses, dtype=one_hot.dtype, device=one_hot.device)
    if not losses.is_floating_point():
        losses = losses.to(one_hot.dtype)
    if losses.shape != one_hot.shape[:-2]:
        raise ValueError(
            f"objective must return losses `K *B` {tuple(one_hot.shape[:-2])}, "
            f"got {tuple(losses.shape)}; keep the sample axis and every batch axis"
        )
    return losses


def mean_over_samples(losses: Float[Tensor, " K *B"]) -> Float[Tensor, "*B"]:
    """Return the mean over the leading axis; a view where there is one sample."""
    return losses.squeeze(0) if losses.shape[0] == 1 else losses.mean(0)


def sample_count(samples: Any, least: int = 1, purpose: str = "", quantity: str = "samples") -> int:
    """Check a number of samples, or another count.

    Args:
        samples: The number to check.
        least: The least valid number.
        purpose: The method that needs so many, if more than one.
        quantity: The name of the setting.

    Raises:
        ValueError: If it is not an integer of at least `least`.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < least:
        demand = f"{purpose} needs {quantity}" if purpose else f"{quantity} must be an integer"
        raise ValueError(f"{demand} >= {least}, got {samples!r}")
    return samples


def even_sample_count(samples: Any, method: str) -> int:
    """Check a number of samples that come in pairs.

    Raises:
        ValueError: If it is not an even integer of at least 2.
    """
    count = sample_count(samples, least=2, purpose=method)
    if count % 2:
        raise ValueError(f"{method} needs an even number of samples, as pairs, got {count}")
    return count


def flag(name: str, value: Any) -> bool:
    """Check a setting that is on or off.

    Raises:
        ValueError: If it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def evaluate_and_differentiate(
    objective: Objective, one_hot: Float[Tensor, "K *B L C"], method: str
) -> tuple[Float[Tensor, " K *B"], Float[Tensor, "K *B L C"]]:
    """Return the losses at these points, and their gradients there, detached.

    Args:
        objective: The objective; its losses keep their graph, for all that it closes over.
        one_hot: Points to evaluate, as constants.
        method: Name of the estimator, for the error.

    Raises:
        ValueError: If the losses do not depend on the points in a differentiable way.
    """
    if is_traced():
        losses, gradient = values_and_slopes(lambda x: evaluate(objective, x), one_hot.detach())
        return losses, gradient.detach()
    with torch.enable_grad():
        point = one_hot.detach().requires_grad_()
        losses = evaluate(objective, point)
        return losses, differentiate(losses, point, method)


def differentiate(
    losses: Tensor, point: Tensor, method: str, *, differentiable: bool = False
) -> Tensor:
    """Return the gradient of every loss at its own point.

    Args:
        losses: The losses; their graph is kept.
        point: Input of the losses; the loss of a row depends on that row only.
        method: Name of the estimator, for the error.
        differentiable: Whether the result can be differentiated again.

    Raises:
        ValueError: If the losses do not depend on the point in a differentiable way.
    """
    gradient = None
    if losses.requires_grad:
        (gradient,) = torch.autograd.grad(
            losses.sum(), point, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
    if gradient is None:
        raise no_gradient(method)
    return gradient


def estimate_from_gradient(
    logits: Float[Tensor, "*B L C"],
    gradient: Float[Tensor, "*B L C"],
    losses: Float[Tensor, " K *B"],
    one_hot: Float[Tensor, "*B L C"],
    tuning_loss: Float[Tensor, "*B"] | None = None,
) -> Estimate:
    """Return the estimate whose gradient to the logits is known.

    Args:
        logits: The logits of the estimate.
        gradient: Estimated gradient to the logits, through the sample; its graph is not followed.
        losses: Losses at hard samples, with their graph to all that the objective closes over.
        one_hot: One of the hard samples.
        tuning_loss: Loss of the learned parameters, as in `Estimate`.
    """
    direct = mean_over_samples(losses)
    value = direct.detach()
    constant = gradient.detach()
    if constant.shape != logits.shape:
        constant = constant.expand_as(logits)
    surrogate = with_gradients(value, direct, [logits], [constant])
    return Estimate(surrogate, value, one_hot.detach(), tuning_loss)

"""Small problems whose gradients are enumerated, and a check of any estimator on them."""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from raysweep import estimators
from raysweep.estimators import Estimator, Noise

MAX_STANDARD_ERRORS = 5.5
DRAWS = 20_000


@dataclasses.dataclass
class Problem:
    """A non-quadratic loss that couples the latents and closes over a parameter and the logits.

    Args:
        logits: Logits `*B L C` of the latent variables.
        weight: Parameter of the loss, of the same shape.
    """

    logits: Tensor
    weight: Tensor

    def copies(self, count: int) -> "Problem":
        """Return the same problem on `count` rows, each with leaves of its own."""
        return Problem(*(leaf(x.expand(count, *x.shape)) for x in (self.logits, self.weight)))

    def objective(self, one_hot: Tensor) -> Tensor:
        """Return the loss `K *B` of one-hot samples `K *B L C`."""
        score = (one_hot * self.weight).sum((-2, -1))
        direct = (one_hot * self.logits).sum((-2, -1)) + (self.logits**2).sum((-2, -1))
        return torch.tanh(2 * score) + 0.4 * score**2 + 0.3 * direct

    def gradients(self, surrogate: Tensor) -> Tensor:
        """Return the gradients to logits and parameter, side by side in the last axis."""
        return torch.cat(torch.autograd.grad(surrogate.sum(), (self.logits, self.weight)), -1)


def leaf(x: Tensor) -> Tensor:
    """Return a copy of a tensor as a leaf that requires its gradient."""
    return x.detach().clone().requires_grad_()


def problem(latents: int, categories: int, seed: int = 0) -> Problem:
    """Return a problem with random logits and a random parameter, in float64."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, latents, categories)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Problem(*(leaf(x) for x in values))


def standard_errors(sample: Tensor, exact: Tensor) -> Tensor:
    """Return by how many standard errors the mean of independent rows differs from a value."""
    error = sample.std(0) / math.sqrt(len(sample))
    return (sample.mean(0) - exact).abs() / error.clamp(min=1e-12)


class EveryState(Noise):
    """Uniforms that make row s of the batch draw state s, for inverse-distribution sampling.

    Args:
        logits: Logits `L C`, whose `C ** L` states are enumerated.
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        latents, categories = logits.shape
        grid = torch.cartesian_prod(*[torch.arange(categories)] * latents).view(-1, latents)
        p = logits.detach().softmax(-1)
        middles = p.cumsum(-1) - p / 2
        self.states = torch.nn.functional.one_hot(grid, categories).to(p.dtype)
        self.middles = (self.states * middles).sum(-1)
        self.weights = (self.states * p).sum(-1).prod(-1)

    def uniform(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Return the middle of each state's interval; there is one shape that fits.

        Raises:
            ValueError: If another shape is asked for.
        """
        if shape != tuple(self.middles.shape):
            raise ValueError(f"expected the shape {tuple(self.middles.shape)}, got {shape}")
        return self.middles


def expected_gradient(
    method: Estimator, logits: Tensor, objective: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the exact expectation of a one-sample estimator's gradient to the logits `L C`."""
    every = EveryState(logits)
    rows = leaf(logits.expand(len(every.weights), *logits.shape))
    estimate = method.estimate(rows, objective, every)
    (gradient,) = torch.autograd.grad(estimate.surrogate.sum(), rows)
    return (every.weights[:, None, None] * gradient).sum(0)


def exact_gradient(logits: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient of the expected objective, by enumeration."""
    theta = leaf(logits)
    return torch.autograd.grad(estimators.exact.expectation(theta, objective), theta)[0]


def randomise(method: Estimator, seed: int = 1, scale: float = 0.3) -> None:
    """Move each parameter of a built estimator at random, another way for each replica."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)


def total_variance(sample: Tensor) -> Tensor:
    """Return the squared distance of each row to the mean; its mean is the total variance."""
    return (sample - sample.mean(0)).square().flatten(1).sum(1)


def varies_less(fewer: Tensor, more: Tensor, factor: float = 1.0) -> bool:
    """Return whether rows vary less than others times a factor, by five standard errors."""
    excess = factor * total_variance(more) - total_variance(fewer)
    return bool(excess.mean() > 5 * excess.std() / math.sqrt(len(excess)))


def check_estimator(method: Estimator, latents: int = 2, categories: int = 2) -> None:
    """Check an estimator's shape, its randomness, and that it is unbiased if it declares so.

    Means over `DRAWS` independent estimates are compared with the enumerated gradient, to the
    logits and to a parameter of the objective.

    Args:
        method: The estimator; one with learned parts is built for the given sizes.
        latents: Number of latent variables.
        categories: Number of categories of each.

    Raises:
        AssertionError: If a check fails; the message says which.
    """
    small = problem(latents, categories)
    many = small.copies(DRAWS)
    estimate = method.estimate(many.logits, many.objective, Noise(seed=0))
    if estimate.surrogate.shape != (DRAWS,):
        raise AssertionError(
            f"{method.name}: expected a surrogate for each of {DRAWS} examples, got the shape "
            f"{tuple(estimate.surrogate.shape)}"
        )
    sample = many.gradients(estimate.surrogate)
    again = many.gradients(method.estimate(many.logits, many.objective, Noise(seed=0)).surrogate)
    if not torch.equal(sample, again):
        raise AssertionError(f"{method.name}: two estimates with the same noise differ")
    loss = estimators.exact.expectation(small.logits, small.objective)
    distance = standard_errors(sample, small.gradients(loss)).max().item()
    if method.unbiased and distance > MAX_STANDARD_ERRORS:
        raise AssertionError(
            f"{method.name}: declared unbiased, but a mean gradient is {distance:.1f} standard "
            "errors away from the exact one"
        )

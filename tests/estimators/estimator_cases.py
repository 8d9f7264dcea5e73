"""Every estimator under its settings, and small problems whose answers are enumerated."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

import estimators
from estimators import Noise

CASES = {
    "straight_through": ("straight_through", {}),
    "straight_through tau 1.5": ("straight_through", {"temperature": 1.5, "samples": 2}),
    "st_gumbel_softmax": ("st_gumbel_softmax", {"temperature": 0.7}),
    "gumbel_softmax": ("gumbel_softmax", {"temperature": 0.7, "samples": 2}),
    "gumbel_rao": ("gumbel_rao", {"temperature": 0.7, "samples": 3}),
    "reinmax": ("reinmax", {}),
    "reinmax tau 1.3": ("reinmax", {"temperature": 1.3, "samples": 2}),
    "reinmax uniform": ("reinmax", {"baseline": "uniform"}),
    "reinforce": ("reinforce", {}),
    "reinforce K 3": ("reinforce", {"samples": 3}),
    "reinforce_loo": ("reinforce_loo", {}),
    "reinforce_loo K 4": ("reinforce_loo", {"samples": 4}),
    "exact": ("exact", {"samples": 2}),
}


def cases(keep=lambda cls: True):
    """The cases of the estimators that pass a test of their class, as parameters."""
    return pytest.mark.parametrize(
        ("name", "settings"),
        [
            pytest.param(*case, id=key)
            for key, case in CASES.items()
            if keep(estimators.find(case[0]))
        ],
    )


@dataclasses.dataclass
class Problem:
    """A non-quadratic loss that couples the latents and closes over a parameter and the logits."""

    logits: Tensor
    weight: Tensor

    def copies(self, count: int) -> "Problem":
        """The same problem on `count` rows, each with leaves of its own."""
        return Problem(*(leaf(x.expand(count, *x.shape)) for x in (self.logits, self.weight)))

    def objective(self, one_hot: Tensor) -> Tensor:
        score = (one_hot * self.weight).sum((-2, -1))
        direct = (one_hot * self.logits).sum((-2, -1)) + (self.logits**2).sum((-2, -1))
        return torch.tanh(2 * score) + 0.4 * score**2 + 0.3 * direct

    def gradients(self, surrogate: Tensor) -> Tensor:
        """Gradients to the logits and to the parameter, side by side in the last axis."""
        return torch.cat(torch.autograd.grad(surrogate.sum(), (self.logits, self.weight)), -1)


def leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()


def problem(latents: int, categories: int, seed: int = 0) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, latents, categories)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Problem(*(leaf(x) for x in values))


def standard_errors(sample: Tensor, exact: Tensor) -> Tensor:
    """How many standard errors the mean of independent rows is away."""
    error = sample.std(0) / math.sqrt(len(sample))
    return (sample.mean(0) - exact).abs() / error.clamp(min=1e-12)


class EveryState(Noise):
    """Uniforms that make row s of the batch draw state s, for inverse-distribution sampling."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        latents, categories = logits.shape
        grid = torch.cartesian_prod(*[torch.arange(categories)] * latents).view(-1, latents)
        p = logits.detach().softmax(-1)
        middles = p.cumsum(-1) - p / 2
        self.states = torch.nn.functional.one_hot(grid, categories).to(p.dtype)
        self.middles = (self.states * middles).sum(-1)
        self.weights = (self.states * p).sum(-1).prod(-1)

    def uniform(self, *shape: int, dtype=None, device=None) -> Tensor:
        assert shape == tuple(self.middles.shape)
        return self.middles


def expected_gradient(method: estimators.Estimator, logits: Tensor, objective) -> Tensor:
    """The exact expectation of a one-sample estimator's gradient to the logits `L C`."""
    every = EveryState(logits)
    rows = leaf(logits.expand(len(every.weights), *logits.shape))
    out = method.estimate(rows, objective, every)
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), rows)
    return (every.weights[:, None, None] * gradient).sum(0)


def exact_gradient(logits: Tensor, objective) -> Tensor:
    theta = leaf(logits)
    return torch.autograd.grad(estimators.exact.expectation(theta, objective), theta)[0]

"""Every estimator under its settings, and small problems whose answers are enumerated."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from raysweep import estimators
from raysweep.estimators import Noise

CASES = {
    "straight_through": ("straight_through", {}),
    "straight_through tau 1.5": ("straight_through", {"temperature": 1.5, "samples": 2}),
    "st_gumbel_softmax": ("st_gumbel_softmax", {"temperature": 0.7}),
    "gumbel_softmax": ("gumbel_softmax", {"temperature": 0.7, "samples": 2}),
    "gumbel_rao": ("gumbel_rao", {"temperature": 0.7, "samples": 3}),
    "gapped_st": ("gapped_st", {"temperature": 0.7}),
    "gapped_st expected": ("gapped_st", {"gap": "expected", "samples": 2}),
    "reinmax": ("reinmax", {}),
    "reinmax tau 1.3": ("reinmax", {"temperature": 1.3, "samples": 2}),
    "reinmax uniform": ("reinmax", {"baseline": "uniform"}),
    "reinforce": ("reinforce", {}),
    "reinforce K 3": ("reinforce", {"samples": 3}),
    "reinforce_loo": ("reinforce_loo", {}),
    "reinforce_loo K 4": ("reinforce_loo", {"samples": 4}),
    "nvil": ("nvil", {"samples": 2}),
    "muprop": ("muprop", {"samples": 2}),
    "muprop constant": ("muprop", {"linear": False}),
    "muprop linear": ("muprop", {"constant": False, "learn_eta": False, "eta": 0.6}),
    "rebar": ("rebar", {}),
    "rebar uncoupled": ("rebar", {"coupled": False, "samples": 2, "temperature": 0.3}),
    "rebar eq 7": ("rebar", {"relaxation": "muprop", "temperature": 2.0}),
    "rebar eq 7 uncoupled": ("rebar", {"relaxation": "muprop", "coupled": False, "eta": 0.6}),
    "rebar fixed": ("rebar", {"learn_eta": False, "learn_temperature": False, "eta": 0.4}),
    "rebar probit": ("rebar", {"link": "probit"}),
    "rebar probit uncoupled": ("rebar", {"link": "probit", "coupled": False, "eta": 0.6}),
    "relax": ("relax", {}),
    "relax uncoupled": ("relax", {"coupled": False, "samples": 2, "hidden": 11}),
    "arm": ("arm", {}),
    "arm K 4": ("arm", {"samples": 4}),
    "ars": ("ars", {}),
    "ars first": ("ars", {"pivot": "first", "samples": 2}),
    "ars_plus": ("ars_plus", {}),
    "ars_plus first": ("ars_plus", {"pivot": "first", "samples": 2}),
    "arsm": ("arsm", {}),
    "arsm K 2": ("arsm", {"samples": 2}),
    "arsm_plus": ("arsm_plus", {}),
    "disarm": ("disarm", {}),
    "disarm K 4": ("disarm", {"samples": 4}),
    "arms": ("arms", {}),
    "arms K 3": ("arms", {"samples": 3}),
    "arms K 8": ("arms", {"samples": 8}),
    "double_cv": ("double_cv", {}),
    "double_cv K 3": ("double_cv", {"samples": 3}),
    "rodeo": ("rodeo", {}),
    "rodeo K 3": ("rodeo", {"samples": 3, "hidden": 7}),
    "local_expectation": ("local_expectation", {}),
    "local_expectation K 2": ("local_expectation", {"samples": 2}),
    "exact": ("exact", {"samples": 2}),
}


CONTEXT_CASES = {
    "nvil normalise": ("nvil", {"normalise": True}),
    "muprop baseline": ("muprop", {"baseline": True}),
}


def cases(keep=lambda method: True, more=None):
    """The cases whose estimator passes a test, as parameters: a name and settings."""
    return pytest.mark.parametrize(
        ("name", "settings"),
        [
            pytest.param(*case, id=key)
            for key, case in {**CASES, **(more or {})}.items()
            if keep(estimators.get(case[0], **case[1]))
        ],
    )


def sized_cases(keep=lambda method: True, sizes=(2, 3)):
    """The same, each with every number of categories that it takes."""
    return pytest.mark.parametrize(
        ("name", "settings", "categories"),
        [
            pytest.param(*case, size, id=f"{key}-{size}")
            for key, case in CASES.items()
            for size in sizes
            if keep(method := estimators.get(case[0], **case[1])) and not method.check(2, size)
        ],
    )


def categories_of(name, settings):
    """Three categories where the estimator takes them, else two."""
    return 2 if estimators.get(name, **settings).check(2, 3) else 3


def learns(method):
    """Whether it has parameters of its own, once built for a context."""
    method.build(2, 2, 5)
    return bool(list(method.parameters()))


def is_pathwise(method):
    return isinstance(method, estimators.PathwiseEstimator)


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


def randomise(method: estimators.Estimator, seed: int = 1, scale: float = 0.3) -> None:
    """Moves every parameter of a built estimator to a random place, another one per replica."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)


def total_variance(sample: Tensor) -> Tensor:
    """Squared distance of every row to the mean, whose mean is the total variance."""
    return (sample - sample.mean(0)).square().flatten(1).sum(1)


def varies_less(fewer: Tensor, more: Tensor, factor: float = 1.0) -> bool:
    """Whether rows vary less than others times a factor, by five standard errors."""
    excess = factor * total_variance(more) - total_variance(fewer)
    return bool(excess.mean() > 5 * excess.std() / math.sqrt(len(excess)))


def exact_gradient(logits: Tensor, objective) -> Tensor:
    theta = leaf(logits)
    return torch.autograd.grad(estimators.exact.expectation(theta, objective), theta)[0]

"""A surrogate is a loss: its value, and estimates inside the objective of others."""

import math
from functools import partial

import pytest
import torch
from estimator_cases import CASES, cases, categories_of, sized_cases
from torch import Tensor

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import exact_target, leaf, problem, randomise, standard_errors

ROWS = 4000
UNBIASED = {key: case for key, case in CASES.items() if estimators.get(case[0], **case[1]).unbiased}
DEFAULTS = [key for key, (name, settings) in UNBIASED.items() if name in (key, "exact")]


@sized_cases(sizes=(2, 3))
def test_the_surrogates_value_is_the_value(name, settings, categories):
    rows = problem(2, categories).copies(50)
    out = estimators.get(name, **settings).estimate(rows.logits, rows.objective, Noise())
    assert torch.equal(out.surrogate.detach(), out.value)


@cases()
def test_the_surrogate_has_no_second_derivative_or_a_true_one(name, settings):
    theta = leaf(problem(2, categories_of(name, settings)).logits.expand(50, -1, -1))
    method = estimators.get(name, **settings)
    out = method.estimate(
        theta, lambda sample: sample.flatten(-2).cumsum(-1).sum(-1).sin(), Noise()
    )
    (first,) = torch.autograd.grad(out.surrogate.sum(), theta, create_graph=True)
    if name in ("exact", "gumbel_softmax"):
        assert torch.autograd.grad(first.square().sum(), theta)[0].isfinite().all()
        return
    with pytest.raises(RuntimeError, match="differentiated again"):
        first.square().sum().backward()


def draws_by_a_score(method):
    """Whether samples depend on the logits in no graph, so that losses at them do not."""
    return not isinstance(method, estimators.PathwiseEstimator) and method.name != "exact"


@cases(draws_by_a_score)
def test_a_parameters_gradient_cannot_be_differentiated_by_the_logits(name, settings):
    """A penalty on it would leave out that other samples are drawn with other logits."""
    theta = leaf(problem(2, categories_of(name, settings)).logits.expand(50, -1, -1))
    scale = torch.tensor(1.5, dtype=theta.dtype, requires_grad=True)

    def objective(sample):
        return scale**3 * sample.flatten(-2).cumsum(-1).sum(-1).sin()

    out = estimators.get(name, **settings).estimate(theta, objective, Noise())
    (first,) = torch.autograd.grad(out.surrogate.sum(), scale, create_graph=True)
    (second,) = torch.autograd.grad(first, scale, retain_graph=True)
    if estimators.get(name).target == "mean":  # the loss is a multiple of scale^3
        torch.testing.assert_close(second, 2 * first.detach() / 1.5)
    with pytest.raises(RuntimeError, match="differentiated again"):
        first.square().backward()


class TwoLayers:
    """Two categorical variables, the second of which depends on the first, with a loss of both.

    Args:
        sizes: Numbers of categories.
        rows: Number of copies, each with leaves of its own; None for one without an axis.
    """

    def __init__(self, sizes: tuple[int, int], rows: int | None = None) -> None:
        generator = torch.Generator().manual_seed(3)
        first, second = sizes
        shapes = [(1, first), (first, second), (first, second)]
        drawn = [torch.randn(shape, generator=generator).double() for shape in shapes]
        *leaves, self.table = [x if rows is None else x.expand(rows, *x.shape) for x in drawn]
        self.logits, self.weight = (leaf(x) for x in leaves)

    def inner_logits(self, outer: Tensor) -> Tensor:
        return torch.einsum("...lf,...fs->...ls", outer, self.weight)

    def loss(self, outer: Tensor, inner: Tensor) -> Tensor:
        both = torch.einsum("...lf,...fs,...ls->...", outer, self.table, inner)
        return torch.tanh(2 * both) + 0.4 * both**2

    def gradients(self, surrogate: Tensor) -> Tensor:
        gradients = torch.autograd.grad(surrogate.sum(), (self.logits, self.weight))
        return torch.cat([g.flatten(-2) for g in gradients], -1)


def nested(problem: TwoLayers, outer, inner) -> Tensor:
    """Surrogate of an outer estimate whose objective is the surrogate of an inner one."""
    noise = Noise(seed=5)

    def objective(sample: Tensor) -> Tensor:
        def of_second(second: Tensor) -> Tensor:
            return problem.loss(sample.expand(len(second), *sample.shape), second)

        return inner.estimate(problem.inner_logits(sample), of_second, noise).surrogate

    return outer.estimate(problem.logits, objective, Noise(seed=4)).surrogate


def exact_gradients(sizes: tuple[int, int], outer, inner) -> Tensor:
    """Gradients of the outer estimator's target, whose objective is the inner one's target."""
    whole = TwoLayers(sizes)

    def objective(sample: Tensor) -> Tensor:
        def of_second(second: Tensor) -> Tensor:
            return whole.loss(sample.expand(len(second), *sample.shape), second)

        return exact_target(inner, whole.inner_logits(sample), of_second)

    return whole.gradients(exact_target(outer, whole.logits, objective))


def prepared(key, seed):
    """An estimator with learned parts at random, and its number of categories."""
    name, settings = UNBIASED[key]
    method, categories = estimators.get(name, **settings), categories_of(name, settings)
    method.build(1, categories)
    randomise(method, seed=seed)
    return method, categories


@pytest.mark.parametrize("outer", DEFAULTS)
def test_every_unbiased_estimator_is_right_around_every_other(outer):
    for inner in DEFAULTS:
        (around, first), (within, second) = prepared(outer, 1), prepared(inner, 2)
        if around.target == "bound" and inner != "exact":
            continue  # a bound of losses that are random themselves is another one
        problem = TwoLayers((first, second), ROWS)
        sample = problem.gradients(nested(problem, around, within))
        exact = exact_gradients((first, second), around, within)
        assert standard_errors(sample, exact).max() < 5.5, inner


def test_nested_straight_through_follows_the_chain_of_both():
    """Its mean gradient to the outer logits is that through the inner sample, too."""
    problem = TwoLayers((3, 3), ROWS)
    through = estimators.get("straight_through")
    sample = problem.gradients(nested(problem, through, through))
    assert sample.isfinite().all()
    assert (sample[:, :3].mean(0).abs() > 5 * sample[:, :3].std(0) / math.sqrt(ROWS)).any()


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_a_learned_temperature_is_refused_around_another_estimate(name):
    inner = estimators.get("reinforce")
    for learns in (True, False):
        outer = estimators.get(name, learn_temperature=learns)
        outer.build(1, 3)
        problem, parameters = TwoLayers((3, 3), 5), list(outer.parameters())

        def objective(sample, problem=problem):
            logits = problem.inner_logits(sample)
            loss = partial(problem.loss, sample)
            return inner.estimate(logits, lambda d: loss(d[0])[None], Noise()).surrogate

        tuning_loss = outer.estimate(problem.logits, objective, Noise()).tuning_loss.sum()
        if learns:
            with pytest.raises(RuntimeError, match="give rebar and relax learn_temperature=False"):
                torch.autograd.grad(tuning_loss, parameters)
        else:
            gradients = torch.autograd.grad(tuning_loss, parameters)
            assert all(gradient.isfinite().all() for gradient in gradients)

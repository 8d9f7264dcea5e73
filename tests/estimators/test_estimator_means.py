"""Expected gradients against enumeration, closed forms and each other."""

import pytest
import torch
from estimator_cases import (
    cases,
    exact_gradient,
    expected_gradient,
    leaf,
    problem,
    standard_errors,
)

import estimators
from estimators import Noise

ROWS = 20_000
EXACT = {"rtol": 0, "atol": 1e-12}


def quadratic(one_hot):
    generator = torch.Generator().manual_seed(5)
    size = one_hot.shape[-2:].numel()
    matrix = torch.randn(size, size, generator=generator, dtype=one_hot.dtype)
    flat = one_hot.flatten(-2)
    return ((flat @ matrix) * flat).sum(-1) + flat @ matrix[0]


def linear(one_hot):
    return quadratic(one_hot).detach() * 0 + one_hot.flatten(-2) @ torch.arange(
        one_hot.shape[-2:].numel(), dtype=one_hot.dtype
    )


def quartic(one_hot):
    return quadratic(one_hot) ** 2


def sampled_gradients(method, latents=2, categories=3):
    small = problem(latents, categories)
    exact = small.gradients(estimators.exact.expectation(small.logits, small.objective))
    rows = small.copies(ROWS)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3))
    return rows.gradients(out.surrogate), exact


@pytest.mark.parametrize("categories", [2, 3])
@cases(lambda cls: cls.unbiased)
def test_mean_gradient_is_the_enumerated_one(name, settings, categories):
    sample, exact = sampled_gradients(estimators.get(name, **settings), categories=categories)
    assert standard_errors(sample, exact).max() < 5


@cases(lambda cls: not cls.unbiased)
def test_bias_is_detected_where_it_is_declared(name, settings):
    sample, exact = sampled_gradients(estimators.get(name, **settings))
    assert standard_errors(sample, exact).max() > 10


@cases(lambda cls: not cls.unbiased and cls.name != "gumbel_softmax")
def test_direct_gradients_of_a_biased_estimator_are_unbiased(name, settings):
    sample, exact = sampled_gradients(estimators.get(name, **settings))
    of_weight = slice(3, None)
    assert standard_errors(sample[..., of_weight], exact[..., of_weight]).max() < 5


def softmax_jacobian(logits):
    p = logits.softmax(-1)
    return torch.diag(p) - torch.outer(p, p)


def double_sum(logits, objective, weight, difference):
    """Sum over i, j of `weight_j difference(g_i, g_j) . (I_i - I_j)` times the gradient of p_i."""
    states = leaf(torch.eye(len(logits), dtype=logits.dtype))
    (g,) = torch.autograd.grad(objective(states[:, None, None])[:, 0].sum(), states)
    total = torch.zeros_like(logits)
    for i, row in enumerate(softmax_jacobian(logits)):
        for j in range(len(logits)):
            step = states[i] - states[j]
            total += weight[j] * (difference(g[i], g[j]) @ step).detach() * row
    return total


@pytest.mark.parametrize(
    ("method", "difference", "uniform"),
    [
        pytest.param(("straight_through", {}), lambda _, g_j: g_j, False, id="euler"),
        pytest.param(("reinmax", {}), lambda g_i, g_j: (g_i + g_j) / 2, False, id="heun"),
        pytest.param(
            ("reinmax", {"baseline": "uniform"}),
            lambda g_i, g_j: (g_i + g_j) / 2,
            True,
            id="heun, uniform baseline",
        ),
    ],
)
@pytest.mark.parametrize("categories", [2, 4])
def test_expected_gradient_is_the_double_sum(method, difference, uniform, categories):
    logits = problem(1, categories).logits.detach()
    p = logits[0].softmax(-1)
    weight = torch.full_like(p, 1 / categories) if uniform else p
    target = double_sum(logits[0], quartic, weight, difference)
    expected = expected_gradient(estimators.get(method[0], **method[1]), logits, quartic)
    torch.testing.assert_close(expected[0], target, **EXACT)


@pytest.mark.parametrize(("latents", "categories"), [(1, 4), (3, 3), (4, 2)])
@pytest.mark.parametrize("baseline", ["expected", "uniform"])
def test_reinmax_is_exact_for_quadratic_objectives(latents, categories, baseline):
    logits = problem(latents, categories).logits
    expected = expected_gradient(estimators.get("reinmax", baseline=baseline), logits, quadratic)
    torch.testing.assert_close(expected, exact_gradient(logits, quadratic), **EXACT)


def test_reinmax_is_not_exact_for_a_quartic_objective():
    logits = problem(2, 3).logits
    expected = expected_gradient(estimators.get("reinmax"), logits, quartic)
    assert (expected - exact_gradient(logits, quartic)).abs().max() > 0.01


def test_straight_through_is_exact_for_linear_objectives():
    logits = problem(3, 3).logits
    expected = expected_gradient(estimators.get("straight_through"), logits, linear)
    torch.testing.assert_close(expected, exact_gradient(logits, linear), **EXACT)


def test_straight_through_is_not_exact_for_a_quadratic_objective():
    logits = problem(3, 3).logits
    expected = expected_gradient(estimators.get("straight_through"), logits, quadratic)
    assert (expected - exact_gradient(logits, quadratic)).abs().max() > 0.01


def through_algorithm_2(logits, one_hot, temperature):
    """The pseudo-code of the paper, differentiated by autograd."""
    p_0 = logits.softmax(-1)
    p_1 = (one_hot + (logits / temperature).softmax(-1)) / 2
    p_1 = (p_1.log().detach() - logits.detach() + logits).softmax(-1)
    p_2 = 2 * p_1 - p_0 / 2
    return p_2 - p_2.detach() + one_hot


@pytest.mark.parametrize("categories", [2, 5])
def test_reinmax_follows_algorithm_2_sample_by_sample(categories):
    logits = problem(3, categories).copies(50).logits
    carried = estimators.get("reinmax", temperature=1.7).sample(logits, Noise(seed=1))
    (gradient,) = torch.autograd.grad(quartic(carried).sum(), logits)
    by_paper = through_algorithm_2(logits, carried.detach(), 1.7)
    (target,) = torch.autograd.grad(quartic(by_paper).sum(), logits)
    torch.testing.assert_close(gradient, target, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("categories", [2, 5])
def test_straight_through_divides_the_backward_logits_by_the_temperature(categories):
    logits = problem(3, categories).copies(50).logits
    carried = estimators.get("straight_through", temperature=1.7).sample(logits, Noise(seed=1))
    (gradient,) = torch.autograd.grad(quartic(carried).sum(), logits)
    soft = (logits / 1.7).softmax(-1)
    (target,) = torch.autograd.grad(quartic(soft - soft.detach() + carried.detach()).sum(), logits)
    torch.testing.assert_close(gradient, target, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("categories", [2, 5])
def test_st_gumbel_softmax_is_the_jacobian_of_the_perturbed_softmax(categories):
    logits = problem(3, categories).copies(50).logits
    carried = estimators.get("st_gumbel_softmax", temperature=0.6).sample(logits, Noise(seed=1))
    (gradient,) = torch.autograd.grad(quartic(carried).sum(), logits)
    draws = Noise(seed=1).exponential(50, 1, 3, categories, dtype=torch.float64).squeeze(1)
    soft = ((logits - draws.log()) / 0.6).softmax(-1)
    (target,) = torch.autograd.grad(quartic(soft - soft.detach() + carried.detach()).sum(), logits)
    torch.testing.assert_close(gradient, target, rtol=1e-10, atol=1e-10)


@cases(lambda cls: issubclass(cls, estimators.PathwiseEstimator))
def test_samples_have_the_frequencies_of_the_softmax(name, settings):
    logits = problem(2, 3).logits
    sample = estimators.get(name, **settings).sample(logits.expand(ROWS, 2, 3), Noise(seed=2))
    assert standard_errors(sample.detach(), logits.softmax(-1)).max() < 5


def gumbel_gradients(name, seed, **settings):
    rows = problem(2, 3).copies(ROWS)
    method = estimators.get(name, temperature=0.5, **settings)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=seed))
    return rows.gradients(out.surrogate)


@pytest.mark.parametrize("draws", [1, 10])
def test_gumbel_rao_has_the_mean_of_st_gumbel_softmax(draws):
    rao = gumbel_gradients("gumbel_rao", 1, samples=draws)
    plain = gumbel_gradients("st_gumbel_softmax", 2)
    assert standard_errors(rao - plain, torch.zeros(2, 6)).max() < 5


def test_gumbel_rao_varies_less_with_more_draws():
    one, three, ten = (
        gumbel_gradients("gumbel_rao", 1, samples=draws)[..., :3].var(0).sum()
        for draws in (1, 3, 10)
    )
    assert one > 1.1 * three > 1.1 * ten


@cases(lambda cls: cls.name in {"straight_through", "reinmax", "reinforce", "reinforce_loo"})
def test_more_samples_vary_less(name, settings):
    fixed = {key: value for key, value in settings.items() if key != "samples"}
    few, many = (
        sampled_gradients(estimators.get(name, samples=samples, **fixed))[0].var(0).sum()
        for samples in (2, 8)
    )
    assert 2 * many < few


def test_leave_one_out_varies_less_than_no_baseline():
    none, other = (
        sampled_gradients(estimators.get(name, samples=4))[0].var(0).sum()
        for name in ("reinforce", "reinforce_loo")
    )
    assert other < none


def test_gumbel_softmax_gradient_is_that_of_the_relaxed_objective():
    rows = problem(2, 3).copies(5)
    method = estimators.get("gumbel_softmax", temperature=0.5)
    gradient = rows.gradients(method.estimate(rows.logits, rows.objective, Noise()).surrogate)
    draws = Noise().exponential(5, 1, 2, 3, dtype=torch.float64).squeeze(1)
    relaxed = ((rows.logits - draws.log()) / 0.5).softmax(-1)
    target = rows.gradients(rows.objective(relaxed))
    torch.testing.assert_close(gradient, target, **EXACT)

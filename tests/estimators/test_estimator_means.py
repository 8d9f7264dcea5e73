"""Expected gradients against enumeration, closed forms and each other."""

import itertools

import pytest
import torch
from estimator_cases import cases, is_pathwise, learns, sized_cases

from raysweep import estimators
from raysweep.estimators import Noise, gapped
from raysweep.testing.estimators import (
    check_estimator,
    exact_gradient,
    exact_target,
    expected_gradient,
    leaf,
    problem,
    randomise,
    standard_errors,
)

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


def sampled_gradients(method, latents=2, categories=3, seed=3):
    small = problem(latents, categories)
    exact = small.gradients(exact_target(method, small.logits, small.objective))
    rows = small.copies(ROWS)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=seed))
    return rows.gradients(out.surrogate), exact


def is_unbiased(method):
    return method.unbiased


@sized_cases(is_unbiased, sizes=(2, 3, 5))
def test_mean_gradient_is_the_enumerated_one(name, settings, categories):
    sample, exact = sampled_gradients(estimators.get(name, **settings), categories=categories)
    assert standard_errors(sample, exact).max() < 5


@sized_cases(lambda method: method.unbiased and learns(method))
def test_mean_gradient_is_the_enumerated_one_whatever_was_learned(name, settings, categories):
    method = estimators.get(name, **settings)
    method.build(2, categories)
    randomise(method, scale=1.0)
    sample, exact = sampled_gradients(method, categories=categories)
    assert standard_errors(sample, exact).max() < 5


@pytest.mark.parametrize(("name", "settings"), [("nvil", {}), ("muprop", {"baseline": True})])
def test_mean_gradient_is_the_enumerated_one_whatever_the_baseline(name, settings):
    method = estimators.get(name, **settings)
    method.build(2, 3, context=4)
    randomise(method, scale=1.0)
    small = problem(2, 3)
    exact = small.gradients(estimators.exact.expectation(small.logits, small.objective))
    rows = small.copies(ROWS)
    x = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3), context=x)
    assert standard_errors(rows.gradients(out.surrogate), exact).max() < 5


@cases(lambda method: not method.unbiased)
def test_bias_is_detected_where_it_is_declared(name, settings):
    sample, exact = sampled_gradients(estimators.get(name, **settings))
    assert standard_errors(sample, exact).max() > 10


@cases(lambda method: not method.unbiased and method.name != "gumbel_softmax")
def test_direct_gradients_of_a_biased_estimator_are_unbiased(name, settings):
    sample, exact = sampled_gradients(estimators.get(name, **settings))
    of_weight = slice(3, None)
    assert standard_errors(sample[..., of_weight], exact[..., of_weight]).max() < 5


@sized_cases()
def test_mean_value_is_the_enumerated_target(name, settings, categories):
    small = problem(2, categories)
    method = estimators.get(name, **settings)
    exact = exact_target(method, small.logits, small.objective).detach()
    rows = small.copies(ROWS)
    value = method.estimate(rows.logits, rows.objective, Noise(seed=4)).value
    assert standard_errors(value, exact) < 5


def random_table(one_hot):
    table = torch.randn(3, generator=torch.Generator().manual_seed(1), dtype=one_hot.dtype)
    return 2 * one_hot[..., 0, :] @ table


@pytest.mark.parametrize(("bounds", "biased"), [("full", False), ("paper", True)])
def test_published_bounds_of_ars_plus_are_biased_and_full_ones_are_not(bounds, biased):
    logits = leaf(problem(1, 3, seed=1).logits)
    exact = exact_gradient(logits, random_table)
    rows = leaf(logits.expand(400_000, 1, 3))
    method = estimators.get("ars_plus", bounds=bounds, pivot="first")
    out = method.estimate(rows, random_table, Noise(seed=3))
    (sample,) = torch.autograd.grad(out.surrogate.sum(), rows)
    distance = standard_errors(sample, exact).max()
    assert distance > 10 if biased else distance < 5
    assert method.unbiased != biased


def test_normalised_nvil_is_biased_once_its_variance_is_known():
    method = estimators.get("nvil", normalise=True)
    method.build(2, 3)
    method.running_variance.fill_(9.0)
    sample, exact = sampled_gradients(method)
    assert standard_errors(sample, exact).max() > 10
    assert not method.unbiased


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


@cases(is_pathwise)
def test_samples_have_the_frequencies_of_the_softmax(name, settings):
    logits = problem(2, 3).logits
    sample = estimators.get(name, **settings).sample(logits.expand(ROWS, 2, 3), Noise(seed=2))
    assert standard_errors(sample.detach(), logits.softmax(-1)).max() < 5


def gumbel_gradients(name, seed, categories, **settings):
    rows = problem(2, categories).copies(ROWS)
    method = estimators.get(name, temperature=0.5, **settings)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=seed))
    return rows.gradients(out.surrogate)


@pytest.mark.parametrize("categories", [2, 3])
@pytest.mark.parametrize("draws", [1, 10])
def test_gumbel_rao_has_the_mean_of_st_gumbel_softmax(draws, categories):
    rao = gumbel_gradients("gumbel_rao", 1, categories, samples=draws)
    plain = gumbel_gradients("st_gumbel_softmax", 2, categories)
    assert standard_errors(rao - plain, torch.zeros(2, 2 * categories)).max() < 5


@pytest.mark.parametrize(
    ("categories", "temperature", "seed"),
    [(3, 0.5, 0), (3, 1.0, 1), (5, 0.5, 2), (3, 0.5, 3), (10, 0.5, 4), (4, 0.7, 5)],
)
def test_the_total_derivative_is_far_from_that_of_gumbel_rao(categories, temperature, seed):
    """Of the paper's text, through the conditional noise: 59 to 83 % of the mean's length."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    logits, square, line = normal(categories), normal(categories, categories), normal(categories)
    theta = leaf(logits.expand(ROWS, categories).unsqueeze(-2))
    method = estimators.get("gumbel_rao", temperature=temperature, samples=5)
    sample = method.sample(theta, Noise(seed=1))
    slope = sample.detach() @ (square + square.mT) / 2 + line
    (ours,) = torch.autograd.grad((sample * slope).sum(), theta)

    draws = Noise(seed=2).exponential(*theta.shape, dtype=torch.float64)
    hard, total = sample.detach().bool(), theta.logsumexp(-1, keepdim=True)
    at_sample = draws[hard].view(ROWS, 1, 1)
    others = -(draws / theta.exp() + at_sample / total.exp()).log()
    perturbed = torch.where(hard, total - at_sample.log(), others)
    relaxed = (perturbed / temperature).softmax(-1)
    (through_noise,) = torch.autograd.grad((relaxed * slope).sum(), theta)
    apart = (through_noise - ours).mean(0).norm() / ours.mean(0).norm()
    assert 0.57 < apart < 0.86


@pytest.mark.parametrize("categories", [2, 4])
def test_conditional_gumbel_draws_are_those_that_rejection_keeps(categories):
    """The mean Jacobian given the sample, against all perturbed logits whose arg max it is."""
    logits = problem(1, categories).logits.detach()
    noise = Noise(seed=1).exponential(200_000, 1, categories, dtype=torch.float64)
    perturbed = logits - noise.log()
    soft = (perturbed / 0.7).softmax(-1).squeeze(1)
    method = estimators.get("gumbel_rao", temperature=0.7, samples=200)
    carried = leaf(logits.expand(4000, 1, categories))
    sample = method.sample(carried, Noise(seed=2))
    weight = torch.arange(categories, dtype=torch.float64) ** 2
    (found,) = torch.autograd.grad((sample * weight).sum(), carried)
    for category in range(categories):
        kept = soft[perturbed[:, 0].argmax(-1) == category]
        target = kept * (weight - kept @ weight[:, None]) / 0.7
        rows = found[sample[:, 0, category] == 1, 0]
        gap = (rows.mean(0) - target.mean(0)).abs()
        error = (rows.var(0) / len(rows) + target.var(0) / len(target)).sqrt()
        assert (gap / error).max() < 5


def test_gumbel_softmax_gradient_is_that_of_the_relaxed_objective():
    rows = problem(2, 3).copies(5)
    method = estimators.get("gumbel_softmax", temperature=0.5)
    gradient = rows.gradients(method.estimate(rows.logits, rows.objective, Noise()).surrogate)
    draws = Noise().exponential(5, 1, 2, 3, dtype=torch.float64).squeeze(1)
    relaxed = ((rows.logits - draws.log()) / 0.5).softmax(-1)
    target = rows.gradients(rows.objective(relaxed))
    torch.testing.assert_close(gradient, target, **EXACT)


def gap_of(p, gap):
    return -torch.log1p(-p) / p if gap == "expected" else gap


@pytest.mark.parametrize("gap", [1.0, 0.2, "expected"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize(("latents", "categories"), [(1, 4), (2, 3), (3, 2)])
def test_expected_gradient_of_gapped_st_is_its_closed_form(gap, temperature, latents, categories):
    logits = problem(latents, categories).logits.detach()
    method = estimators.get("gapped_st", gap=gap, temperature=temperature)
    expected = expected_gradient(method, logits, quartic)
    target = torch.zeros_like(logits)
    p = logits.softmax(-1)
    for state in itertools.product(range(categories), repeat=latents):
        one_hot = leaf(torch.nn.functional.one_hot(torch.tensor(state), categories).to(p))
        (g,) = torch.autograd.grad(quartic(one_hot[None])[0], one_hot)
        probability = (one_hot * p).sum(-1).prod()
        for latent, chosen in enumerate(state):
            theta = logits[latent].clone()
            ceiling = theta.max() - gap_of(p[latent, chosen], gap)
            moved = [theta.max() if c == chosen else min(t, ceiling) for c, t in enumerate(theta)]
            soft_jacobian = softmax_jacobian(torch.stack(moved) / temperature)
            target[latent] += probability.detach() * soft_jacobian @ g[latent] / temperature
    torch.testing.assert_close(expected, target, rtol=1e-11, atol=1e-11)


def test_expected_gap_is_the_mean_gap_of_the_perturbed_logits():
    logits = torch.tensor([1.2, 0.3, -0.4], dtype=torch.float64)
    noise = Noise(seed=1).exponential(400_000, 3, dtype=torch.float64)
    top = (logits - noise.log()).topk(2)
    p = logits.softmax(-1)
    one_hot = torch.eye(3, dtype=torch.float64).unsqueeze(1)  # K = 3 samples, L = 1
    expected = gapped.expected_gap(logits.view(1, 3), p.view(1, 3), one_hot).flatten()
    for category in range(3):
        gaps = (top.values[:, 0] - top.values[:, 1])[top.indices[:, 0] == category]
        assert standard_errors(gaps, expected[category]) < 5


@pytest.mark.parametrize("log_odds", [-80.0, -20.0, -1.0, 0.0, 1.0, 20.0, 80.0])
def test_expected_gap_keeps_its_digits_in_float32(log_odds):
    one_hot = torch.tensor([[[0.0, 1.0]]])
    narrow, wide = (
        gapped.expected_gap(logits, logits.softmax(-1), one_hot.to(logits)).item()
        for logits in (
            torch.tensor([[0, log_odds]], dtype=d) for d in (torch.float32, torch.float64)
        )
    )
    assert narrow == pytest.approx(wide, rel=1e-5)


@cases(lambda method: method.name in ("reinforce_loo", "reinmax", "double_cv", "nvil"))
def test_the_public_check_accepts_an_estimator_as_declared(name, settings):
    check_estimator(estimators.get(name, **settings))


def test_the_public_check_finds_a_bias_that_is_not_declared():
    method = estimators.get("straight_through")
    method.unbiased = True
    with pytest.raises(AssertionError, match="declared unbiased, but"):
        check_estimator(method)

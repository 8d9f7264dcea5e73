"""Expected gradients against enumeration, over all joint states or by standard errors."""

import pytest
import torch
from layered_cases import cases, get, normal

from raysweep.estimators import Noise
from raysweep.testing.estimators import (
    check_layered_estimator,
    exact_layered_gradient,
    expected_layered_gradient,
    layered_problem,
    leaf,
    randomise,
    standard_errors,
)

ROWS = 20_000
FEWER = 4000
EXACT = {"rtol": 0, "atol": 1e-12}
objectives = pytest.mark.parametrize("reads_all", [False, True], ids=["head", "all layers"])


def depends_on_states_alone(method):
    return method.samples == 1 and method.name in ("reinforce", "nvil", "muprop")


def needs_sampling(method):
    return method.unbiased and method.name != "exact" and not depends_on_states_alone(method)


def sampled_gradients(method, small, rows=ROWS, seed=3, **given):
    """Independent gradients, each of a network with parameters of its own."""
    rows = small.copies(rows)
    out = method.estimate(rows.layers, rows.x, rows.objective, Noise(seed=seed), **given)
    return rows.gradients(out.surrogate)


@objectives
@cases(depends_on_states_alone)
def test_expected_gradient_is_the_exact_one(name, settings, reads_all):
    method = get(name, **settings)
    method.build(3)
    randomise(method, scale=1.0)
    small = layered_problem((2, 3, 2), reads_all=reads_all)
    expected = expected_layered_gradient(method, small)
    torch.testing.assert_close(expected, exact_layered_gradient(small), **EXACT)


@objectives
@cases(needs_sampling)
def test_mean_gradient_is_the_exact_one(name, settings, reads_all):
    method = get(name, **settings)
    method.build(3)
    randomise(method, scale=0.5)
    small = layered_problem((2, 3, 2), reads_all=reads_all)
    sample = sampled_gradients(method, small)
    assert standard_errors(sample, exact_layered_gradient(small)).max() < 5


@pytest.mark.parametrize("name", ["nvil", "muprop", "rebar"])
def test_mean_gradient_is_the_exact_one_whatever_the_baseline(name):
    method = get(name, **({} if name == "nvil" else {"baseline": True}))
    method.build(2, context=4)
    randomise(method, scale=1.0)
    small = layered_problem((3, 2), reads_all=True)
    sample = sampled_gradients(method, small, context=normal(ROWS, 1, 4))
    assert standard_errors(sample, exact_layered_gradient(small)).max() < 5


@cases(lambda method: method.takes_baseline and method.samples == 1)
def test_mean_gradient_is_the_exact_one_whatever_baseline_is_given(name, settings):
    method = get(name, **settings)
    method.build(2)
    small = layered_problem((3, 2), reads_all=True)
    sample = sampled_gradients(method, small, FEWER, baseline=3 * normal(FEWER, 1))
    assert standard_errors(sample, exact_layered_gradient(small)).max() < 5


@cases(lambda method: not method.unbiased)
def test_bias_is_detected_where_it_is_declared(name, settings):
    small = layered_problem((2, 3, 2))
    sample = sampled_gradients(get(name, **settings), small, FEWER)
    assert standard_errors(sample, exact_layered_gradient(small)).max() > 10


def test_arm_has_less_variance_where_layers_share_the_noise():
    small = layered_problem((2, 3, 2))
    shared, fresh = (
        sampled_gradients(get("arm", shared_noise=shared), small, FEWER).var(0).sum()
        for shared in (True, False)
    )
    assert shared < 0.8 * fresh


def test_normalised_nvil_is_biased_once_its_variance_is_known():
    method = get("nvil", normalise=True)
    method.build(2)
    method.running_variance.fill_(9.0)
    small = layered_problem((3, 2))
    distance = standard_errors(sampled_gradients(method, small), exact_layered_gradient(small))
    assert distance.max() > 10
    assert not method.unbiased


def follows_the_expected_loss(method):
    return not method.unbiased and not method.relaxes


@cases(follows_the_expected_loss)
def test_direct_gradients_of_a_biased_estimator_are_unbiased(name, settings):
    small = layered_problem((2, 3, 2))
    sample = sampled_gradients(get(name, **settings), small, FEWER)[:, -2:]
    assert standard_errors(sample, exact_layered_gradient(small)[-2:]).max() < 5


@cases()
def test_mean_value_is_the_exact_expectation(name, settings):
    small = layered_problem((3, 2))
    exact = get("exact").estimate(small.layers, small.x, small.objective, Noise()).surrogate
    x = small.x.expand(FEWER, -1)
    out = get(name, **settings).estimate(small.layers, x, small.objective, Noise(seed=4))
    assert standard_errors(out.value, exact.detach()) < 5


@cases()
def test_states_have_the_probabilities_of_their_logits(name, settings):
    small = layered_problem((3, 2))
    x = small.x.expand(FEWER, -1)
    out = get(name, **settings).estimate(small.layers, x, small.objective, Noise(seed=5))
    before = x
    for layer, state in zip(small.layers, out.states, strict=True):
        mean = torch.tanh(layer(before).detach() / 2)
        assert set(state.unique().tolist()) == {-1.0, 1.0}
        assert standard_errors(state - mean, torch.zeros(1)).max() < 5
        before = state


def test_the_gradient_reaches_the_input():
    small = layered_problem((3, 2))
    x = leaf(small.x)
    exact = get("exact").estimate(small.layers, x, small.objective, Noise())
    (target,) = torch.autograd.grad(exact.surrogate.sum(), x)
    rows = leaf(small.x.expand(ROWS, -1))
    out = get("reinforce").estimate(small.layers, rows, small.objective, Noise(seed=1))
    (sample,) = torch.autograd.grad(out.surrogate.sum(), rows)
    assert standard_errors(sample, target).max() < 5


@cases(lambda method: method.name in ("psa", "reinforce", "nvil", "rebar") and method.samples == 1)
def test_the_public_check_accepts_an_estimator_as_declared(name, settings):
    check_layered_estimator(get(name, **settings), (2, 2))


def test_the_public_check_finds_a_bias_that_is_not_declared():
    method = get("straight_through")
    method.unbiased = True
    with pytest.raises(AssertionError, match="declared unbiased, but"):
        check_layered_estimator(method)


def test_the_public_check_finds_a_missing_axis():
    method = get("reinforce")
    estimate = method.estimate

    def summed(*args):
        out = estimate(*args)
        return out._replace(surrogate=out.surrogate.sum(-1))

    method.estimate = summed
    with pytest.raises(AssertionError, match=r"surrogate for each of 20000 examples, got .*20000,"):
        check_layered_estimator(method)


def test_the_public_check_finds_other_randomness_than_the_noise():
    method = get("reinforce")
    estimate = method.estimate

    def noisy(*args):
        out = estimate(*args)
        return out._replace(surrogate=out.surrogate * torch.rand(()))

    method.estimate = noisy
    with pytest.raises(AssertionError, match="two estimates with the same noise differ"):
        check_layered_estimator(method)


@cases(lambda method: needs_sampling(method) and method.samples == 1)
def test_mean_gradient_is_exact_for_a_loss_of_the_pre_activations(name, settings):
    """On a relaxed path they depend on the states before them, as the loss there does."""

    def objective(path):
        return path.logits[1].sum(-1) ** 2 + path.states[1].sum(-1)

    method = get(name, **settings)
    method.build(2)
    small = layered_problem((3, 2), reads_all=True)
    exact = get("exact").estimate(small.layers, small.x, objective, Noise()).surrogate
    rows = small.copies(ROWS)
    out = method.estimate(rows.layers, rows.x, objective, Noise(seed=3))
    assert standard_errors(rows.gradients(out.surrogate), small.gradients(exact)).max() < 5

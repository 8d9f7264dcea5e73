"""Masked categories: logits of -inf, or the least number, in every estimator."""

import math

import pytest
import torch
from estimator_cases import cases, categories_of, is_pathwise

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf, randomise, standard_errors

ROWS = 5000
# Which categories of two variables are masked, for three categories and for two.
MASKS = {
    3: {
        "one": [[False, True, False], [False, False, False]],
        "different": [[True, False, False], [False, False, True]],
        "all but one": [[True, True, False], [False, True, True]],
    },
    2: {"one": [[True, False], [False, False]], "all but one": [[False, True], [True, False]]},
}
PLACES = [(size, name) for size, masks in MASKS.items() for name in masks]
masked_cases = pytest.mark.parametrize(("size", "mask"), PLACES, ids=str)
values = pytest.mark.parametrize("value", [-math.inf, torch.finfo(torch.float32).min], ids=str)


def loss(sample):
    weight = torch.linspace(-1, 2, sample.shape[-2:].numel(), dtype=sample.dtype)
    score = sample.flatten(-2) @ weight
    return torch.tanh(2 * score) + 0.4 * score**2


def masked_logits(mask, value, dtype=torch.float64):
    drawn = torch.randn(len(mask), len(mask[0]), generator=torch.Generator().manual_seed(0))
    return drawn.to(dtype).masked_fill(torch.tensor(mask), value)


def made(name, settings, size):
    method = estimators.get(name, **settings)
    if method.check(2, size) is not None:
        pytest.skip(f"{name} does not take {size} categories")
    method.build(2, size)
    randomise(method)
    return method


@cases()
@masked_cases
@values
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nothing_of_a_masked_category_is_undefined(name, settings, size, mask, value, dtype):
    method, mask = made(name, settings, size), torch.tensor(MASKS[size][mask])
    theta = leaf(masked_logits(mask.tolist(), value, dtype).expand(200, -1, -1))
    out = method.estimate(theta, loss, Noise(seed=1))
    assert torch.equal(out.surrogate.detach(), out.value)
    assert out.value.isfinite().all()
    assert not (out.sample * mask).any()
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), theta, retain_graph=True)
    assert gradient.isfinite().all()
    assert not (gradient * mask).any()
    if out.tuning_loss is not None:
        assert out.tuning_loss.isfinite().all()
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(method.parameters())):
            assert tuned.isfinite().all()


@cases(lambda method: method.unbiased)
@masked_cases
def test_the_mean_gradient_is_that_of_the_categories_that_are_left(name, settings, size, mask):
    method, mask = made(name, settings, size), MASKS[size][mask]
    logits = masked_logits(mask, -math.inf)
    theta = leaf(logits.expand(ROWS, -1, -1))
    out = method.estimate(theta, loss, Noise(seed=2))
    (sample,) = torch.autograd.grad(out.surrogate.sum(), theta)
    whole = leaf(logits)
    expected = estimators.exact.expectation(whole, loss, method.link)
    (exact,) = torch.autograd.grad(expected, whole)
    assert standard_errors(sample, exact).max() < 5.5


@cases(is_pathwise)
@masked_cases
def test_samples_carry_gradients_past_masked_categories(name, settings, size, mask):
    method, mask = made(name, settings, size), torch.tensor(MASKS[size][mask])
    theta = leaf(masked_logits(mask.tolist(), -math.inf).expand(200, -1, -1))
    sample = method.sample(theta, Noise(seed=1))
    (gradient,) = torch.autograd.grad(loss(sample).sum(), theta)
    assert gradient.isfinite().all()
    assert not (gradient * mask).any()
    assert not (sample.detach() * mask).any()


@cases()
def test_a_variable_without_any_category_left_is_refused_where_it_is(name, settings):
    size = categories_of(name, settings)
    logits = torch.zeros(4, 2, size)
    logits[2, 1] = -math.inf
    method = estimators.get(name, **settings)
    with pytest.raises(ValueError, match=r"logits\[2, 1\] has no category that is not masked"):
        method.estimate(logits, loss, Noise())


@cases(is_pathwise)
def test_so_is_it_where_samples_are_drawn(name, settings):
    with pytest.raises(ValueError, match=r"logits\[0\] has no category that is not masked"):
        estimators.get(name, **settings).sample(torch.full((2, 3), -math.inf), Noise())


def test_the_check_can_be_left_out():
    method = estimators.get("reinforce")
    method.validate = False
    method.estimate(torch.full((2, 3), -math.inf), loss, Noise())

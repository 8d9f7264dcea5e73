"""Masked categories: logits of -inf, or the least number, in every estimator."""

import math

import pytest
import torch
from estimator_cases import cases, categories_of, is_pathwise, sized_cases

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.categorical import sample_one_hot
from raysweep.testing.estimators import exact_target, leaf, randomise, standard_errors

ROWS = 5000
INF, LEAST = -math.inf, torch.finfo(torch.float32).min
# Which categories of two variables are masked: one, different ones, and all but one.
MASKS = {
    3: torch.tensor(
        [
            [[False, True, False], [False, False, False]],
            [[True, False, False], [False, False, True]],
            [[True, True, False], [False, True, True]],
        ]
    ),
    2: torch.tensor([[[True, False], [False, False]], [[False, True], [True, False]]]),
}


def loss(sample):
    weight = torch.linspace(-1, 2, sample.shape[-2:].numel(), dtype=sample.dtype)
    score = sample.flatten(-2) @ weight
    return torch.tanh(2 * score) + 0.4 * score**2


def masked_logits(masks, value, dtype=torch.float64):
    """Logits of every mask, one after another."""
    drawn = torch.randn(masks.shape[1:], generator=torch.Generator().manual_seed(0))
    return drawn.to(dtype).expand(masks.shape).masked_fill(masks, value)


def made(name, settings, categories):
    method = estimators.get(name, **settings)
    method.build(2, categories)
    randomise(method)
    return method


@sized_cases()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nothing_of_a_masked_category_is_undefined(name, settings, categories, dtype):
    method, masks = made(name, settings, categories), MASKS[categories]
    logits = [masked_logits(masks, value, dtype) for value in (INF, LEAST)]
    theta = leaf(torch.cat(logits * 50))
    masked = masks.repeat(100, 1, 1)
    out = method.estimate(theta, loss, Noise(seed=1))
    assert torch.equal(out.surrogate.detach(), out.value)
    assert out.value.isfinite().all()
    assert not (out.sample * masked).any()
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), theta, retain_graph=True)
    assert gradient.isfinite().all()
    assert not (gradient * masked).any()
    if out.tuning_loss is not None:
        assert out.tuning_loss.isfinite().all()
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(method.parameters())):
            assert tuned.isfinite().all()


@sized_cases(lambda method: method.unbiased)
def test_the_mean_gradient_is_that_of_the_categories_that_are_left(name, settings, categories):
    method = made(name, settings, categories)
    logits = masked_logits(MASKS[categories], INF)
    theta = leaf(logits.expand(ROWS, *logits.shape))
    out = method.estimate(theta, loss, Noise(seed=2))
    (sample,) = torch.autograd.grad(out.surrogate.sum(), theta)
    whole = leaf(logits)
    expected = exact_target(method, whole, loss)
    (exact,) = torch.autograd.grad(expected.sum(), whole)
    assert standard_errors(sample, exact).max() < 5.5


@sized_cases(is_pathwise)
def test_samples_carry_gradients_past_masked_categories(name, settings, categories):
    method, masks = made(name, settings, categories), MASKS[categories].repeat(100, 1, 1)
    theta = leaf(masked_logits(masks, INF))
    sample = method.sample(theta, Noise(seed=1))
    (gradient,) = torch.autograd.grad(loss(sample).sum(), theta)
    assert gradient.isfinite().all()
    assert not (gradient * masks).any()
    assert not (sample.detach() * masks).any()


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


@pytest.mark.parametrize("rows", [1, 5000])
def test_rounding_draws_no_masked_category(rows):
    """The sum of probabilities may be below the largest uniform number."""
    p = torch.tensor([0.3, 0.7 - 2**-23, 0.0])
    assert p.sum() < 1 - 2**-24
    uniform = torch.full((1, rows, 1), 1 - 2**-24)
    sample = sample_one_hot(p.expand(rows, 1, 3), uniform)
    assert torch.equal(sample, torch.tensor([0.0, 1.0, 0.0]).expand(1, rows, 1, 3))

"""Objectives that are any function: plain numbers, and control variates of the user's own."""

import numpy as np
import pytest
import torch
from estimator_cases import cases, categories_of
from torch import nn

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf, standard_errors

ROWS = 20_000
ALONE = {"eta": 0.0, "learn_eta": False}


def loss(sample):
    weight = torch.linspace(-1, 2, sample.shape[-2:].numel(), dtype=sample.dtype)
    score = sample.flatten(-2) @ weight
    return torch.tanh(2 * score) + 0.4 * score**2


def in_numpy(sample):
    values = sample.numpy()
    score = values.reshape(*values.shape[:-2], -1) @ np.linspace(-1, 2, values[0, 0].size)
    return np.tanh(2 * score) + 0.4 * score**2


def as_list(sample):
    return in_numpy(sample).tolist()


def logits_of(categories):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, categories, generator=generator).double()


def gradient(method, logits, objective, rows):
    theta = leaf(logits.expand(rows, *logits.shape))
    out = method.estimate(theta, objective, Noise(seed=1))
    return torch.autograd.grad(out.surrogate.sum(), theta)[0], out


@cases(lambda method: not method.needs_gradient, more={"relax alone": ("relax", ALONE)})
@pytest.mark.parametrize("objective", [in_numpy, as_list])
def test_an_objective_may_return_plain_numbers(name, settings, objective):
    logits = logits_of(categories_of(name, settings))
    expected, _ = gradient(estimators.get(name, **settings), logits, loss, 50)
    found, out = gradient(estimators.get(name, **settings), logits, objective, 50)
    torch.testing.assert_close(found, expected)
    assert out.value.dtype == torch.float64


@cases(lambda method: not method.needs_gradient)
def test_an_objective_may_return_integers(name, settings):
    logits = logits_of(categories_of(name, settings))

    def reward(sample):
        return sample.detach()[..., 0].sum(-1).long()

    found, out = gradient(estimators.get(name, **settings), logits, reward, 50)
    expected, _ = gradient(
        estimators.get(name, **settings), logits, lambda sample: reward(sample).double(), 50
    )
    assert torch.equal(found, expected)
    assert out.value.dtype == torch.float64


def test_an_array_that_is_used_again_changes_no_earlier_value():
    buffer = np.zeros((1, 50), dtype=np.float64)

    def reused(sample):
        buffer[:] = in_numpy(sample)
        return buffer

    _, out = gradient(estimators.get("reinforce"), logits_of(3), reused, 50)
    before = out.value.clone()
    buffer[:] = 7
    assert torch.equal(out.value, before)


def test_a_noise_that_is_none_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"noise must be a raysweep.estimators.Noise, got int; for"):
        estimators.get("reinforce").estimate(logits_of(3), loss, 3)


def test_plain_numbers_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"objective must return losses `K \*B` \(1, 50\), got"):
        gradient(estimators.get("reinforce"), logits_of(3), lambda sample: [1.0, 2.0], 50)


class Control(nn.Module):
    """A small network of z, and of the context if there is one."""

    def __init__(self, inputs):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, 7).double(), nn.Linear(7, 1).double()

    def forward(self, z, context=None):
        inputs = z.flatten(-2)
        if context is not None:
            inputs = torch.cat((inputs, context.expand(len(z), *context.shape)), -1)
        return self.last(self.first(inputs).tanh()).squeeze(-1)


@pytest.mark.parametrize(
    "settings", [{}, ALONE, {**ALONE, "coupled": False, "samples": 2}], ids=str
)
@pytest.mark.parametrize("categories", [2, 3])
def test_a_control_variate_of_ones_own_leaves_the_mean_as_it_is(settings, categories):
    torch.manual_seed(0)
    control = Control(2 * (1 if categories == 2 else categories))
    method = estimators.get("relax", control=control, **settings)
    logits = logits_of(categories)
    found, _ = gradient(method, logits, loss, ROWS)
    whole = leaf(logits)
    (exact,) = torch.autograd.grad(estimators.exact.expectation(whole, loss), whole)
    assert standard_errors(found, exact).max() < 5.5


def test_it_learns_to_make_the_variance_small():
    torch.manual_seed(0)
    method, logits = estimators.get("relax", control=Control(6), **ALONE), logits_of(3)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)

    def variance():
        return gradient(method, logits, in_numpy, 5000)[0].var(0).sum()

    before, noise = variance(), Noise(seed=3)
    for step in range(200):
        noise.at(step)
        out = method.estimate(leaf(logits.expand(200, -1, -1)), in_numpy, noise)
        optimizer.zero_grad()
        out.tuning_loss.mean().backward()
        optimizer.step()
    assert variance() < 0.7 * before


def test_it_sees_the_context():
    method, seen = estimators.get("relax", control=Control(6 + 4), **ALONE), []
    method.control.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    theta, context = leaf(logits_of(3).expand(5, -1, -1)), torch.randn(5, 4).double()
    method.estimate(theta, loss, Noise(), context=context)
    assert torch.equal(seen[0], context)


def test_alone_it_needs_one_evaluation_and_no_gradient():
    method, seen = estimators.get("relax", samples=3, **ALONE), []

    def spy(sample):
        seen.append(len(sample))
        assert not sample.requires_grad
        return loss(sample)

    gradient(method, logits_of(3), spy, 5)
    assert seen == [method.evaluations(2, 3)] == [3]
    assert not method.needs_gradient


def test_rebar_without_its_control_variate_is_reinforce():
    found, _ = gradient(estimators.get("rebar", **ALONE), logits_of(3), in_numpy, ROWS)
    plain, _ = gradient(estimators.get("reinforce"), logits_of(3), loss, ROWS)
    assert standard_errors(found, plain.mean(0)).max() < 7
    torch.testing.assert_close(found.var(0).sum(), plain.var(0).sum(), rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("control", "error", "message"),
    [
        (lambda z: z, TypeError, "control must be a torch.nn.Module, got function"),
        (
            nn.Identity(),
            ValueError,
            r"control must return values `S \*B` \(1, 5\), got \(1, 5, 2, 3\)",
        ),
    ],
)
def test_what_is_no_control_variate_is_refused(control, error, message):
    with pytest.raises(error, match=message):
        gradient(estimators.get("relax", control=control), logits_of(3), loss, 5)

"""Estimates of the bound of K samples: their exact means, and what they are compared with."""

import math

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.vimco import bound_of
from raysweep.testing.estimators import (
    EveryState,
    exact_target,
    expected_gradient,
    leaf,
    problem,
    varies_less,
)

EXACT = {"rtol": 0, "atol": 1e-12}
MEANS = pytest.mark.parametrize("mean", ["geometric", "arithmetic"])


def loss(one_hot):
    weight = torch.linspace(-1, 2, one_hot.shape[-2:].numel(), dtype=one_hot.dtype)
    score = one_hot.flatten(-2) @ weight
    return torch.tanh(2 * score) + 0.4 * score**2


@MEANS
@pytest.mark.parametrize(
    ("samples", "latents", "categories"), [(2, 1, 4), (2, 2, 3), (3, 2, 2), (4, 1, 3)]
)
def test_the_sum_over_all_tuples_is_the_gradient_of_the_bound(samples, latents, categories, mean):
    method = estimators.get("vimco", samples=samples, mean=mean)
    logits = leaf(problem(latents, categories).logits)
    (exact,) = torch.autograd.grad(exact_target(method, logits, loss), logits)
    torch.testing.assert_close(expected_gradient(method, logits, loss), exact, **EXACT)


@MEANS
def test_the_sum_over_all_tuples_is_right_for_all_that_the_objective_closes_over(mean):
    small, method = problem(2, 2), estimators.get("vimco", samples=3, mean=mean)
    exact = small.gradients(exact_target(method, small.logits, small.objective))
    every = EveryState(small.logits, 3)
    rows = small.copies(len(every.weights))
    found = rows.gradients(method.estimate(rows.logits, rows.objective, every).surrogate)
    torch.testing.assert_close((every.weights[:, None, None] * found).sum(0), exact, **EXACT)


def test_the_enumerated_bound_is_the_sum_over_pairs():
    small, method = problem(1, 3), estimators.get("vimco")
    p, one_hot = small.logits.softmax(-1)[0], torch.eye(3, dtype=torch.float64)
    f = small.objective(one_hot.unsqueeze(1))
    pairs = -(torch.exp(-f[:, None]) / 2 + torch.exp(-f) / 2).log()
    target = (p[:, None] * p * pairs).sum()
    found = exact_target(method, small.logits, small.objective)
    torch.testing.assert_close(found, target, **EXACT)
    torch.testing.assert_close(small.gradients(found), small.gradients(target), **EXACT)


def test_the_bound_grows_tighter_with_its_samples():
    """Of log q - log p(x, D), it tends to -log p(x)."""
    logits = problem(2, 2).logits.detach()
    log_joint = problem(2, 2, seed=3).logits.detach()
    log_q = logits.log_softmax(-1)

    def log_ratio(one_hot):
        return (one_hot * (log_q - log_joint)).sum((-2, -1))

    bounds = [
        exact_target(estimators.get("vimco", samples=count), logits, log_ratio).item()
        for count in (2, 3, 4, 5)
    ]
    mean = exact_target(estimators.get("reinforce"), logits, log_ratio).item()
    assert [mean, *bounds] == sorted([mean, *bounds], reverse=True)
    assert bounds[-1] > -log_joint.logsumexp(-1).sum().item()


def test_signals_replace_a_loss_by_the_mean_of_the_others():
    f = torch.tensor([1.0, 3.0, -2.0]).double()
    theta = leaf(torch.zeros(3, 2).double())
    seen = []

    def objective(one_hot):
        seen.append(one_hot)
        return f

    out = estimators.get("vimco", samples=3).estimate(theta, objective, Noise(seed=1))
    out.surrogate.backward()
    target = torch.zeros(3, 2).double()
    for index in range(3):
        others = f.clone()
        others[index] = (f.sum() - f[index]) / 2
        target += (bound_of(f) - bound_of(others)) * (seen[0][index] - 0.5)
    torch.testing.assert_close(theta.grad, target, **EXACT)
    assert out.value.item() == pytest.approx(-math.log(torch.exp(-f).mean().item()))


@MEANS
def test_weights_far_from_one_leave_the_estimate_finite(mean):
    theta = leaf(torch.zeros(200, 2, 3))
    method = estimators.get("vimco", samples=4, mean=mean)
    out = method.estimate(theta, lambda d: 1e4 * d[..., 0].sum(-1) - 5e4, Noise(seed=1))
    out.surrogate.sum().backward()
    assert out.value.isfinite().all()
    assert theta.grad.isfinite().all()


def test_baselines_of_the_others_lessen_the_variance():
    """Against the same signal L for every sample, which is unbiased as well."""
    rows = problem(2, 3).copies(20_000)
    method, seen = estimators.get("vimco", samples=4), []

    def spy(one_hot):
        seen.append((one_hot, rows.objective(one_hot).detach()))
        return seen[-1][1]

    out = method.estimate(rows.logits, spy, Noise(seed=1))
    (found,) = torch.autograd.grad(out.surrogate.sum(), rows.logits)
    one_hot, losses = seen[0]
    score = (one_hot - rows.logits.detach().softmax(-1)).sum(0)
    assert varies_less(found, bound_of(losses)[:, None, None] * score, factor=0.5)


def test_estimates_are_of_the_mean_unless_another_target_is_declared():
    targets = {name: estimators.find(name).target for name in estimators.names()}
    assert {name for name, target in targets.items() if target == "bound"} == {"vimco"}
    layered = [estimators.find(name, "layered").target for name in estimators.names("layered")]
    assert set(targets.values()) == {"mean", "bound"}
    assert set(layered) == {"mean"}

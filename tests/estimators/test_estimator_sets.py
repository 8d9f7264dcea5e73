"""Distinct joint states: how they are drawn, and the probabilities of their sets."""

import itertools
import math

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.unordered_set import IMPOSSIBLE, draw_distinct, set_weights
from raysweep.testing.estimators import leaf, problem, standard_errors

ROWS = 100_000
SETS = {
    "two": [0.3, 0.2],
    "nearly all": [0.5, 0.3, 0.19999],
    "one nearly sure": [1 - 1e-12, 1e-13, 1e-20],
    "tiny": [1e-60, 1e-30, 0.5, 1e-3],
    "all tiny": [1e-60, 1e-60, 1e-61, 1e-62],
    "many": [0.1, 0.2, 0.05, 0.01, 0.02, 0.3],
    "many rare": [1e-3] * 7,
}


def in_order(order, p, among):
    """Probability to draw these, one after another, from those that are left of some mass."""
    total = 1.0
    for one in order:
        total *= p[one] / among
        among -= p[one]
    return total


def of_set(members, p, rest):
    """Probability of a set among its members and the rest, summed over the orders of draws."""
    totals = []
    for order in itertools.permutations(members):
        left = [math.fsum([rest, *(p[one] for one in order[at:])]) for at in range(len(order))]
        totals.append(math.prod(p[one] / mass for one, mass in zip(order, left, strict=True)))
    return math.fsum(totals)


@pytest.mark.parametrize("p", SETS.values(), ids=list(SETS))
@pytest.mark.parametrize("rest", [None, 1e-100])
def test_weights_are_sums_over_the_orders_of_the_draws(p, rest):
    mass = 1 - math.fsum(p) if rest is None else rest
    scale = 1.0 if rest is None else 1 / math.fsum([*p, rest])
    p, mass = [one * scale for one in p], mass * scale
    first, pairs = set_weights(*(torch.tensor(x, dtype=torch.float64).log() for x in (p, mass)))
    every = range(len(p))
    whole = of_set(every, p, mass)
    for one in every:
        others = [index for index in every if index != one]
        expected = p[one] * of_set(others, p, mass) / whole
        assert first[one].item() == pytest.approx(expected, rel=1e-10, abs=1e-300)
        for other in others:
            left = [index for index in others if index != other]
            expected = p[one] * p[other] * of_set(left, p, mass) / whole
            assert pairs[one, other].item() == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_the_weights_of_the_estimate_sum_to_one():
    log_p = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double() * 20 - 60
    first, _ = set_weights(log_p, torch.zeros(50).double())
    torch.testing.assert_close(first.sum(-1), torch.ones(50).double(), rtol=0, atol=1e-12)


def drawn(logits, count, rows=ROWS):
    noise = Noise(seed=3).exponential(rows, count, *logits.shape, dtype=torch.float64)
    return draw_distinct(logits.log_softmax(-1), noise)


def indices(states):
    """The number of each joint state, the last variable running fastest."""
    latents, categories = states.shape[-2:]
    places = torch.tensor([categories**power for power in reversed(range(latents))])
    return (states.long().argmax(-1) * places).sum(-1)


def joint(logits):
    parts = logits.softmax(-1)
    return torch.stack([torch.stack(each).prod() for each in itertools.product(*parts)])


@pytest.mark.parametrize(("latents", "categories"), [(1, 4), (2, 2), (2, 3), (3, 2)])
def test_states_come_in_the_order_of_draws_without_replacement(latents, categories):
    logits = problem(latents, categories).logits.detach() / 3
    p = joint(logits)
    found = indices(drawn(logits, 2).one_hot)
    pairs = torch.nn.functional.one_hot(found[:, 0] * len(p) + found[:, 1], len(p) ** 2)
    expected = p.unsqueeze(-1) * p / (1 - p.unsqueeze(-1))
    expected.fill_diagonal_(0)
    assert standard_errors(pairs.double(), expected.flatten()).max() < 5


@pytest.mark.parametrize("count", [1, 3, 8])
def test_states_are_distinct_and_their_probabilities_their_own(count):
    logits = 3 * problem(3, 2).logits.detach()
    states = drawn(logits, count, rows=200)
    found, p = indices(states.one_hot), joint(logits)
    assert all(len(set(row)) == count for row in found.tolist())
    torch.testing.assert_close(states.log_p.exp(), p[found], rtol=1e-12, atol=0)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_rest_is_what_was_not_drawn_without_cancellation(scale):
    logits = scale * problem(3, 2).logits.detach()
    states = drawn(logits, 5, rows=200)
    left = torch.ones(200, 8).double().scatter(-1, indices(states.one_hot), 0)
    log_joint = (logits.log_softmax(-1)[0, :, None, None] + logits.log_softmax(-1)[1, :, None]
                 + logits.log_softmax(-1)[2]).flatten()  # fmt: skip
    expected = torch.where(left.bool(), log_joint, -math.inf).logsumexp(-1)
    torch.testing.assert_close(states.log_rest, expected, rtol=1e-12, atol=1e-12)


def test_nothing_is_left_where_all_possible_states_are_drawn():
    logits = torch.tensor([[0.0, 1.0, -1e30], [2.0, -1e30, -1e30]]).double()
    states = drawn(logits, 4, rows=50)
    assert (states.log_rest < IMPOSSIBLE).all()
    assert ((states.log_p > IMPOSSIBLE).sum(-1) == 2).all()


def gradients(method, rows):
    return rows.gradients(method.estimate(rows.logits, rows.objective, Noise(seed=1)).surrogate)


@pytest.mark.parametrize(("latents", "categories"), [(1, 2), (2, 2), (2, 3)])
def test_all_states_give_the_exact_gradient_without_variance(latents, categories):
    small = problem(latents, categories)
    exact = small.gradients(estimators.exact.expectation(small.logits, small.objective))
    method = estimators.get("unordered_set", samples=categories**latents)
    found = gradients(method, small.copies(20))
    torch.testing.assert_close(found, exact.expand_as(found), rtol=0, atol=1e-13)


def test_fewer_possible_states_than_samples_give_the_exact_gradient():
    def loss(one_hot):  # undefined at masked states
        score = (one_hot * torch.arange(6.0).double().view(2, 3)).sum((-2, -1))
        return torch.where(one_hot[..., 0, 2] > 0, math.nan, score.square())

    logits = torch.tensor([[0.0, 1.0, -math.inf], [2.0, 0.5, -math.inf]]).double()
    allowed = leaf(logits[:, :2])

    def narrow(one_hot):
        return loss(torch.nn.functional.pad(one_hot, (0, 1)))

    expected = estimators.exact.expectation(allowed, narrow)
    (exact,) = torch.autograd.grad(expected, allowed)
    theta = leaf(logits.expand(20, 2, 3))
    out = estimators.get("unordered_set", samples=7).estimate(theta, loss, Noise())
    (found,) = torch.autograd.grad(out.surrogate.sum(), theta)
    torch.testing.assert_close(out.value, expected.detach().expand(20), rtol=0, atol=1e-13)
    torch.testing.assert_close(found[..., :2], exact.expand(20, 2, 2), rtol=0, atol=1e-13)
    assert (found[..., 2] == 0).all()


def test_one_sample_without_baseline_is_reinforce():
    rows = problem(2, 3).copies(50)
    method = estimators.get("unordered_set", samples=1, baseline=False)
    out = method.estimate(rows.logits, rows.objective, Noise())
    score = out.sample - rows.logits.softmax(-1)
    fixed = type(rows)(rows.logits.detach(), rows.weight.detach())
    (through,) = torch.autograd.grad(rows.objective(out.sample[None]).sum(), rows.logits)
    (found,) = torch.autograd.grad(out.surrogate.sum(), rows.logits)
    loss = fixed.objective(out.sample[None])[0]
    target = (loss[:, None, None] * score).detach() + through
    torch.testing.assert_close(found, target, rtol=1e-12, atol=1e-12)


def by_ratios(one_hot, losses, p):
    """The estimate with the paper's two ratios, as sums over orders."""
    every = range(len(one_hot))
    mass = [p_s.item() for p_s in p]
    rest = 1 - math.fsum(mass)
    total = 0
    for s in every:
        others = [t for t in every if t != s]
        among = of_set(others, mass, rest)
        ratio = among / of_set(every, mass, rest)
        baseline = mass[s] * losses[s]
        for t in others:
            second = of_set([u for u in others if u != t], mass, rest) / among
            baseline = baseline + mass[t] * second * losses[t]
        total = total + mass[s] * ratio * (losses[s] - baseline) * one_hot[s]
    return total


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_the_gradient_is_that_of_the_papers_ratios(samples):
    logits = problem(2, 3).logits.detach()
    seen = []

    def loss(one_hot):
        seen.append((one_hot, (one_hot.flatten(-2) @ torch.arange(6.0).double()).square()))
        return seen[-1][1]

    theta = leaf(logits)
    estimators.get("unordered_set", samples=samples).estimate(
        theta, loss, Noise(seed=2)
    ).surrogate.backward()
    one_hot, losses = seen[0]
    p = (one_hot * logits.softmax(-1)).sum(-1).prod(-1)
    target = by_ratios(one_hot - logits.softmax(-1), losses, p)
    torch.testing.assert_close(theta.grad, target, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [95.0, 1e4])
def test_weights_of_extreme_float32_logits_are_those_of_float64(scale):
    logits = scale * torch.randn(200, 4, 3, generator=torch.Generator().manual_seed(0))

    def loss(one_hot):
        return (one_hot.flatten(-2) @ torch.arange(12.0).to(one_hot)).square()

    found = []
    for dtype in (torch.float32, torch.float64):
        theta = leaf(logits.to(dtype))
        noise = Noise(seed=1).exponential(200, 3, 4, 3, dtype=torch.float64)

        class Fixed(Noise):
            def exponential(self, *shape, dtype=None, device=None, noise=noise):
                return noise.to(dtype)

        out = estimators.get("unordered_set", samples=3).estimate(theta, loss, Fixed())
        found.append(torch.autograd.grad(out.surrogate.sum(), theta)[0].double())
    assert found[0].isfinite().all()
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)

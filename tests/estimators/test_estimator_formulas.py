"""Formulas written out for one draw, against the estimators: numbers, not only means."""

import pytest
import torch
from torch.nn.functional import softplus

from raysweep import estimators
from raysweep.estimators import Noise, gumbel
from raysweep.testing.estimators import leaf, problem, randomise

EXACT = {"rtol": 1e-10, "atol": 1e-12}


def gradient(method, theta, objective, seed=5):
    """The gradient to the logits, and the samples that the objective saw."""
    seen = []

    def spy(one_hot):
        seen.append(one_hot.detach().clone())
        return objective(one_hot)

    theta = leaf(theta)
    out = method.estimate(theta, spy, Noise(seed=seed))
    return torch.autograd.grad(out.surrogate.sum(), theta)[0], seen[0]


def changed(x, latent, category):
    y = x.clone()
    y[latent] = 0
    y[latent, category] = 1
    return y


@pytest.mark.parametrize(("samples", "categories"), [(2, 2), (2, 3), (3, 3)])
def test_rodeo_is_its_formula_with_the_operator_applied_state_by_state(samples, categories):
    method = estimators.get("rodeo", samples=samples)
    method.build(2, categories)
    method.double()
    randomise(method, scale=1.0)
    small = problem(2, categories)
    found, x = gradient(method, small.logits, small.objective)
    point = leaf(x)
    f = small.objective(point)
    (slopes,) = torch.autograd.grad(f.sum(), point)
    f, p = f.detach(), small.logits.detach().softmax(-1)
    alpha, beta = method.alpha.parameter, method.beta.parameter

    def height(k, y):
        others = [j for j in range(samples) if j != k]
        pairs = [torch.stack((f[j], (slopes[j] * (y - x[j])).sum())) for j in others]
        return torch.stack([method.network(pair) for pair in pairs]).mean(0)

    def operated(function, at):
        return sum(
            p[latent, c] * (function(changed(at, latent, c)) - function(at))
            for latent in range(2)
            for c in range(categories)
        ) / 2  # fmt: skip

    total = torch.zeros_like(p)
    for k in range(samples):
        others = [j for j in range(samples) if j != k]
        level = [f[j] + alpha * operated(lambda y, j=j: height(j, y)[0], x[j]) for j in others]
        total = total + (f[k] - torch.stack(level).mean()) * (x[k] - p)
        total = total + beta * operated(lambda y, k=k: height(k, y)[1] * (y - p), x[k])
    torch.testing.assert_close(found, (total / samples).detach(), **EXACT)


@pytest.mark.parametrize("relaxation", ["concrete", "muprop"])
@pytest.mark.parametrize(("temperature", "eta"), [(0.3, 1.0), (0.7, 0.4), (3.0, 1.7)])
def test_binary_rebar_is_its_formula_differentiated_by_autograd(relaxation, temperature, eta):
    method = estimators.get(
        "rebar", relaxation=relaxation, temperature=temperature, eta=eta, coupled=False,
        learn_eta=False, learn_temperature=False,
    )  # fmt: skip
    small = problem(3, 2)
    found, _ = gradient(method, small.logits, small.objective)
    noise = Noise(seed=5)
    u, v = (noise.uniform(3, dtype=torch.float64) for _ in range(2))
    a = leaf(small.logits[:, 1] - small.logits[:, 0])
    z = a + u.logit()
    b = (z > 0).double()
    above, below = softplus(a + v.log()) - (1 - v).log(), softplus(v.log() - a) - (1 - v).log()
    again = torch.where(z > 0, above, -below)
    shift = temperature / (temperature + 1) if relaxation == "muprop" else 0.0

    def loss(share):
        fixed = type(small)(small.logits.detach(), small.weight.detach())
        return fixed.objective(torch.stack((1 - share, share), -1)[None])[0]

    at_z, at_again = (loss(torch.sigmoid(each / temperature + shift * a)) for each in (z, again))
    (slope,) = torch.autograd.grad(eta * (at_z - at_again), a)
    target = (loss(b) - eta * at_again).detach() * (b - a.detach().sigmoid()) + slope
    torch.testing.assert_close(found[:, 1], target, **EXACT)
    torch.testing.assert_close(found[:, 0], -target, **EXACT)


@pytest.mark.parametrize("samples", [1, 2])
def test_local_expectation_averages_every_loss_for_what_the_objective_closes_over(samples):
    small = problem(2, 3)
    out = estimators.get("local_expectation", samples=samples).estimate(
        small.logits, small.objective, Noise(seed=5)
    )
    (found,) = torch.autograd.grad(out.surrogate, small.weight)
    _, seen = gradient(
        estimators.get("local_expectation", samples=samples), small.logits, small.objective
    )
    p = small.logits.detach().softmax(-1)
    total = sum(
        p[latent, c] * small.objective(changed(x, latent, c)[None])[0]
        for x in seen[:samples]
        for latent in range(2)
        for c in range(3)
    )
    (target,) = torch.autograd.grad(total / (2 * samples), small.weight)
    torch.testing.assert_close(found, target, **EXACT)


@pytest.mark.parametrize("categories", [2, 10])
def test_gumbel_rao_draws_a_bounded_number_at_a_time(categories):
    class Watched(Noise):
        largest = 0

        def _next(self, request):
            self.largest = max(self.largest, torch.Size(request[1]).numel())
            return super()._next(request)

    noise = Watched(seed=0)
    theta = leaf(torch.zeros(100, 30, categories))
    method = estimators.get("gumbel_rao", samples=300)
    method.estimate(theta, lambda d: d[..., 0].sum(-1), noise).surrogate.sum().backward()
    assert noise.largest <= max(gumbel.CHUNK_NUMBERS, 100 * 30 * categories)
    assert theta.grad.isfinite().all()

"""Objectives that read the log-probabilities of the states, as a variational bound does."""

import pytest
import torch
from torch.nn import functional

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense

COPIES = 20_000
WARM = {"temperature": 2.0}
UNBIASED = {
    "reinforce": {},
    "nvil": {},
    "muprop": {},
    "arm": {},
    "rebar": WARM,
    "rebar, temperature not learned": {**WARM, "learn_temperature": False},
    "rebar, a path for each layer": {**WARM, "passes": "layers"},
    "rebar, equation 7": {**WARM, "relaxation": "muprop"},
}


def log_law(path):
    """Log q of the last layer's states, linear in relaxed ones."""
    x, a = path.states[-1], path.logits[-1]
    return ((1 + x) / 2 * a - functional.softplus(a)).sum(-1)


def gradients(method, copies):
    """The gradient of every copy of one example, with parameters of its own: `R P`."""
    generator = torch.Generator().manual_seed(2)
    layers = []
    for _ in range(2):
        weight = torch.randn(2, 2, generator=generator, dtype=torch.float64) * 3
        bias = torch.randn(2, generator=generator, dtype=torch.float64)
        layers.append(Dense(weight.repeat(copies, 1, 1), bias.repeat(copies, 1)))
    x = torch.ones(copies, 1, 2, dtype=torch.float64)
    out = method.estimate(layers, x, log_law, Noise(seed=0), context=x)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    parts = torch.autograd.grad(out.surrogate.sum(), parameters)
    return torch.cat([part.flatten(1) for part in parts], 1)


@pytest.mark.parametrize("case", UNBIASED)
def test_the_mean_gradient_is_that_of_the_expected_log_probability(case):
    method = estimators.get(case.partition(",")[0], family="layered", **UNBIASED[case])
    (exact,) = gradients(estimators.get("exact", family="layered"), 1)
    sampled = gradients(method, COPIES)
    error = (sampled.std(0) / COPIES**0.5).clamp(min=1e-12)
    assert ((sampled.mean(0) - exact).abs() < 5 * error).all()

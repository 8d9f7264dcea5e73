"""Estimates inside autocast: computed with in float32, in the objective alone in another format."""

import pytest
import torch

from raysweep import estimators


def score(sample):
    return (sample * torch.linspace(-1, 2, sample.shape[-1])).sum((-1, -2)).square()


def gradient(name, settings, theta):
    out = estimators.get(name, **settings).estimate(theta, score, estimators.Noise(seed=1))
    return torch.autograd.grad(out.surrogate.sum(), theta)[0]


@pytest.mark.parametrize("categories", [4, 20])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gumbel_rao", {"samples": 200}),
        ("gumbel_rao", {"samples": 3}),
        ("arsm", {}),
        ("reinmax", {}),
    ],
)
def test_gradients_inside_autocast_are_those_outside(name, settings, categories):
    theta = torch.randn(6, 3, categories, generator=torch.Generator().manual_seed(0))
    theta.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gradient(name, settings, theta)
    torch.testing.assert_close(inside, gradient(name, settings, theta))

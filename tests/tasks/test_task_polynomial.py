import itertools

import pytest
import torch

from raysweep.estimators.exact import Exact
from raysweep.tasks.polynomial import (
    Polynomial,
    PolynomialModel,
    PolynomialSettings,
    optimum,
    targets,
)

EXPONENTS = [1.5, 2.0, 3.0]


@pytest.fixture(params=EXPONENTS)
def model(request):
    """Three variables with settled preferences, two replicas."""
    settings = PolynomialSettings(
        p=request.param, latents=3, targets="linear", batch_size=1, dtype="float64"
    )
    model = PolynomialModel(settings, [0, 1], torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    model.theta.data = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64)
    return model


def enumerated(model):
    """The expectation, from the probability of each of the eight states."""
    probability = model.theta.softmax(-1)
    total = torch.zeros(2, dtype=torch.float64)
    for state in itertools.product([0, 1], repeat=3):
        one_hot = torch.eye(2, dtype=torch.float64)[list(state)]
        weight = (probability * one_hot).sum(-1).prod(-1)
        total = total + weight * model.objective(one_hot)
    return total


def test_expected_loss_equals_enumeration(model):
    expected = enumerated(model).detach()
    torch.testing.assert_close(model.expected_loss(), expected, rtol=0, atol=1e-15)


def test_exact_estimator_follows_the_gradient_of_the_expected_loss(train):
    settings = {"p": 1.5, "latents": 3, "batch_size": 4, "optimizer": "sgd", "dtype": "float64"}
    training = train("polynomial", [0, 1], estimator=Exact(), targets="linear", lr=1.0, **settings)
    theta = training.state_dict()["model"]["theta"]
    model = PolynomialModel(
        PolynomialSettings(**settings, targets="linear"), [0, 1], torch.device("cpu")
    )
    assert torch.equal(model.theta, theta)
    (gradient,) = torch.autograd.grad(enumerated(model).sum(), [model.theta])
    training.advance(1)
    torch.testing.assert_close(model.theta - theta, gradient, rtol=0, atol=1e-14)


def test_targets_are_the_papers():
    assert targets(PolynomialSettings(latents=4)).tolist() == [0.45] * 4
    linear = targets(PolynomialSettings(latents=4, targets="linear"))
    assert linear.tolist() == [0.125, 0.375, 0.625, 0.875]


@pytest.mark.parametrize(("p", "value"), [(1.5, 0.3019), (2.0, 0.2025), (3.0, 0.0911)])
def test_optimum_is_the_papers(p, value):
    assert optimum(PolynomialSettings(p=p)) == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize("kind", ["constant", "linear"])
def test_training_reaches_the_optimum(train, kind):
    settings = {"latents": 4, "batch_size": 16, "targets": kind, "lr": 0.2}
    training = train("polynomial", [0, 1, 2], estimator=Exact(), **settings)
    best = optimum(PolynomialSettings(**settings))
    before = training.evaluate()["final_expected_loss"]
    training.advance(150)
    after = training.evaluate()["final_expected_loss"]
    assert (after < before).all()
    assert after.tolist() == pytest.approx([best] * 3, abs=2e-3)


def test_initial_logits_are_small_and_uniform():
    settings = PolynomialSettings(latents=1000)
    theta = PolynomialModel(settings, [0], torch.device("cpu")).theta.detach()
    assert theta.shape == (1, 1000, 2)
    assert theta.abs().max() <= 0.01
    # Five standard errors of the mean of 2,000 numbers uniform in +-0.01.
    assert theta.mean().abs() < 5 * 0.01 / (3 * 2000) ** 0.5


def test_estimator_decides_on_the_size():
    reason = Polynomial().check(PolynomialSettings(latents=64), Exact())
    assert reason is not None
    assert "states" in reason


def test_exponent_below_one_is_refused():
    with pytest.raises(ValueError, match=r"p must be at least 1, got 0\.5"):
        PolynomialSettings(p=0.5)

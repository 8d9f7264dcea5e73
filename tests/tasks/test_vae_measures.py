"""Active units, and the variance of the encoder's gradient."""

import pytest
import torch

from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks import data
from raysweep.tasks.images.variance import DECAY, GradientVariance

BITS = {"latents": 6, "binarisation": "none", "validation_examples": 0, "bound_samples": 1}


def active_by_hand(model, images):
    """Variables whose probabilities have half a summed variance above 0.01, one by one."""
    p = model.encode(images.expand(2, -1, -1)).softmax(-1)
    mean = p.mean(1, keepdim=True)
    variance = (p - mean).square().mean(1).sum(-1) / 2
    return (variance > 0.01).sum(-1).double()


@pytest.mark.parametrize("name", ["categorical_vae", "bernoulli_vae"])
@torch.no_grad()
def test_active_units_are_counted_over_all_test_images(build_model, name):
    settings = BITS if name == "bernoulli_vae" else {"categories": 3}
    model = build_model(name, **{**settings, "latents": 30, "bound_samples": 1}, scale=1.5)
    expected = active_by_hand(model, data.load("digits", dtype=torch.float64).test)
    assert (expected > 0).all()
    assert (expected < 30).all()
    assert torch.equal(model.evaluate()["active_units"], expected)


@torch.no_grad()
def test_units_that_ignore_the_image_are_not_active_and_switches_are(build_model):
    model = build_model("bernoulli_vae", **BITS, seeds=(0, 1))
    model.encoder.layers[0].weight.zero_()
    model.encoder.layers[0].bias.fill_(3.0)
    found = model.evaluate()["active_units"]
    assert found.tolist() == [0, 0]
    varies = data.load("digits", dtype=torch.float64).test.var(0).argmax()
    model.encoder.layers[0].weight[0, varies, :2] = 100
    model.encoder.layers[0].bias[0] = -50
    assert model.evaluate()["active_units"].tolist() == [2, 0]


@pytest.mark.parametrize(("spread", "active"), [(0.099, 0), (0.101, 6)])
@torch.no_grad()
def test_a_variance_of_a_hundredth_is_the_limit(build_model, spread, active):
    """A bit with probabilities 0.5 +- s has variance s squared."""
    model = build_model("bernoulli_vae", **BITS)
    model.images.test = torch.zeros(2, 64, dtype=torch.float64)
    model.images.test[1, 0] = 1
    low, high = torch.tensor([0.5 - spread, 0.5 + spread], dtype=torch.float64).logit()
    model.encoder.layers[0].bias.fill_(low)
    model.encoder.layers[0].weight[:, 0] = high - low
    assert model.evaluate()["active_units"].tolist() == [active, active]


@torch.no_grad()
def test_a_replica_that_is_not_a_number_has_no_number_of_active_units(build_model):
    model = build_model("categorical_vae", bound_samples=1)
    model.encoder.layers[0].weight[1] = torch.nan
    found = model.evaluate()["active_units"]
    assert found[0].isfinite()
    assert found[1].isnan()


def recorded(count, *shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *shape, generator=generator, dtype=torch.float64) + 0.3


def variance_by_hand(gradients):
    """Of `T R P` gradients, with exponential weights that sum to one; the mean over P."""
    age = torch.arange(len(gradients) - 1, -1, -1, dtype=torch.float64)
    weight = DECAY**age / (DECAY**age).sum()
    mean = torch.einsum("t,trp->rp", weight, gradients)
    square = torch.einsum("t,trp->rp", weight, gradients.square())
    return (square - mean.square()).mean(1)


def test_gradient_variance_is_that_of_exponential_weights():
    gradients = {"a": recorded(40, 2, 3, 4), "b": recorded(40, 2, 1, 5) * 3}
    follower = GradientVariance({name: value[0] for name, value in gradients.items()})
    for step in range(40):
        found = follower.observe({name: value[step] for name, value in gradients.items()})
    flat = torch.cat([value.flatten(2) for value in gradients.values()], 2)
    assert DECAY == 0.999
    torch.testing.assert_close(found["gradient_variance"], variance_by_hand(flat))


def test_a_constant_gradient_has_no_variance():
    gradient = {"a": recorded(1, 2, 3)[0]}
    follower = GradientVariance(gradient)
    for _ in range(20):
        found = follower.observe({**gradient, "other": torch.zeros(2)})["gradient_variance"]
        assert (found.abs() < 1e-14).all()


def encoder_gradients(model, step):
    """Of the mean loss over a step's images, `R P`."""
    noise = Noise(seeds=[0, 1], purpose="train")
    noise.at(step)
    losses = model.losses(step, StraightThrough(), noise).surrogate
    found = torch.autograd.grad(losses.mean(1).sum(), list(model.encoder.parameters()))
    return torch.cat([value.flatten(1) for value in found], 1)


@pytest.mark.parametrize("prior_lr", [None, 0.1])
def test_gradient_variance_is_that_of_the_encoders_gradients_in_training(train, prior_lr):
    settings = {"dtype": "float64", "prior_lr": prior_lr}
    training = train("bernoulli_vae", [0, 1], **settings)
    gradients = []
    for step in range(6):
        gradients.append(encoder_gradients(training.model, step))
        found = training.advance(1)["gradient_variance"]
        expected = variance_by_hand(torch.stack(gradients))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)
    assert (found > 0).all()


def test_following_the_variance_changes_nothing_else(train):
    asked, silent = (
        train("bernoulli_vae", [0, 1], gradient_variance=each) for each in (True, False)
    )
    found, expected = asked.advance(5), silent.advance(5)
    assert set(found) - set(expected) == {"gradient_variance"}
    for key, value in expected.items():
        assert torch.equal(found[key], value)

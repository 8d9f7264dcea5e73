import math
import re

import pytest
import torch
from torch.nn import functional

from raysweep import estimators
from raysweep.estimators.categorical import draw_one_hot, probabilities
from raysweep.estimators.exact import Exact
from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks import data
from raysweep.tasks.vae.categorical import CategoricalVae, CategoricalVaeSettings
from raysweep.tasks.vae.priors import Uniform

SMALL = {"dataset": "digits", "categories": 3, "latents": 2, "hidden": (8,), "batch_size": 10}


@pytest.fixture
def build():
    def make(**changes):
        settings = CategoricalVaeSettings(**{**SMALL, "dtype": "float64", **changes})
        return CategoricalVae().model(settings, [0, 1], torch.device("cpu"))

    return make


def divergence_from_uniform(logits):
    return Uniform(*logits.shape[-2:]).divergence(logits.log_softmax(-1))


def test_divergence_equals_enumeration():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64) * 3
    q = torch.distributions.Categorical(logits=logits)
    uniform = torch.distributions.Categorical(logits=torch.zeros_like(logits))
    expected = torch.distributions.kl_divergence(q, uniform).sum(-1)
    torch.testing.assert_close(divergence_from_uniform(logits), expected)


def test_divergence_of_a_sure_code_is_its_length():
    logits = torch.full((1, 3, 4), -1e4)
    logits[..., 0] = 0
    assert divergence_from_uniform(logits).item() == pytest.approx(3 * math.log(4))


def test_reconstruction_is_the_cross_entropy_of_grey_values(build):
    model = build()
    x = data.load("digits", dtype=torch.float64).train[:8].view(2, 4, 64)
    generator = torch.Generator().manual_seed(0)
    code = torch.rand(5, 2, 4, 2, 3, generator=generator, dtype=torch.float64)
    logits = model.decoder(code.flatten(-2))
    expected = functional.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).sum(-1)
    torch.testing.assert_close(model.reconstruction(x, code), expected)


def test_decoder_mirrors_the_encoder(build):
    model = build(hidden=(32, 16))
    encoder = [tuple(layer.weight.shape[1:]) for layer in model.encoder.layers]
    decoder = [tuple(layer.weight.shape[1:]) for layer in model.decoder.layers]
    assert encoder == [(64, 32), (32, 16), (16, 6)]
    assert decoder == [(6, 16), (16, 32), (32, 64)]


@pytest.mark.parametrize("estimator", [StraightThrough, Exact])
def test_the_bound_improves_within_a_hundred_steps(train, estimator):
    training = train("categorical_vae", [0, 1, 2], estimator=estimator(), lr=3e-3)
    first = training.advance(10)["train_neg_elbo"]
    test = training.evaluate()["test_neg_elbo"]
    training.advance(80)
    last = training.advance(10)["train_neg_elbo"]
    assert (last < first - 5).all()
    assert (training.evaluate()["test_neg_elbo"] < test - 5).all()


def test_test_bound_is_the_mean_over_all_test_images(build):
    model = build()
    with torch.no_grad():
        found = model.evaluate()["test_neg_elbo"]
        expected = by_hand(model, data.load("digits", dtype=torch.float64).test)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def by_hand(model, images):
    """The bound of 297 images in three parts, by the definition and the same noise."""
    noise = Noise(seeds=[0, 1], purpose="evaluate")
    losses = []
    for number, rows in enumerate(images.split(100)):
        noise.at(number)
        x = rows.expand(2, -1, -1)
        logits = model.encode(x)
        code = draw_one_hot(probabilities(logits), logits, noise, 1)
        losses.append(model.reconstruction(x, code)[0] + divergence_from_uniform(logits))
    return torch.cat(losses, 1).mean(1)


def test_more_evaluation_samples_agree_with_enumeration(build):
    model = build(evaluation_examples=20, evaluation_samples=2000)
    x = data.load("digits", dtype=torch.float64).test[:20].expand(2, -1, -1)
    states = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    one_hot = functional.one_hot(states, 3).double()
    with torch.no_grad():
        logits = model.encode(x)
        code = one_hot.view(9, 1, 1, 2, 3).expand(-1, 2, 20, -1, -1)
        weight = (probabilities(logits) * code).sum(-1).prod(-1)
        loss = model.reconstruction(x, code)
        exact = (weight * loss).sum(0) + divergence_from_uniform(logits)
        variance = (weight * loss.square()).sum(0) - (weight * loss).sum(0).square()
        found = model.evaluate()["test_neg_elbo"]
    standard_error = variance.clamp(min=1e-24).sum(1).div(20**2 * 2000).sqrt()
    assert ((found - exact.mean(1)).abs() < 5 * standard_error).all()


def test_probit_bounds_are_those_of_the_normal_distribution():
    """KL and codes follow Phi of the logits' difference, in training and in evaluation alike."""
    settings = CategoricalVaeSettings(
        **{**SMALL, "categories": 2, "dtype": "float64"},
        evaluation_examples=20,
        evaluation_samples=500,
    )
    model = CategoricalVae().model(settings, [0, 1], torch.device("cpu"), "probit")
    for parameter in model.encoder.parameters():
        parameter.data *= 4  # far from even odds, where the two links differ
    x = data.load("digits", dtype=torch.float64).test[:20].expand(2, -1, -1)
    with torch.no_grad():
        logits = model.encode(x)
        second = torch.special.ndtr(logits[..., 1] - logits[..., 0])
        p = torch.stack((1 - second, second), -1)
        states = torch.cartesian_prod(torch.arange(2), torch.arange(2))
        code = functional.one_hot(states, 2).double().view(4, 1, 1, 2, 2).expand(-1, 2, 20, -1, -1)
        weight = (p * code).sum(-1).prod(-1)
        loss = model.reconstruction(x, code)
        exact = (weight * loss).sum(0) + torch.xlogy(p, 2 * p).sum((-1, -2))
        variance = (weight * loss.square()).sum(0) - (weight * loss).sum(0).square()
        found = model.evaluate()["test_neg_elbo"]
    standard_error = variance.clamp(min=1e-24).sum(1).div(20**2 * 500).sqrt()
    assert ((found - exact.mean(1)).abs() < 5 * standard_error).all()


def test_probit_training_metrics_have_the_divergence_of_the_normal_distribution(train):
    """With one latent variable the bound is known but for the sampled reconstruction."""
    method = estimators.get("rebar", link="probit", samples=64)
    training = train(
        "categorical_vae", [0, 1], None, method, dtype="float64", categories=2, latents=1
    )
    model = training.model
    for parameter in model.encoder.parameters():
        parameter.data *= 4
    x = data.load("digits", dtype=torch.float64).train[model.images.order.batch(0)]
    with torch.no_grad():
        logits = model.encode(x)
        second = torch.special.ndtr(logits[..., 1] - logits[..., 0])
        p = torch.stack((1 - second, second), -1)
        code = (
            torch.eye(2, dtype=torch.float64).view(2, 1, 1, 1, 2).expand(-1, *x.shape[:2], -1, -1)
        )
        loss = model.reconstruction(x, code)
        weight = p.squeeze(-2).movedim(-1, 0)
        exact = (weight * loss).sum(0) + torch.xlogy(p, 2 * p).sum((-1, -2))
        variance = (weight * loss.square()).sum(0) - (weight * loss).sum(0).square()
    found = training.advance(1)["train_loss"]
    standard_error = variance.sum(1).div(x.shape[1] ** 2 * 64).sqrt()
    assert ((found - exact.mean(1)).abs() < 5 * standard_error).all()


def test_only_the_first_test_images_are_evaluated_if_asked(build):
    few, all_of_them = build(evaluation_examples=297), build()
    assert torch.equal(few.evaluate()["test_neg_elbo"], all_of_them.evaluate()["test_neg_elbo"])
    assert len(build(evaluation_examples=7).images.test) == 7


def test_window_is_one_epoch(train):
    assert train("categorical_vae", [0]).window == 1500 // 16


def test_papers_settings_are_the_defaults():
    settings = CategoricalVaeSettings()
    assert (settings.dataset, settings.categories, settings.latents) == ("mnist", 8, 4)
    assert settings.steps * settings.batch_size == 160 * data.get("mnist").train


def test_batch_larger_than_the_data_is_refused_before_reading():
    settings = CategoricalVaeSettings(dataset="digits", batch_size=1501)
    reason = CategoricalVae().check(settings, StraightThrough())
    assert re.match(r"batch_size .* 1500\b.* digits.* got 1501$", reason)


@pytest.mark.slow
def test_mnist_trains_from_the_data_folder(train, data_folder, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(data_folder))
    training = train("categorical_vae", [0, 1], dataset="mnist", evaluation_examples=200)
    first = training.advance(5)["train_neg_elbo"]
    training.advance(60)
    assert (training.advance(5)["train_neg_elbo"] < first - 50).all()
    assert training.evaluate()["test_neg_elbo"].isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": 1}, "categories must be at least 2, got 1"),
        ({"hidden": (8, 0)}, r"hidden widths must be at least 1, got \(8, 0\)"),
        ({"evaluation_samples": 0}, "evaluation_samples must be at least 1, got 0"),
        ({"evaluation_examples": 0}, "evaluation_examples must be at least 1, got 0"),
    ],
    ids=["categories", "hidden", "samples", "examples"],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CategoricalVaeSettings(**changes)

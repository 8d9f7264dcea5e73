import re

import pytest
import torch
from torch.nn import functional

from raysweep import tasks
from raysweep.estimators.exact import Exact
from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks import data
from raysweep.tasks.vae.structured_prediction import (
    StructuredPrediction,
    StructuredPredictionSettings,
)

NAME = "structured_prediction"
SMALL = {"latents": 3, "center_input": False, "bound_samples": 5}


def upper(x):
    return x[..., :32]


def lower(x):
    return x[..., 32:]


@pytest.mark.parametrize("hidden", [(), (12, 7)], ids=["linear", "hidden"])
def test_the_upper_half_is_encoded_and_the_lower_decoded(build_model, hidden):
    model = build_model(NAME, **SMALL, hidden=hidden)
    encoder = [tuple(layer.weight.shape[1:]) for layer in model.encoder.layers]
    decoder = [tuple(layer.weight.shape[1:]) for layer in model.decoder.layers]
    assert encoder == ([(32, 12), (12, 7), (7, 3)] if hidden else [(32, 3)])
    assert decoder == ([(3, 7), (7, 12), (12, 32)] if hidden else [(3, 32)])


def test_the_upper_half_is_that_of_the_picture():
    """Pixels are stored row by row: four of eight rows are the first half of the features."""
    ink = data.load("digits").train.view(-1, 8, 8)
    assert torch.equal(ink[:, :4].flatten(1), upper(ink.flatten(1)))


@pytest.mark.parametrize("center", [False, True])
def test_images_are_cut_and_only_what_is_encoded_is_centred(build_model, center):
    model = build_model(NAME, **{**SMALL, "center_input": center})
    x = data.load("digits", dtype=torch.float64).test[:6].view(2, 3, 64)
    encoded, target = model.split(x)
    mean = data.load("digits", dtype=torch.float64).train.mean(0) * center
    torch.testing.assert_close(encoded, upper(x - mean))
    assert torch.equal(target, lower(x))


def test_the_loss_is_the_expected_cross_entropy_of_the_lower_half_alone(build_model):
    model = build_model(NAME, **SMALL)
    images = model.images.batch(0)
    found = model.losses(0, Exact(), Noise(seeds=[0, 1], purpose="train")).surrogate
    h = model.encoder(upper(images))
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 3)
    expected = torch.zeros(2, 10, dtype=torch.float64)
    for bits in states:
        p = torch.where(bits == 1, h.sigmoid(), 1 - h.sigmoid()).prod(-1)
        pixels = model.decoder((2 * bits - 1).expand(2, 10, -1))
        loss = functional.binary_cross_entropy_with_logits(pixels, lower(images), reduction="none")
        expected = expected + p * loss.sum(-1)
    torch.testing.assert_close(found, expected)


class Spy(StraightThrough):
    """Keeps the context and the logits it was given."""

    def estimate(self, logits, objective, noise, *, context=None):
        self.logits, self.context = logits, context
        return super().estimate(logits, objective, noise, context=context)


def given(model, batch):
    """What an estimator sees of the lower half's images, and what it would predict."""
    model.images.batch = lambda step: batch
    spy = Spy()
    losses = model.losses(0, spy, Noise(seeds=[0, 1], purpose="train"))
    return spy.logits.detach(), spy.context, losses.surrogate.detach()


def test_nothing_of_the_lower_half_reaches_the_encoder_or_a_baseline(build_model):
    model = build_model(NAME, **{**SMALL, "center_input": True})
    batch = model.images.batch(0)
    other = torch.cat((upper(batch), 1 - lower(batch)), -1)
    logits, context, losses = given(model, batch)
    same_logits, same_context, other_losses = given(model, other)
    assert torch.equal(same_logits, logits)
    assert torch.equal(same_context, context)
    assert context.shape == (2, 10, 32)
    assert (other_losses != losses).all()


@torch.no_grad()
def test_nothing_of_the_lower_half_reaches_the_codes_in_evaluation(build_model):
    codes = []
    for flip in (False, True):
        model = build_model(NAME, **SMALL, evaluation_examples=20)
        test = model.images.test
        model.images.test = torch.cat((upper(test), 1 - lower(test)), -1) if flip else test
        seen = []
        decode = model.code.features
        model.code.features = lambda code, seen=seen, decode=decode: (
            seen.append(code) or decode(code)
        )
        model.evaluate()
        codes.append(torch.cat(seen))
    assert torch.equal(*codes)


def test_the_last_bias_starts_at_the_log_odds_of_the_lower_half(train):
    model = train(NAME, [0, 1], dtype="float64").model
    mean = lower(data.load("digits", dtype=torch.float64).train.mean(0))
    expected = mean.clamp(0.001, 0.999).logit()
    torch.testing.assert_close(model.decoder.layers[-1].bias.detach(), expected.expand(2, 1, -1))


@torch.no_grad()
def test_evaluation_is_of_the_lower_half_of_the_test_images(build_model):
    model = build_model(NAME, **SMALL, validation_examples=20)
    model.decoder.layers[0].weight.zero_()  # the code does not matter then
    found = model.evaluate()
    pixels = model.decoder.layers[0].bias
    for part, images in (("valid", model.images.valid), ("test", model.images.test)):
        expected = functional.binary_cross_entropy_with_logits(
            pixels.expand(-1, len(images), -1), lower(images).expand(2, -1, -1), reduction="none"
        )
        mean = expected.sum(-1).mean(1)
        torch.testing.assert_close(found[f"{part}_neg_log_likelihood"], mean)
        torch.testing.assert_close(found[f"{part}_neg_bound"], mean)


def test_prediction_improves_within_a_hundred_steps(train):
    training = train(NAME, [0, 1], lr=1e-2, dtype="float32")
    first = training.advance(10)["train_neg_log_likelihood"]
    training.advance(80)
    assert (training.advance(10)["train_neg_log_likelihood"] < first - 0.5).all()


def test_papers_settings_are_the_defaults():
    settings = StructuredPredictionSettings()
    assert (settings.dataset, settings.latents, settings.codes) == ("binarized_mnist", 200, "signs")
    assert (settings.batch_size, settings.beta2, settings.hidden) == (24, 0.99999, ())


def test_there_is_no_prior_to_learn():
    with pytest.raises(TypeError, match="unexpected keyword argument 'prior'"):
        tasks.get(NAME).settings(prior="learned")


def test_batch_larger_than_what_is_trained_on_is_refused_before_reading():
    settings = StructuredPredictionSettings(
        dataset="digits", validation_examples=1000, batch_size=501
    )
    reason = StructuredPrediction().check(settings, StraightThrough())
    assert re.match(r"batch_size .* 500\b.* digits.* got 501$", reason)

"""What the nets of tasks with codes are made of, and what they are evaluated for."""

import math

import pytest
import torch
from torch.distributions import Bernoulli
from torch.nn import functional

from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks import data
from raysweep.tasks.images.model import LEAST, MOST
from raysweep.tasks.training.layers import Linear
from raysweep.tasks.vae.bernoulli import BernoulliVaeSettings
from raysweep.tasks.vae.categorical import CategoricalVaeSettings
from raysweep.tasks.vae.codes import Bits, Integer, OneHot

BITS = {"latents": 3, "binarisation": "none", "validation_examples": 0}


def grey():
    return data.load("digits", dtype=torch.float64)


def test_one_hot_codes_go_in_as_they_are():
    code = torch.arange(24.0).view(2, 3, 4)
    assert torch.equal(OneHot(3, 4).features(code), code.view(2, 12))
    assert torch.equal(OneHot(3, 4).logits(code.view(2, 12)), code)
    assert (OneHot(3, 4).outputs, OneHot(3, 4).inputs) == (12, 12)


def test_integer_codes_go_in_as_the_numbers_of_their_categories():
    numbers = torch.tensor([[0, 3, 1], [2, 2, 0]])
    one_hot = functional.one_hot(numbers, 4).double()
    assert torch.equal(Integer(3, 4).features(one_hot), numbers.double())
    assert (Integer(3, 4).outputs, Integer(3, 4).inputs) == (12, 3)


def test_a_relaxed_integer_code_goes_in_as_its_mean():
    code = torch.tensor([[[0.5, 0.25, 0.25]]], dtype=torch.float64)
    assert Integer(1, 3).features(code).item() == 0.75


def test_bits_go_in_as_zeros_and_ones_or_as_signs():
    code = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]])
    assert torch.equal(Bits(3).features(code), torch.tensor([[0.0, 1.0, 0.75]]))
    assert torch.equal(Bits(3, signs=True).features(code), torch.tensor([[-1.0, 1.0, 0.5]]))
    assert (Bits(3).outputs, Bits(3).inputs) == (3, 3)


@pytest.mark.parametrize("reflected", [False, True])
def test_an_output_h_gives_odds_of_h_or_of_twice_h_less_one(reflected):
    h = torch.linspace(-4, 4, 9, dtype=torch.float64).view(3, 3)
    p = Bits(3, reflected=reflected).logits(h).softmax(-1)
    torch.testing.assert_close(p[..., 1], torch.sigmoid(2 * h - 1 if reflected else h))


@pytest.mark.parametrize(
    ("settings", "widths"),
    [
        ({"codes": "one_hot"}, [(64, 8), (8, 6), (6, 8), (8, 64)]),
        ({"codes": "integer"}, [(64, 8), (8, 6), (2, 8), (8, 64)]),
    ],
    ids=["one_hot", "integer"],
)
def test_nets_have_the_widths_that_the_code_needs(build_model, settings, widths):
    model = build_model("categorical_vae", latents=2, categories=3, hidden=(8,), **settings)
    layers = [*model.encoder.layers, *model.decoder.layers]
    assert [tuple(layer.weight.shape[1:]) for layer in layers] == widths


def test_settings_reach_the_code(build_model):
    reflected = build_model("bernoulli_vae", **BITS, logits="reflected", codes="signs").code
    h = torch.zeros(2, 3)
    assert torch.equal(reflected.logits(h)[..., 0], torch.ones(2, 3))
    assert torch.equal(reflected.features(reflected.logits(h)), -torch.ones(2, 3))
    standard = build_model("bernoulli_vae", **BITS).code
    assert torch.equal(standard.logits(h), torch.zeros(2, 3, 2))
    assert torch.equal(standard.features(reflected.logits(h)), torch.zeros(2, 3))


def test_glorots_weights_are_uniform_in_his_bounds_and_biases_are_zero():
    layer = Linear(400, 200, Noise(seeds=[0, 1]), initialisation="glorot")
    bound = math.sqrt(6 / 600)
    assert layer.weight.abs().max() <= bound
    assert layer.weight.abs().max() > 0.999 * bound
    # the standard error of the mean of 160,000 such numbers is bound / sqrt(3 * 160,000)
    assert layer.weight.mean().abs() < 5 * bound / (3 * 160_000) ** 0.5
    assert (layer.bias == 0).all()


def test_both_nets_start_as_asked(train):
    model = train("categorical_vae", [0, 1], initialisation="glorot").model
    plain = train("categorical_vae", [0, 1], initialisation="torch").model
    for net, other in ((model.encoder, plain.encoder), (model.decoder, plain.decoder)):
        for layer, twin in zip(net.layers, other.layers, strict=True):
            inputs, outputs = layer.weight.shape[1:]
            factor = math.sqrt(6 / (inputs + outputs)) * math.sqrt(inputs)
            torch.testing.assert_close(layer.weight, twin.weight * factor)
            assert (layer.bias == 0).all()
            assert (twin.bias != 0).any()


@pytest.mark.parametrize(
    ("settings", "activation"),
    [
        ({"activation": "relu"}, functional.relu),
        ({"activation": "leaky_relu", "slope": 0.3}, lambda h: functional.leaky_relu(h, 0.3)),
        ({"activation": "leaky_relu"}, lambda h: functional.leaky_relu(h, 0.01)),
        ({"activation": "tanh"}, torch.tanh),
    ],
    ids=["relu", "leaky", "leaky default", "tanh"],
)
def test_hidden_layers_have_the_activation_and_the_last_has_none(build_model, settings, activation):
    model = build_model("categorical_vae", hidden=(8, 5), **settings)
    x = torch.randn(2, 7, 64, dtype=torch.float64)
    h = x
    *hidden, last = model.encoder.layers
    for layer in hidden:
        h = activation(h @ layer.weight + layer.bias)
    expected = (h @ last.weight + last.bias).view(2, 7, 4, 8)
    torch.testing.assert_close(model.encode(x), expected)


@pytest.mark.parametrize("activation", ["leaky_relu", "tanh"])
def test_gradients_pass_activations_that_write_over_their_argument(build_model, activation):
    model = build_model("categorical_vae", hidden=(8,), activation=activation, slope=0.3)
    x = torch.randn(2, 3, 64, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model.encode(x).sum((-1, -2)), [x])


def test_bernoulli_slope_is_that_of_its_paper():
    settings = BernoulliVaeSettings()
    assert (settings.activation, settings.slope) == ("leaky_relu", 0.3)
    assert settings.latents == 200
    assert settings.hidden == (200, 200)


def blind(model):
    """A decoder that ignores the code, so that no metric depends on chance."""
    model.decoder.layers[0].weight.data.zero_()
    return model


def loss_by_hand(model, images, center):
    """Exact mean loss of a blind decoder: cross entropy, and divergence from the uniform prior."""
    pixels = Bernoulli(logits=model.decoder.layers[0].bias.detach(), validate_args=False)
    logits = model.encode((images - center).expand(2, -1, -1))
    q = logits.softmax(-1)
    divergence = torch.xlogy(q, q * q.shape[-1]).sum((-1, -2))
    return (divergence - pixels.log_prob(images).sum(-1)).mean(1)


@pytest.mark.parametrize("center", [False, True])
@torch.no_grad()
def test_evaluation_encodes_centred_images_if_so_set_and_decodes_them_as_they_are(
    build_model, center
):
    model = blind(build_model("categorical_vae", center_input=center, bound_samples=1))
    mean = grey().train.mean(0) if center else 0
    expected = loss_by_hand(model, grey().test, mean)
    torch.testing.assert_close(model.evaluate()["test_neg_elbo"], expected)


@pytest.mark.parametrize("center", [False, True])
@torch.no_grad()
def test_training_encodes_centred_images_if_so_set_and_decodes_them_as_they_are(
    build_model, center
):
    model = blind(build_model("categorical_vae", center_input=center, seeds=(3, 3)))
    images = grey().train[model.images.order.batch(5)[0]]
    mean = grey().train.mean(0) if center else 0
    noise = Noise(seeds=[3, 3], purpose="train")
    with torch.enable_grad():
        found = model.losses(5, StraightThrough(), noise).metrics["train_neg_elbo"]
    torch.testing.assert_close(found, loss_by_hand(model, images, mean))


@torch.no_grad()
def test_validation_and_test_metrics_are_those_of_their_own_images(build_model):
    settings = {"validation_examples": 130, "evaluation_examples": 110, "bound_samples": 1}
    model = blind(build_model("categorical_vae", **settings))
    found = model.evaluate()
    valid = loss_by_hand(model, grey().train[1370:1480], 0)
    test = loss_by_hand(model, grey().test[:110], 0)
    torch.testing.assert_close(found["valid_neg_elbo"], valid)
    torch.testing.assert_close(found["test_neg_elbo"], test)


@torch.no_grad()
def test_validation_images_leave_the_test_metrics_alone(build_model):
    """Only the training images' number differs, which an untrained model does not notice."""
    settings = {"evaluation_examples": 30, "bound_samples": 5}
    with_them = build_model("categorical_vae", validation_examples=40, **settings).evaluate()
    without = build_model("categorical_vae", **settings).evaluate()
    assert set(with_them) - set(without) == {"valid_neg_elbo", "valid_neg_bound"}
    for key, value in without.items():
        assert torch.equal(with_them[key], value)


@torch.no_grad()
def test_validation_and_test_codes_are_drawn_apart(build_model):
    settings = {"validation_examples": 20, "evaluation_examples": 20, "bound_samples": 5}
    model = build_model("categorical_vae", **settings)
    model.images.valid = model.images.test
    found = model.evaluate()
    for name in ("neg_elbo", "neg_bound"):
        assert (found[f"valid_{name}"] != found[f"test_{name}"]).all()


@pytest.mark.parametrize("binarisation", ["none", "dynamic", "static"])
def test_the_last_bias_starts_at_the_log_odds_of_the_mean_image(train, binarisation):
    settings = {"binarisation": binarisation, "validation_examples": 100, "dtype": "float64"}
    model = train("categorical_vae", [0, 1], output_bias_from_data=True, **settings).model
    kind = "none" if binarisation == "dynamic" else binarisation
    mean = data.load("digits", "cpu", torch.float64, kind, 100).train.mean(0)
    assert mean.min() == 0  # some pixels are always black: their odds are clamped
    assert (LEAST, MOST) == (0.001, 0.999)
    expected = mean.clamp(0.001, 0.999).logit()
    bias = model.decoder.layers[-1].bias
    torch.testing.assert_close(bias.detach(), expected.expand(2, 1, -1))
    assert not torch.allclose(model.decoder.layers[0].bias, torch.zeros(()).double())


def test_without_it_the_last_bias_is_that_of_the_initialisation(train):
    model = train("categorical_vae", [0, 1], initialisation="glorot").model
    assert (model.decoder.layers[-1].bias == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope": 1.0}, r"slope must be in \[0, 1\), got 1.0"),
        ({"slope": -0.1}, r"slope must be in \[0, 1\), got -0.1"),
        ({"bound_samples": 0}, "bound_samples must be at least 1, got 0"),
        ({"evaluation_samples": 0}, "evaluation_samples must be at least 1, got 0"),
        ({"hidden": (0,)}, r"hidden widths must be at least 1, got \(0,\)"),
    ],
    ids=["steep", "negative", "bound", "samples", "hidden"],
)
@pytest.mark.parametrize("settings", [CategoricalVaeSettings, BernoulliVaeSettings])
def test_settings_out_of_range_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)

"""The prediction of lower halves by layers of units, against enumeration of a plain network."""

import math

import pytest
import torch
from sbn_reference import build, digits, log_q, neg_log_pixels, parameters, states, trained

from raysweep import estimators, tasks
from raysweep.estimators.layered import Head, LinearHead
from raysweep.tasks.images.bounds import cross_entropy

NAME = "sbn_structured"
SHAPES = {
    "one layer": {"latents": (3,)},
    "two layers": {"latents": (2, 3)},
    "nonlinear": {"latents": (2, 2), "conditional": "nonlinear"},
}
over_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))


def laws_and_losses(values, images, sizes):
    """Of every joint state: its probability given the upper halves, and the loss at it."""
    x = (images - digits().train.mean(0))[:, :32]
    for layers in states(*sizes):
        law = log_q(values, x, layers).exp()
        yield law, neg_log_pixels(values, layers[-1], images[:, 32:])


def expected_loss(values, images, sizes):
    return sum(law * loss for law, loss in laws_and_losses(values, images, sizes))


@over_shapes
def test_the_loss_is_the_expected_cross_entropy_of_the_lower_half_alone(shape):
    model = build(NAME, **shape)
    images = model.images.batch(0)
    surrogate = trained(model).surrogate
    for replica in (0, 1):
        values = parameters(model, replica)
        expected = expected_loss(values, images[replica], shape["latents"])
        torch.testing.assert_close(surrogate[replica], expected, rtol=1e-11, atol=0)


@over_shapes
def test_the_gradient_is_that_of_the_expected_cross_entropy(shape):
    model = build(NAME, **shape)
    images = model.images.batch(0)
    names, weights = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(trained(model).surrogate.sum(), weights)
    for replica in (0, 1):
        values = parameters(model, replica)
        loss = expected_loss(values, images[replica], shape["latents"]).sum()
        expected = dict(zip(values, torch.autograd.grad(loss, values.values()), strict=True))
        for name, gradient in zip(names, gradients, strict=True):
            torch.testing.assert_close(gradient[replica], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 2])
@torch.no_grad()
def test_evaluation_agrees_with_enumeration(samples):
    copies = 3000
    model = build(NAME, latents=(2, 2), bound_samples=samples)
    image = model.images.test[:1]
    model.images.test = image.expand(copies, -1)
    found = model.evaluate()
    for replica in (0, 1):
        pairs = list(laws_and_losses(parameters(model, replica), image, (2, 2)))
        law, loss = (torch.cat(part) for part in zip(*pairs, strict=True))
        tuples = torch.cartesian_prod(*[torch.arange(16)] * samples).view(-1, samples)
        bound = math.log(samples) - (-loss)[tuples].logsumexp(1)
        for name, value, weight in (
            ("test_neg_bound", bound, law[tuples].prod(1)),
            ("test_neg_log_likelihood", loss, law),
        ):
            mean = (weight * value).sum()
            error = ((weight * (value - mean).square()).sum() / copies).sqrt().clamp(min=1e-12)
            assert (found[name][replica] - mean).abs() < 5 * error


def test_nothing_of_the_lower_half_reaches_the_units():
    drawn = []
    for flip in (False, True):
        model = build(NAME)
        batch = model.images.batch(0)
        lower = 1 - batch[..., 32:] if flip else batch[..., 32:]
        x, target = model.split(torch.cat((batch[..., :32], lower), -1))
        assert torch.equal(target, lower)
        drawn.append(model.layers[0](x))
    assert torch.equal(*drawn)


def test_baselines_read_the_whole_centred_images():
    model = build(NAME)
    images = model.images.batch(0)
    torch.testing.assert_close(model.context(images), images - digits().train.mean(0))
    plain = build(NAME, center_input=False)
    assert torch.equal(plain.context(images), images)


def test_the_last_bias_starts_at_the_log_odds_of_the_lower_half(train):
    model = train(NAME, [0, 1], dtype="float64").model
    odds = digits().train[:-100].mean(0)[32:].clamp(0.001, 0.999).logit()
    torch.testing.assert_close(model.generative[0].bias.detach(), odds.expand(2, -1))


def test_a_linear_head_gives_the_differences_of_flips_as_any_other():
    model = build(NAME, latents=(4, 5))
    _, target = model.split(model.images.batch(0))
    head = model.objective(target)
    assert isinstance(head, LinearHead)
    state = torch.randn(2, 2, 6, 5, dtype=torch.float64).sign()
    other = Head(lambda state: cross_entropy(model.generative[0](state), target))
    torch.testing.assert_close(head.flips(state), other.flips(state))


@pytest.mark.parametrize("name", ["psa", "straight_through", "adf", "nvil", "muprop", "rebar"])
def test_prediction_improves_within_a_hundred_steps(train, name):
    method = estimators.get(name, family="layered")
    training = train(NAME, [0, 1], None, method, lr=1e-2, beta2=0.999)
    first = training.advance(10)["train_neg_log_likelihood"]
    training.advance(80)
    assert (training.advance(10)["train_neg_log_likelihood"] < first - 0.5).all()


@pytest.mark.parametrize("name", estimators.names("layered"))
def test_every_estimator_fits_two_linear_layers(name):
    task = tasks.get(NAME)
    settings = task.settings(latents=(12, 12))
    assert task.check(settings, estimators.get(name, family="layered")) is None


@pytest.mark.parametrize("name", ["adf", "local_reparam"])
def test_moments_need_linear_maps(name):
    task = tasks.get(NAME)
    reason = task.check(
        task.settings(latents=(3, 3), conditional="nonlinear"),
        estimators.get(name, family="layered"),
    )
    assert reason == f"{name} needs linear layers, whose moments are known"


def test_it_starts_from_the_problem_of_one_layer_of_bits():
    """Both tasks cut, centre and decode the same images; only the law of the weights differs."""
    layered, categorical = tasks.get(NAME), tasks.get("structured_prediction")
    settings = {"dataset": "digits", "validation_examples": 100}
    cpu = torch.device("cpu")
    one = layered.model(layered.settings(**settings), [0], cpu)
    other = categorical.model(categorical.settings(**settings), [0], cpu)
    for mine, others in zip(
        one.split(one.images.batch(3)), other.split(other.images.batch(3)), strict=True
    ):
        assert torch.equal(mine, others)
    assert torch.equal(one.generative[0].bias, other.decoder.layers[-1].bias[:, 0])

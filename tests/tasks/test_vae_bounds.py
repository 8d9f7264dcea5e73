"""The multi-sample bound: against log p(x), against enumeration, and code by code."""

import math

import pytest
import torch
from torch.distributions import Categorical
from torch.nn import functional

from raysweep.estimators.categorical import softmax_logits
from raysweep.tasks.images.bounds import BOUND_CODES

CATEGORICAL = {"latents": 2, "categories": 3}
BERNOULLI = {"latents": 4, "binarisation": "none", "validation_examples": 0}
WITH_PRIOR = {
    "categorical fixed": ("categorical_vae", CATEGORICAL),
    "categorical learned": ("categorical_vae", {**CATEGORICAL, "prior": "learned"}),
    "categorical integer": ("categorical_vae", {**CATEGORICAL, "codes": "integer"}),
    "categorical centred": ("categorical_vae", {**CATEGORICAL, "center_input": True}),
    "bernoulli fixed": ("bernoulli_vae", BERNOULLI),
    "bernoulli learned": ("bernoulli_vae", {**BERNOULLI, "prior": "learned"}),
    "bernoulli mispaired": ("bernoulli_vae", {**BERNOULLI, "prior": "mispaired"}),
    "bernoulli signs": ("bernoulli_vae", {**BERNOULLI, "codes": "signs", "prior": "learned"}),
    "bernoulli reflected": ("bernoulli_vae", {**BERNOULLI, "logits": "reflected"}),
    "bernoulli centred": ("bernoulli_vae", {**BERNOULLI, "center_input": True}),
}
EVERY = {
    **WITH_PRIOR,
    "prediction": ("structured_prediction", {"latents": 4}),
    "prediction bits": ("structured_prediction", {"latents": 4, "codes": "bits"}),
}
FEW = {
    "categorical learned": ("categorical_vae", {**CATEGORICAL, "prior": "learned"}),
    "bernoulli mispaired": ("bernoulli_vae", {**BERNOULLI, "latents": 2, "prior": "mispaired"}),
    "prediction": ("structured_prediction", {"latents": 2}),
}


def over(cases):
    return pytest.mark.parametrize(("name", "settings"), cases.values(), ids=list(cases))


def states(model):
    """Every one-hot code, `S 1 1 L C`."""
    axis = torch.arange(model.code.categories)
    numbers = torch.cartesian_prod(*[axis] * model.code.latents).view(-1, model.code.latents)
    return functional.one_hot(numbers, model.code.categories).double()[:, None, None]


def log_masses(model):
    """Of every variable's categories under the prior, `R 1 L C`, from the prior's definition."""
    latents, categories = model.code.latents, model.code.categories
    logits = dict(model.prior.named_parameters()).get("logits")
    if logits is None:
        return torch.full((1, 1, latents, categories), 1 / categories, dtype=torch.float64).log()
    if logits.dim() == 4:
        return Categorical(logits=logits.detach()).logits
    s = logits.detach().sigmoid()
    return torch.cat((s, 1 - s), -1).reshape(-1, 1, latents, 2).log()


def log_law(model, x):
    """Log q(D | x), `R B L C`, for the images `R B D`."""
    encoded, _ = model.split(x)
    return Categorical(logits=softmax_logits(model.encode(encoded), model.link)).logits


def log_likelihood(model, x, code):
    """Log p(x | D), `K R B`."""
    _, target = model.split(x)
    pixels = model.decoder(model.code.features(code))
    loss = functional.binary_cross_entropy_with_logits(
        pixels, target.expand_as(pixels), reduction="none"
    )
    return -loss.sum(-1)


def log_weights(model, x, code):
    """Log p(x, D) / q(D | x), `K R B`, or log p(x | D) where there is no prior."""
    code = code.expand(-1, *x.shape[:2], -1, -1)
    if model.prior is None:
        return log_likelihood(model, x, code)
    ratio = (code * (log_masses(model) - log_law(model, x))).sum((-1, -2))
    return log_likelihood(model, x, code) + ratio


def cut_into_blocks(model):
    """Lets every variable decide pixels of its own, so that the posterior factorises."""
    weight = model.decoder.layers[0].weight.data
    per_variable = weight.shape[1] // model.code.latents
    owner = torch.arange(weight.shape[2]) % model.code.latents
    rows = torch.arange(weight.shape[1]) // per_variable
    weight *= (rows[:, None] == owner).double()
    return owner


def encode_the_posterior(model):
    """Sets a linear encoder so that q(D | x) is the posterior of a decoder cut into blocks."""
    owner = cut_into_blocks(model)
    latents, categories = model.code.latents, model.code.categories
    codes = functional.one_hot(torch.arange(categories), categories).double()
    codes = codes[:, None, None, None].expand(-1, 2, 1, latents, -1)
    pixels = model.decoder(model.code.features(codes))[:, :, 0].movedim(0, -1)  # R D C
    own = functional.one_hot(owner, latents).double()
    weight = torch.einsum("rdc,dl->rdlc", pixels, own)
    bias = log_masses(model)[:, 0] - torch.einsum("rdc,dl->rlc", functional.softplus(pixels), own)
    if model.code.outputs == latents:
        weight, bias = weight[..., 1] - weight[..., 0], bias[..., 1] - bias[..., 0]
    if getattr(model.code, "_reflected", False):
        weight, bias = weight / 2, (bias + 1) / 2
    layer = model.encoder.layers[0]
    layer.weight.data = weight.flatten(2)
    center = torch.zeros(pixels.shape[1]) if model.center is None else model.center
    layer.bias.data = (bias.flatten(1) + center.double() @ layer.weight.data).unsqueeze(1)


def evidence(model, x):
    """Log p(x) by enumeration, `R B`."""
    code = states(model).expand(-1, *x.shape[:2], -1, -1)
    prior = (code * log_masses(model)).sum((-1, -2))
    return (log_likelihood(model, x, code) + prior).logsumexp(0)


@pytest.mark.parametrize("samples", [1, 5, 7])
@over(WITH_PRIOR)
@torch.no_grad()
def test_where_q_is_the_posterior_every_bound_is_the_evidence(build_model, name, settings, samples):
    model = build_model(name, **settings, bound_samples=samples, evaluation_examples=30)
    encode_the_posterior(model)
    expected = -evidence(model, model.images.test.expand(2, -1, -1)).mean(1)
    torch.testing.assert_close(model.evaluate()["test_neg_bound"], expected, rtol=1e-11, atol=0)


@over(WITH_PRIOR)
@torch.no_grad()
def test_no_expected_bound_exceeds_the_evidence(build_model, name, settings):
    """So the posterior's test above has power: a random encoder is clearly worse."""
    model = build_model(name, **settings, bound_samples=1, evaluation_examples=30)
    gap = model.evaluate()["test_neg_bound"] + evidence(
        model, model.images.test.expand(2, -1, -1)
    ).mean(1)
    assert (gap > 0.1).all()


def expected_bound(model, x, samples):
    """Mean and variance of the bound of `K` codes, over all K-tuples of states: `R B` each."""
    code = states(model)
    weight = log_weights(model, x, code)
    law = (code * log_law(model, x)).sum((-1, -2))
    tuples = torch.cartesian_prod(*[torch.arange(len(code))] * samples).view(-1, samples)
    bound = math.log(samples) - weight[tuples].logsumexp(1)
    probability = law[tuples].sum(1).exp()
    mean = (probability * bound).sum(0)
    return mean, (probability * (bound - mean).square()).sum(0)


@pytest.mark.parametrize("samples", [1, 2, 3])
@over(FEW)
@torch.no_grad()
def test_bound_of_a_few_codes_agrees_with_enumeration(build_model, name, settings, samples):
    copies = 2000
    model = build_model(name, **settings, bound_samples=samples, scale=1.0)
    model.images.test = model.images.test[:1].expand(copies, -1)
    mean, variance = expected_bound(model, model.images.test[:1].expand(2, -1, -1), samples)
    error = variance.div(copies).sqrt().clamp(min=1e-12)[:, 0]
    assert ((model.evaluate()["test_neg_bound"] - mean[:, 0]).abs() < 5 * error).all()


@over(FEW)
@torch.no_grad()
def test_bound_of_one_code_is_the_one_sample_loss_in_expectation(build_model, name, settings):
    copies = 2000
    model = build_model(name, **settings, bound_samples=1, scale=1.0)
    model.images.test = model.images.test[:1].expand(copies, -1)
    x = model.images.test[:1].expand(2, -1, -1)
    code = states(model)
    probability = (code * log_law(model, x)).sum((-1, -2)).exp()
    loss = -log_likelihood(model, x, code.expand(-1, 2, 1, -1, -1))
    variance = (probability * loss.square()).sum(0) - (probability * loss).sum(0).square()
    error = variance.div(copies).sqrt().clamp(min=1e-12)[:, 0]
    mean, _ = expected_bound(model, x, 1)
    loss = "neg_log_likelihood" if model.prior is None else "neg_elbo"
    assert ((model.evaluate()[f"test_{loss}"] - mean[:, 0]).abs() < 5 * error).all()


@torch.no_grad()
def test_more_codes_than_come_at_a_time_agree_with_enumeration(build_model):
    copies, samples = 2000, BOUND_CODES + 2
    model = build_model("structured_prediction", latents=1, bound_samples=samples, scale=1.0)
    model.images.test = model.images.test[:1].expand(copies, -1)
    mean, variance = expected_bound(model, model.images.test[:1].expand(2, -1, -1), samples)
    error = variance.div(copies).sqrt()[:, 0]
    assert (error > 1e-6).all()
    assert ((model.evaluate()["test_neg_bound"] - mean[:, 0]).abs() < 5 * error).all()


def listen(model):
    """Collects the codes that the decoder sees in groups, the single ones apart."""
    heard = []
    reconstruction = model.reconstruction

    def spy(x, code):
        heard.append(code)
        return reconstruction(x, code)

    model.reconstruction = spy
    return heard


@over(EVERY)
@torch.no_grad()
def test_bound_is_minus_the_log_of_the_mean_weight_and_below_the_mean_loss(
    build_model, name, settings
):
    model = build_model(name, **settings, bound_samples=100, evaluation_examples=1)
    heard = listen(model)
    found = model.evaluate()["test_neg_bound"]
    _, *codes = heard  # the first is the one-sample loss's
    x = model.images.test.expand(2, -1, -1)
    weights = log_weights(model, x, torch.cat(codes))
    assert len(weights) == 100
    expected = math.log(100) - weights.logsumexp(0)
    torch.testing.assert_close(found, expected[:, 0], rtol=1e-11, atol=0)
    assert (found < -weights.mean(0)[:, 0] - 1e-3).all()  # Jensen's inequality


@pytest.mark.parametrize("samples", [1, 4, 5, 6, 12])
@torch.no_grad()
def test_codes_come_a_few_at_a_time_and_all_of_them(build_model, samples):
    model = build_model("categorical_vae", bound_samples=samples, evaluation_examples=3)
    heard = listen(model)
    model.evaluate()
    counts = [len(code) for code in heard[1:]]
    assert sum(counts) == samples
    assert max(counts) <= BOUND_CODES


@pytest.mark.parametrize("samples", [10, 7])
@torch.no_grad()
def test_no_code_of_a_bound_is_drawn_with_the_numbers_of_another(build_model, samples):
    settings = {**BERNOULLI, "latents": 40, "bound_samples": samples, "evaluation_examples": 100}
    model = build_model("bernoulli_vae", **settings, scale=0.0)
    for parameter in model.encoder.parameters():
        parameter.zero_()
    heard = listen(model)
    model.evaluate()
    codes = torch.cat(heard[1:])[:, 0].flatten(0, 1)
    assert len(codes) == 100 * samples
    assert len(codes.unique(dim=0)) == len(codes)

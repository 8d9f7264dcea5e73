import re

import pytest
import torch
from torch.distributions import Bernoulli
from torch.nn import functional

from raysweep import estimators
from raysweep.estimators.exact import Exact
from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks.vae.bernoulli import BernoulliVae, BernoulliVaeSettings

NAME = "bernoulli_vae"
SMALL = {"latents": 3, "binarisation": "none", "validation_examples": 0}
SIDES = {
    "shi": {"prior": "fixed", "logits": "standard", "divergence": "sampled"},
    "liu": {"prior": "mispaired", "logits": "reflected", "divergence": "analytic"},
    "signs": {"prior": "learned", "codes": "signs", "center_input": True},
}


def masses(model, kind):
    """Prior masses of the bits 0 and 1, `R L` each."""
    if kind == "fixed":
        half = torch.full((2, model.code.latents), 0.5, dtype=torch.float64)
        return half, half
    logits = model.prior.logits.detach()[:, 0]
    if kind == "learned":
        return logits.softmax(-1).unbind(-1)
    s = logits.sigmoid()
    pairs = torch.cat((s, 1 - s), -1)
    return pairs[:, 0::2], pairs[:, 1::2]


@pytest.mark.parametrize("side", SIDES.values(), ids=list(SIDES))
def test_the_loss_is_the_negative_bound_of_its_definition(build_model, side):
    """Summed over all bits: q(b | x) (log q(b | x) - log p(b) - log p(x | b))."""
    model = build_model(NAME, **{**SMALL, "latents": 4}, **side)
    images = model.images.batch(0)
    found = model.losses(0, Exact(), Noise(seeds=[0, 1], purpose="train")).surrogate
    center = model.images.mean() if side.get("center_input") else 0
    h = model.encoder(images - center)
    q = Bernoulli(logits=2 * h - 1 if side.get("logits") == "reflected" else h)
    zero, one = (mass[:, None].log() for mass in masses(model, side["prior"]))
    expected = torch.zeros(2, 10, dtype=torch.float64)
    for bits in torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4):
        code = bits.expand(2, 10, -1)
        log_q = q.log_prob(code).sum(-1)
        log_p = torch.where(bits == 1, one, zero).sum(-1)
        pixels = model.decoder(2 * code - 1 if side.get("codes") == "signs" else code)
        loss = functional.binary_cross_entropy_with_logits(pixels, images, reduction="none")
        expected = expected + log_q.exp() * (log_q - log_p + loss.sum(-1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["disarm", "reinforce_loo", "reinmax", "rebar"])
@pytest.mark.parametrize("side", SIDES.values(), ids=list(SIDES))
def test_the_bound_improves_within_a_hundred_steps(train, name, side):
    settings = {**side, "prior_lr": None, "output_bias_from_data": False, "lr": 3e-3}
    training = train(NAME, [0, 1], None, estimators.get(name), **settings)
    first = training.advance(10)["train_neg_elbo"]
    training.advance(80)
    assert (training.advance(10)["train_neg_elbo"] < first - 0.5).all()
    assert training.evaluate()["test_neg_bound"].isfinite().all()


def test_papers_settings_are_the_defaults():
    settings = BernoulliVaeSettings()
    assert (settings.binarisation, settings.validation_examples) == ("dynamic", 10_000)
    assert (settings.prior, settings.divergence, settings.initialisation) == (
        "fixed",
        "sampled",
        "glorot",
    )
    assert (settings.logits, settings.codes, settings.batch_size) == ("standard", "bits", 100)
    assert settings.training_examples == 50_000


def test_batch_larger_than_what_is_trained_on_is_refused_before_reading():
    settings = BernoulliVaeSettings(dataset="digits", validation_examples=1400, batch_size=101)
    reason = BernoulliVae().check(settings, StraightThrough())
    assert re.match(r"batch_size .* 100\b.* digits.* got 101$", reason)


def test_following_the_variance_is_paid_for_in_bytes(small):
    sizes = {**small[NAME], "gradient_variance": False}
    plain, following = (
        BernoulliVae().replica_bytes(
            BernoulliVaeSettings(**{**sizes, "gradient_variance": each}), StraightThrough()
        )
        for each in (False, True)
    )
    encoder = 65 * 24 + 25 * 12 + 13 * 6
    assert following - plain == 2 * 4 * encoder


@pytest.mark.slow
def test_dynamic_mnist_trains_from_the_data_folder(train, data_folder, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(data_folder))
    settings = {"validation_examples": 100, "evaluation_examples": 100, "bound_samples": 10}
    settings["output_bias_from_data"] = False
    training = train(NAME, [0, 1], dataset="mnist", lr=3e-3, **settings)
    first = training.advance(5)["train_neg_elbo"]
    training.advance(40)
    assert (training.advance(5)["train_neg_elbo"] < first - 50).all()
    assert training.evaluate()["valid_neg_bound"].isfinite().all()

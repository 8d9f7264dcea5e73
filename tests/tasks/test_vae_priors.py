"""What codes are compared with: divergences, and the two ways to train with one."""

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence

import raysweep
from raysweep.estimators.exact import Exact, expectation
from raysweep.estimators.noise import Noise
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks.vae.bernoulli import BernoulliVaeSettings
from raysweep.tasks.vae.categorical import CategoricalVaeSettings
from raysweep.tasks.vae.priors import Learned, Mispaired, Uniform

CPU = torch.device("cpu")
DOUBLE = {"dtype": torch.float64, "device": CPU}
BITS = {"latents": 4, "binarisation": "none", "validation_examples": 0}
CASES = {
    "categorical fixed": ("categorical_vae", {"latents": 2, "categories": 3}),
    "categorical learned": (
        "categorical_vae",
        {"latents": 2, "categories": 3, "prior": "learned", "codes": "integer"},
    ),
    "bernoulli fixed": ("bernoulli_vae", {**BITS, "prior": "fixed"}),
    "bernoulli learned": ("bernoulli_vae", {**BITS, "prior": "learned", "codes": "signs"}),
    "bernoulli mispaired": ("bernoulli_vae", {**BITS, "prior": "mispaired"}),
    "bernoulli reflected": (
        "bernoulli_vae",
        {**BITS, "prior": "mispaired", "logits": "reflected", "center_input": True},
    ),
}


@pytest.fixture
def normal():
    """Standard normal numbers, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def learned(logits):
    prior = Learned(len(logits), *logits.shape[2:], **DOUBLE)
    prior.logits.data = logits
    return prior


def mispaired(logits):
    prior = Mispaired(len(logits), logits.shape[-1], **DOUBLE)
    prior.logits.data = logits
    return prior


def test_divergence_from_a_learned_prior_is_that_of_torch(normal):
    logits, own = normal(2, 5, 3, 4) * 3, normal(2, 1, 3, 4) * 2
    expected = kl_divergence(Categorical(logits=logits), Categorical(logits=own)).sum(-1)
    torch.testing.assert_close(learned(own).divergence(logits.log_softmax(-1)), expected)


def test_a_learned_prior_starts_uniform(normal):
    log_q = (normal(2, 5, 3, 4) * 3).log_softmax(-1)
    expected = Uniform(3, 4).divergence(log_q)
    torch.testing.assert_close(Learned(2, 3, 4, **DOUBLE).divergence(log_q), expected)


@pytest.mark.parametrize("kind", ["fixed", "learned"])
def test_cross_entropy_of_codes_is_minus_their_log_probability(normal, kind):
    own = normal(2, 1, 3, 4) if kind == "learned" else torch.zeros(2, 1, 3, 4).double()
    prior = learned(own) if kind == "learned" else Uniform(3, 4)
    law = torch.distributions.OneHotCategorical(logits=own.expand(-1, 5, -1, -1))
    code = law.sample((6,))
    found = torch.as_tensor(prior.cross_entropy(code), dtype=torch.float64)
    torch.testing.assert_close(found.expand(6, 2, 5), -law.log_prob(code).sum(-1))


def test_a_learned_priors_gradient_is_its_law_less_the_codes(normal):
    logits, own = normal(2, 5, 3, 4), normal(2, 1, 3, 4)
    prior = learned(own)
    prior.divergence(logits.log_softmax(-1)).mean(1).sum().backward()
    expected = own.softmax(-1) - logits.softmax(-1).mean(1, keepdim=True)
    torch.testing.assert_close(prior.logits.grad, expected)


def masses(prior, latents):
    """Of every variable's two categories, `R L 2`, asked code by code."""
    found = torch.zeros(2, latents, 2, dtype=torch.float64)
    for latent in range(latents):
        for bit in range(2):
            code = torch.zeros(2, 1, latents, 2, dtype=torch.float64)
            code[:, :, latent, bit] = 1
            found[:, latent, bit] = prior.cross_entropy(code).neg().exp()[:, 0]
    return found.detach()


def test_mispaired_masses_are_neighbours_then_their_complements(normal):
    logits = normal(2, 1, 6)
    s = logits.sigmoid()[:, 0]
    expected = torch.stack(
        [
            torch.stack((s[:, 0], s[:, 1]), -1),
            torch.stack((s[:, 2], s[:, 3]), -1),
            torch.stack((s[:, 4], s[:, 5]), -1),
            torch.stack((1 - s[:, 0], 1 - s[:, 1]), -1),
            torch.stack((1 - s[:, 2], 1 - s[:, 3]), -1),
            torch.stack((1 - s[:, 4], 1 - s[:, 5]), -1),
        ],
        1,
    )
    torch.testing.assert_close(masses(mispaired(logits), 6), expected)


def test_mispaired_masses_of_two_variables_sum_to_m_and_two_minus_m(normal):
    totals = masses(mispaired(normal(2, 1, 6) * 3), 6).sum(-1)
    torch.testing.assert_close(totals[:, :3] + totals[:, 3:], torch.full((2, 3), 2.0).double())
    assert (totals.prod(-1) < 0.999).all()
    assert (totals[:, :3] * totals[:, 3:] <= 1).all()


def test_a_mispaired_prior_with_equal_logits_in_pairs_is_uniform_up_to_scale():
    logits = torch.tensor([[[2.0, 2.0]], [[0.0, 0.0]]], dtype=torch.float64)
    log_q = torch.zeros(2, 1, 2, 2, dtype=torch.float64).log_softmax(-1)
    scale = Bernoulli(logits=logits[:, 0, 0]).variance.mul(4).log()
    expected = Uniform(2, 2).divergence(log_q)[:, 0] - scale
    torch.testing.assert_close(mispaired(logits).divergence(log_q)[:, 0], expected)


@pytest.mark.parametrize("kind", [learned, mispaired])
def test_replicas_priors_do_not_mix(normal, kind):
    prior = kind(normal(2, 1, 4, 2) if kind is learned else normal(2, 1, 4))
    code = normal(3, 2, 5, 4, 2).softmax(-1)
    (gradient,) = torch.autograd.grad(prior.cross_entropy(code)[:, 1].sum(), prior.logits)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).any()


def gradients(model, losses):
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(losses.mean(1).sum(), list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


@pytest.mark.parametrize(("name", "settings"), CASES.values(), ids=list(CASES))
def test_sampled_and_exact_divergence_have_one_expected_loss_and_gradient(
    build_model, name, settings
):
    found = []
    for divergence in ("analytic", "sampled"):
        model = build_model(name, **settings, divergence=divergence)
        losses = model.losses(0, Exact(), Noise(seeds=[0, 1], purpose="train")).surrogate
        found.append((losses.detach(), gradients(model, losses)))
    (analytic, exact), (sampled, enumerated) = found
    torch.testing.assert_close(sampled, analytic, rtol=1e-10, atol=1e-10)
    assert set(exact) >= {"encoder.layers.0.weight", "decoder.layers.0.weight"}
    for key, value in exact.items():
        assert (value != 0).any(), key
        torch.testing.assert_close(enumerated[key], value, rtol=1e-10, atol=1e-10)


def test_sampled_and_exact_divergence_agree_in_the_probit_link(build_model):
    found = []
    for divergence in ("analytic", "sampled"):
        settings = {**BITS, "prior": "learned", "divergence": divergence}
        model = build_model("bernoulli_vae", link="probit", scale=1.0, **settings)
        terms = model.terms(*model.split(model.images.batch(0)))
        losses = expectation(terms.logits, terms.objective, "probit")
        losses = losses if terms.direct is None else losses + terms.direct
        found.append((losses.detach(), gradients(model, losses)))
    (analytic, exact), (sampled, enumerated) = found
    torch.testing.assert_close(sampled, analytic, rtol=1e-10, atol=1e-10)
    for key, value in exact.items():
        torch.testing.assert_close(enumerated[key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("divergence", ["analytic", "sampled"])
def test_training_reports_the_whole_bound(build_model, divergence):
    """With a decoder that ignores the code and a uniform q, nothing is left to chance."""
    model = build_model("bernoulli_vae", **BITS, prior="learned", divergence=divergence)
    model.decoder.layers[0].weight.data.zero_()
    for parameter in model.encoder.parameters():
        parameter.data.zero_()
    model.prior.logits.data.zero_()
    found = model.losses(0, StraightThrough(), Noise(seeds=[0, 1], purpose="train")).metrics
    image = Bernoulli(logits=model.decoder.layers[0].bias.detach(), validate_args=False)
    expected = -image.log_prob(model.images.batch(0)).sum(-1).mean(1)
    torch.testing.assert_close(found["train_loss"], expected)
    assert torch.equal(found["train_loss"], found["train_neg_elbo"])


def test_an_odd_number_of_variables_cannot_be_mispaired():
    with pytest.raises(ValueError, match="mispaired needs an even number of latents, got 5"):
        BernoulliVaeSettings(prior="mispaired", latents=5)


@pytest.mark.parametrize("settings", [CategoricalVaeSettings, BernoulliVaeSettings])
@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_priors_learning_rate_is_positive_and_finite(settings, rate):
    with pytest.raises(ValueError, match=f"prior_lr must be positive, got {rate}"):
        settings(prior="learned", prior_lr=rate)


@pytest.mark.parametrize("settings", [CategoricalVaeSettings, BernoulliVaeSettings])
def test_a_fixed_prior_has_no_learning_rate(settings):
    with pytest.raises(ValueError, match="prior_lr needs a prior that is learned, got prior fixed"):
        settings(prior="fixed", prior_lr=0.1)


RATES = [0.1, 0.02]


def stepwise_gradients(model, estimator, step):
    noise = Noise(seeds=[0, 1], purpose="train")
    noise.at(step)
    return gradients(model, model.losses(step, estimator, noise).surrogate)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_prior_with_a_rate_of_its_own_follows_plain_descent(build_model, train, optimizer):
    """Each replica's prior at its own rate; the nets follow the run's optimizer as ever."""
    settings = {**BITS, "batch_size": 10, "hidden": (), "prior": "learned", "dtype": "float64"}
    settings.update(center_input=False, output_bias_from_data=False, gradient_variance=False)
    settings.update(optimizer=optimizer, lr=0.01, weight_decay=0.1, prior_lr=RATES[0])
    own = [{"prior_lr": rate} for rate in RATES]
    training = train("bernoulli_vae", [0, 1], own, **settings)
    twin = build_model("bernoulli_vae", **settings)
    twin.load_state_dict(training.state_dict()["model"])
    nets = [*twin.encoder.parameters(), *twin.decoder.parameters()]
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    rule = kind(nets, lr=0.01, weight_decay=0.1)
    for step in range(6):
        found = stepwise_gradients(twin, StraightThrough(), step)
        for key, parameter in twin.named_parameters():
            parameter.grad = found[key]
        rule.step()
        twin.prior.logits.data -= torch.tensor(RATES).view(2, 1, 1, 1) * twin.prior.logits.grad
    training.advance(6)
    assert (twin.prior.logits != 0).all()
    for key, value in twin.state_dict().items():
        torch.testing.assert_close(training.state_dict()["model"][key], value)


def test_a_prior_without_a_rate_of_its_own_follows_the_optimizer(train):
    settings = {"divergence": "analytic", "prior_lr": None, "lr": 0.01}
    training = train("bernoulli_vae", [0, 1], **settings)
    training.advance(1)
    logits = training.state_dict()["model"]["prior.logits"]
    torch.testing.assert_close(logits.abs(), torch.full_like(logits, 0.01))  # Adam's first step


def test_runs_with_and_without_a_rate_of_their_own_are_each_trained_as_asked(tmp_path):
    """They follow different rules, so that one pack must not hold both."""
    sizes = {"dataset": "digits", "latents": 4, "hidden": [[]], "validation_examples": 0}
    sizes.update(prior="learned", evaluation_examples=50, bound_samples=5)

    def losses(pack):
        spec = {
            "name": "rates",
            "tasks": {"vae": {"task": "bernoulli_vae", **sizes, "prior_lr": [None, 0.5]}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": {"steps": 5, "dtype": "float64", "lr": [1e-3, 2e-3, 3e-3]},
            "seeds": 1,
            "resources": {"pack": pack},
        }
        runs = raysweep.run(spec, store=tmp_path / str(pack), inline=True).runs()
        return {run["run_id"]: run["metric.train_loss"] for run in runs.to_pylist()}

    assert losses(2) == pytest.approx(losses(1), rel=1e-9)

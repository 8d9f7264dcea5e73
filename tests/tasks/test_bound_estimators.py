"""Bounds of K samples in tasks: where they are trained, and where they are refused."""

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.exact import expectation
from raysweep.estimators.noise import Noise
from raysweep.estimators.vimco import bound_of
from raysweep.sweepfile.reader import read_spec
from raysweep.tasks.functions.task import FunctionTask
from raysweep.testing.estimators import standard_errors

SMALL = {"latents": 2, "binarisation": "none", "validation_examples": 0, "prior": "learned"}
BITS = {**SMALL, "divergence": "sampled"}
CATEGORICAL = [name for name in tasks.names() if tasks.get(name).family == "categorical"]
REFUSE = sorted({*CATEGORICAL} - {"bernoulli_vae", "categorical_vae", "structured_prediction"})
DRAWS = 600


def enumerated(model, samples):
    """The expected bound of a model's first batch, with log q as the encoder's function."""
    x, target = model.split(model.images.batch(0))
    logits = model.encode(x)

    def bound(one_hot):
        codes = torch.stack(one_hot.chunk(samples, -2)).flatten(0, 1)
        losses = model.reconstruction(target, codes) + model.log_ratio(
            logits.log_softmax(-1), codes
        )
        return bound_of(losses.unflatten(0, (samples, -1)))

    return expectation(torch.cat([logits] * samples, -2), bound)


def slopes(model, losses):
    """Gradients of a few parameters, in a row for each replica."""
    parts = [model.encoder.layers[-1].bias, model.decoder.layers[0].weight, model.prior.logits]
    gradients = torch.autograd.grad(losses.mean(1).sum(), parts)
    return torch.cat([gradient.flatten(1) for gradient in gradients], 1)


def distance(model, objective_of, samples):
    """Standard errors from the mean gradient of an estimate to that of the enumerated bound."""
    method, noise = estimators.get("vimco", samples=samples), Noise(seeds=[0, 1], purpose="train")
    rows = []
    for step in range(DRAWS):
        noise.at(step)
        rows.append(slopes(model, objective_of(method, noise)))
    return standard_errors(torch.stack(rows), slopes(model, enumerated(model, samples))).max()


@pytest.mark.parametrize("samples", [2, 3])
def test_training_follows_the_gradient_of_the_bound(build_model, samples):
    model = build_model("bernoulli_vae", **BITS, scale=1.0)

    def losses(method, noise):
        return model.losses(0, method, noise).surrogate

    assert distance(model, losses, samples) < 5


def test_log_q_cannot_be_a_constant_in_a_bound(build_model):
    model = build_model("bernoulli_vae", **BITS, scale=1.0)
    terms = model.terms(*model.split(model.images.batch(0)))  # as for the mean of the loss

    def losses(method, noise):
        return method.estimate(terms.logits, terms.objective, noise).surrogate

    def again(method, noise):
        nonlocal terms
        terms = model.terms(*model.split(model.images.batch(0)))
        return losses(method, noise)

    assert distance(model, again, 2) > 10


def test_the_bound_is_the_training_loss_and_the_mean_of_its_samples_is_reported_beside_it(
    build_model,
):
    model, method = build_model("bernoulli_vae", **BITS), estimators.get("vimco", samples=3)
    noise = Noise(seeds=[0, 1], purpose="train")
    found = model.losses(0, method, noise)
    torch.testing.assert_close(found.metrics["train_loss"], found.surrogate.detach().mean(1))
    assert (found.metrics["train_loss"] < found.metrics["train_neg_elbo"]).all()
    noise = Noise(seeds=[0, 1], purpose="train")
    plain = model.losses(0, estimators.get("reinforce", samples=3), noise).metrics
    torch.testing.assert_close(found.metrics["train_neg_elbo"], plain["train_neg_elbo"])


@pytest.mark.parametrize("name", ["bernoulli_vae", "structured_prediction", "categorical_vae"])
def test_the_bound_improves_within_a_hundred_steps(train, name):
    own = {} if name == "structured_prediction" else {"divergence": "sampled"}
    method = estimators.get("vimco", samples=4)
    rates = [{"lr": 1e-2}] * 2
    training = train(name, [1, 2], rates, method, output_bias_from_data=False, **own)
    first = training.advance(10)["train_loss"]
    training.advance(100)
    assert (training.advance(10)["train_loss"] < first - 1).all()


@pytest.mark.parametrize("name", REFUSE)
def test_a_loss_that_is_no_weight_is_refused(name):
    task = tasks.get(name)
    reason = task.refusal(task.settings(), estimators.get("vimco"))
    assert reason.startswith("vimco estimates the bound of K samples, for losses that are -log of")
    assert reason.endswith(f"those of {name} are not; use an estimator of the mean")


def test_an_exact_divergence_is_refused():
    task = tasks.get("categorical_vae")
    reason = task.refusal(task.settings(), estimators.get("vimco"))
    assert reason.endswith("needs divergence sampled, got analytic")
    assert not task.refusal(task.settings(divergence="sampled"), estimators.get("vimco"))
    assert not task.refusal(task.settings(), estimators.get("reinforce"))


def test_a_sweep_file_with_such_a_pair_is_refused_in_one_line():
    file = {
        "name": "bounds",
        "tasks": {"flat": {"task": "polynomial"}},
        "estimators": {"VIMCO": {"estimator": "vimco"}},
        "training": {"steps": 3},
        "seeds": 1,
    }
    with pytest.raises(
        ValueError, match="this pair cannot run: vimco estimates the bound"
    ) as error:
        read_spec(file)
    assert str(error.value).count("\n") == 0


def test_functions_of_users_take_every_target():
    assert FunctionTask.targets == {"mean", "bound"}

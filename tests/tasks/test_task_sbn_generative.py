"""The negative bound of a belief network, against enumeration of a plain one."""

import io
import math
import re

import pytest
import torch
from sbn_reference import build, digits, log_q, neg_log_joint, parameters, states, trained

from raysweep import estimators, tasks
from raysweep.estimators import Noise
from raysweep.estimators.layered.sampling import draw
from raysweep.tasks.images.bounds import BOUND_CODES, cross_entropy

NAME = "sbn_generative"
SHAPES = {
    "one layer": {"latents": (3,)},
    "two layers": {"latents": (2, 3)},
    "three layers": {"latents": (2, 1, 2)},
    "nonlinear": {"latents": (2, 2), "conditional": "nonlinear"},
}
over_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))


def expected_loss(values, images, sizes):
    """E_q[log q(b | x) - log p(x, b)] of each image, by its definition."""
    x, total = images - digits().train.mean(0), 0
    for layers in states(*sizes):
        law = log_q(values, x, layers)
        total = total + law.exp() * (law + neg_log_joint(values, layers, images))
    return total


@over_shapes
def test_the_loss_is_the_negative_bound_of_its_definition(shape):
    model = build(NAME, **shape)
    images = model.images.batch(0)
    surrogate = trained(model).surrogate
    for replica in (0, 1):
        values = parameters(model, replica)
        expected = expected_loss(values, images[replica], shape["latents"])
        torch.testing.assert_close(surrogate[replica], expected, rtol=1e-11, atol=0)


@over_shapes
def test_the_gradient_is_that_of_the_negative_bound_though_log_q_is_a_value_only(shape):
    model = build(NAME, **shape)
    images = model.images.batch(0)
    surrogate = trained(model).surrogate
    names, weights = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(surrogate.sum(), weights)
    for replica in (0, 1):
        values = parameters(model, replica)
        loss = expected_loss(values, images[replica], shape["latents"]).sum()
        expected = dict(zip(values, torch.autograd.grad(loss, values.values()), strict=True))
        for name, gradient in zip(names, gradients, strict=True):
            torch.testing.assert_close(gradient[replica], expected[name], rtol=1e-9, atol=1e-12)


@over_shapes
def test_the_loss_at_a_sampled_path_is_that_of_the_plain_network(shape):
    model = build(NAME, **shape)
    images = model.images.batch(0)
    x, target = model.split(images)
    path = draw(model.layers, x, Noise(seeds=[0, 1]), 1).path
    found = model.objective(target)(path)
    for replica in (0, 1):
        values = parameters(model, replica)
        for example in range(6):
            layers = [state[0, replica, example] for state in path.states]
            law = log_q(values, x[replica, example : example + 1], layers)
            joint = neg_log_joint(values, layers, images[replica, example : example + 1])
            torch.testing.assert_close(found[0, replica, example], (law + joint)[0])


def test_between_signs_log_q_is_linear_in_the_states():
    model = build(NAME, latents=(3,))
    x, target = model.split(model.images.batch(0))
    path = draw(model.layers, x, Noise(seeds=[0, 1]), 1).path
    pixels = model.onto_target
    ends = [path.states[0].sign(), -path.states[0].sign()]
    middle = (ends[0] * 3 + ends[1]) / 4
    with torch.no_grad():
        losses = [
            model.objective(target)(path._replace(states=(state,)))
            - cross_entropy(pixels(state), target)
            for state in (*ends, middle)
        ]
    torch.testing.assert_close(losses[2], (losses[0] * 3 + losses[1]) / 4)


@torch.no_grad()
def laws_and_weights(model, image, latents):
    """Of every joint state of one image: q, and log p(x, b) - log q(b | x); `R S` each."""
    x, _ = model.split(image)
    rows = []
    for replica in (0, 1):
        values = parameters(model, replica)
        pairs = []
        for layers in states(*latents):
            law = log_q(values, x, layers)
            pairs.append((law.exp(), -neg_log_joint(values, layers, image) - law))
        rows.append([torch.cat(part) for part in zip(*pairs, strict=True)])
    return [torch.stack(part) for part in zip(*rows, strict=True)]


def of_copies(copies=3000, **changes):
    """A model whose test images are copies of one."""
    model = build(NAME, **changes)
    model.images.test = model.images.test[:1].expand(copies, -1)
    return model, model.images.test[:1]


def close(found, mean, variance, copies=3000):
    error = variance.div(copies).sqrt().clamp(min=1e-12)
    return bool(((found - mean).abs() < 5 * error).all())


@pytest.mark.parametrize(
    "shape", [SHAPES["two layers"], SHAPES["nonlinear"]], ids=["linear", "not"]
)
@torch.no_grad()
def test_the_one_sample_bound_agrees_with_enumeration(shape):
    model, image = of_copies(**shape, bound_samples=1)
    law, weight = laws_and_weights(model, image, shape["latents"])
    mean = -(law * weight).sum(1)
    variance = (law * weight.square()).sum(1) - mean.square()
    assert close(model.evaluate()["test_neg_elbo"], mean, variance)


@pytest.mark.parametrize("samples", [1, 2, 3])
@torch.no_grad()
def test_the_bound_of_a_few_paths_agrees_with_enumeration(samples):
    model, image = of_copies(latents=(2, 1), bound_samples=samples)
    law, weight = laws_and_weights(model, image, (2, 1))
    tuples = torch.cartesian_prod(*[torch.arange(law.shape[1])] * samples).view(-1, samples)
    bound = math.log(samples) - weight[:, tuples].logsumexp(2)
    probability = law[:, tuples].prod(2)
    mean = (probability * bound).sum(1)
    variance = (probability * (bound - mean[:, None]).square()).sum(1)
    assert close(model.evaluate()["test_neg_bound"], mean, variance)


@torch.no_grad()
def test_the_bound_of_many_paths_is_near_the_evidence_and_not_below_it():
    model, image = of_copies(copies=100, latents=(2, 2), bound_samples=300)
    law, weight = laws_and_weights(model, image, (2, 2))
    evidence = (law.log() + weight).logsumexp(1)  # log of the sum of p(x, b)
    gap = model.evaluate()["test_neg_bound"] + evidence
    assert (gap > -0.02).all()
    assert (gap < 0.3).all()


@pytest.mark.parametrize("samples", [1, 4, 7])
@torch.no_grad()
def test_paths_of_a_bound_come_a_few_at_a_time_and_all_of_them(samples):
    model = build(NAME, bound_samples=samples, evaluation_examples=3)
    counts, objective = [], model.objective

    def spy(target):
        inner = objective(target)

        def loss(path):
            counts.append(len(path.states[0]))
            return inner(path)

        return loss

    model.objective = spy
    model.evaluate()
    assert sum(counts[1:]) == samples
    assert max(counts) <= BOUND_CODES


def test_the_metrics_are_those_of_the_hard_network_and_of_the_relaxed_one():
    model = build(NAME, latents=(2, 2))
    hard = trained(model, "nvil").metrics
    relaxed = trained(model, "concrete", temperature=0.1).metrics
    assert set(relaxed) - set(hard) == {"train_relaxed_loss"}
    assert (relaxed["train_relaxed_loss"] != relaxed["train_neg_elbo"]).all()
    assert torch.equal(relaxed["train_loss"], relaxed["train_neg_elbo"])


def test_baselines_read_the_centred_images():
    model = build(NAME)
    seen = []
    method = estimators.get("nvil", family="layered")
    estimate = method.estimate

    def spy(*arguments, context, **keywords):
        seen.append(context)
        return estimate(*arguments, context=context, **keywords)

    method.estimate = spy
    model.losses(0, method, Noise(seeds=[0, 1]))
    torch.testing.assert_close(seen[0], model.images.batch(0) - digits().train.mean(0))


def test_the_output_starts_at_the_log_odds_of_the_mean_image_and_the_prior_uniform(train):
    for conditional in ("linear", "nonlinear"):
        model = train(NAME, [0, 1], dtype="float64", conditional=conditional).model
        layer = model.generative[0]
        last = layer if conditional == "linear" else layer.module.layers[-1]
        odds = digits().train[:-100].mean(0).clamp(0.001, 0.999).logit()
        torch.testing.assert_close(last.bias.detach().squeeze(), odds.expand(2, -1))
        assert (model.prior == 0).all()


def test_maps_are_linear_or_have_the_hidden_layers():
    model = build(NAME, latents=(5, 3), hidden=(4, 6), conditional="nonlinear")
    shapes = [
        [tuple(layer.weight.shape[1:]) for layer in one.module.layers]
        for one in (*model.inference, *model.generative)
    ]
    assert shapes == [
        [(64, 4), (4, 6), (6, 5)],
        [(5, 4), (4, 6), (6, 3)],
        [(5, 4), (4, 6), (6, 64)],
        [(3, 4), (4, 6), (6, 5)],
    ]


@pytest.mark.parametrize("name", ["nvil", "muprop", "rebar", "arm", "concrete"])
def test_the_bound_improves_within_a_hundred_steps(train, name):
    method = estimators.get(name, family="layered")
    training = train(NAME, [0, 1], None, method, lr=1e-2, beta2=0.999)
    first = training.advance(10)["train_neg_elbo"]
    training.advance(80)
    assert (training.advance(10)["train_neg_elbo"] < first - 0.5).all()


def test_papers_settings_are_the_defaults():
    settings = tasks.get(NAME).settings()
    assert (settings.dataset, settings.latents, settings.batch_size) == (
        "binarized_mnist",
        (200,),
        24,
    )
    assert (settings.beta1, settings.beta2, settings.tuning_beta2) == (0.9, 0.99999, 0.99999)
    assert (settings.hidden, settings.steps) == ((200, 200), 2_000_000)
    assert (settings.center_input, settings.output_bias_from_data) == (True, True)
    assert (settings.training_examples, settings.validation_examples) == (50_000, 10_000)


@pytest.mark.parametrize("latents", [(), (3, 0)])
def test_a_network_without_units_is_refused(latents):
    with pytest.raises(ValueError, match=r"latents must be one layer or more .* got \[.*\]$"):
        tasks.get(NAME).settings(latents=latents)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("psa", {"latents": (3, 3)}, r"psa needs an objective of the last layer's states alone"),
        ("adf", {"latents": (3, 3)}, r"adf needs an objective of the last layer's states alone"),
        ("adf", {"conditional": "nonlinear"}, r"adf needs linear layers"),
        ("exact", {}, r"exact enumeration needs at most 16777216 .* got 1.61e\+60"),
        ("nvil", {"dataset": "digits", "batch_size": 2000}, r"batch_size must be at most 1400"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pair_that_cannot_run_is_refused_in_one_line(name, changes, reason):
    settings = {"validation_examples": 100, **changes}
    task = tasks.get(NAME)
    found = task.check(task.settings(**settings), estimators.get(name, family="layered"))
    assert re.match(reason, found)
    assert "\n" not in found


@pytest.mark.parametrize("name", ["psa", "adf", "local_reparam"])
def test_one_layer_is_a_head_of_its_own(name):
    task = tasks.get(NAME)
    assert task.check(task.settings(), estimators.get(name, family="layered")) is None


def test_following_the_variance_is_paid_for_in_bytes(small):
    task, method = tasks.get(NAME), estimators.get("nvil", family="layered")
    sizes = {**small[NAME], "latents": (6, 5), "gradient_variance": False}
    plain, following = (
        task.replica_bytes(task.settings(**{**sizes, "gradient_variance": each}), method)
        for each in (False, True)
    )
    assert following - plain == 2 * 4 * (65 * 6 + 7 * 5)


def test_the_bytes_count_all_parameters_with_their_moments(small):
    task, method = tasks.get(NAME), estimators.get("nvil", family="layered")
    settings = {**small[NAME], "latents": (3, 2), "batch_size": 1, "gradient_variance": False}
    weights = 65 * 3 + 4 * 2 + 4 * 64 + 3 * 3
    units = 64 + 3 + 3 + 2 + 3 + 64 + 2 + 3
    assert task.replica_bytes(task.settings(**settings), method) == 4 * (3 * weights + 2 * units)


FITTED = {"fit_test_inference": True, "evaluation_examples": 60, "bound_samples": 20}


def test_a_network_for_the_test_images_changes_nothing_else(train):
    plain = train(NAME, [0, 1], fit_test_inference=False, evaluation_examples=60, bound_samples=20)
    other = train(NAME, [0, 1], **FITTED)
    first, second = plain.advance(8), other.advance(8)
    assert all(torch.equal(first[key], second[key]) for key in first)
    expected, found = plain.evaluate(), other.evaluate()
    assert set(found) - set(expected) == {"test_neg_bound_fitted"}
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    for key, value in plain.state_dict()["model"].items():
        assert torch.equal(value, other.state_dict()["model"][key])


def test_the_gradient_of_the_network_for_test_images_is_that_of_their_bound():
    """REBAR is unbiased: the mean over many batches agrees with enumeration."""
    copies = 4000
    model = build(NAME, latents=(2, 1), fit_test_inference=True)
    image = model.images.test[:1]
    model.images.test_batch = lambda step: image.expand(2, copies, -1)
    names = [name for name, _ in model.named_parameters() if name.startswith("fitted")]
    weights = [model.get_parameter(name) for name in names]
    losses = model.other_surrogate(0, Noise(seeds=[0, 1]))
    parts = losses.unflatten(1, (40, 100)).mean(2).unbind(1)
    gradients = [torch.autograd.grad(p.sum(), weights, retain_graph=True) for p in parts]
    for replica in (0, 1):
        values = parameters(model, replica)
        fitted = {key.replace("fitted", "inference"): values[key] for key in names}
        loss = expected_loss({**values, **fitted}, image, (2, 1)).sum()
        expected = torch.autograd.grad(loss, fitted.values())
        for index, exact in enumerate(expected):
            sampled = torch.stack([gradient[index][replica] for gradient in gradients])
            error = (sampled.std(0) / 40**0.5).clamp(min=1e-12)
            assert ((sampled.mean(0) - exact).abs() < 5 * error).all()


def test_a_model_gets_no_gradient_of_test_images():
    model = build(NAME, fit_test_inference=True)
    loss = model.other_surrogate(0, Noise(seeds=[0, 1]))
    reached = {
        name
        for name, value in model.named_parameters()
        if torch.autograd.grad(loss.sum(), value, retain_graph=True, allow_unused=True)[0]
        is not None
    }
    assert reached
    assert all(name.startswith("fitted.") for name in reached)
    assert all(value.requires_grad for value in model.parameters())


def test_the_bound_with_the_fitted_network_is_that_of_its_parameters():
    model = build(NAME, latents=(2, 2), **FITTED)
    with torch.no_grad():
        for one, other in zip(model.inference, model.fitted, strict=True):
            other.load_state_dict(one.state_dict())
        found = model.evaluate()
    difference = (found["test_neg_bound_fitted"] - found["test_neg_bound"]).abs()
    assert (difference < 0.5).all()
    assert (difference > 0).all()  # other random numbers


def test_a_fitted_network_resumes_and_leaves_with_its_replica(train):
    through, whole = train(NAME, [4, 5, 6], **FITTED), train(NAME, [4, 5, 6], **FITTED)
    restored = train(NAME, [4, 5, 6], **FITTED)
    for training in (through, whole):
        training.advance(5)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    whole.select(torch.tensor([2, 0]))
    for training in (through, restored, whole):
        training.advance(5)
    expected = through.evaluate()["test_neg_bound_fitted"]
    assert torch.equal(restored.evaluate()["test_neg_bound_fitted"], expected)
    torch.testing.assert_close(whole.evaluate()["test_neg_bound_fitted"], expected[[2, 0]])


def test_the_fitted_bound_is_among_the_evaluations_in_training(train):
    every = {"report_every": 4, "evaluate_every": 4}
    training = train(NAME, [0, 1], **FITTED, **every)
    assert "test_neg_bound_fitted" in training.advance(4)


def test_a_fitted_network_needs_a_batch_of_test_images():
    with pytest.raises(ValueError, match=r"batch_size of at most 20, the test images .* got 24$"):
        tasks.get(NAME).settings(fit_test_inference=True, evaluation_examples=20)

"""The classifier: its loss by enumeration, its metrics by brute force, its baseline."""

import io
import itertools
import math
import re

import pytest
import torch
from torch.nn import functional

from raysweep import estimators, tasks
from raysweep.estimators.layered import LayeredEstimator
from raysweep.estimators.layered.sampling import signs
from raysweep.estimators.noise import Noise
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings

NAME = "sbn_classifier"
POINTS = {
    "dataset": "points",
    "validation_examples": 0,
    "augmentation": "none",
    "network": "dense",
    "hidden": (3, 2),
    "batch_size": 10,
    "dtype": "float64",
}
DIGITS = {"depths": (2, 1), "kernels": (3, 2), "strides": (3, 1), "dtype": "float64"}
KINDS = {"dense": POINTS, "convolutional": DIGITS}


def method(name, **settings):
    return estimators.get(name, family="layered", **settings)


@pytest.fixture(params=KINDS)
def start(train, request):
    """Starts a pack of two in float64, dense on points or convolutional on digits."""

    def make(estimator="straight_through", seeds=(0, 1), **settings):
        chosen = estimator if isinstance(estimator, LayeredEstimator) else method(estimator)
        return train(NAME, list(seeds), None, chosen, **{**KINDS[request.param], **settings})

    make.kind = request.param
    return make


def states_of(units):
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=units))).double()


def expected_losses(model, x, labels):
    """E[-log p(label | states)] of every example, `R B`, over all states of both layers."""
    first, second = model.network
    total = torch.zeros(labels.shape, dtype=torch.float64)
    a = first(x)
    for state in states_of(a[0, 0].numel()):
        one = state.view(a[0, 0].shape).expand(a.shape)
        p = torch.sigmoid(one * a).flatten(2).prod(-1)
        b = second(one)
        for last in states_of(b[0, 0].numel()):
            two = last.view(b[0, 0].shape).expand(b.shape)
            q = torch.sigmoid(two * b).flatten(2).prod(-1)
            scores = model.head(two.flatten(2))
            if scores.shape[-1] == 1:  # two classes: logistic loss of y = ±1
                loss = (1 + (-scores.squeeze(-1) * (2 * labels - 1)).exp()).log()
            else:
                loss = functional.cross_entropy(
                    scores.flatten(0, 1), labels.flatten(), reduction="none"
                ).view(labels.shape)
            total = total + p * q * loss
    return total


def test_the_loss_is_the_expected_cross_entropy_over_all_states(start):
    small = {} if start.kind == "dense" else {"depths": (1, 1), "kernels": (3, 2)}
    model = start(**small).model
    x, labels, _ = model.examples.batch(0)
    noise = Noise(seeds=[0, 1], purpose="train")
    noise.at(0)
    found = model.losses(0, method("exact"), noise).surrogate
    torch.testing.assert_close(found, expected_losses(model, x, labels))


def test_two_classes_have_one_score_whose_sigmoid_is_the_probability(train):
    model = train(NAME, [0], **POINTS).model
    scores = torch.tensor([[[-2.0], [0.5]]]).double()
    p = model.log_probabilities(scores).exp()
    torch.testing.assert_close(p[..., 1], scores.squeeze(-1).sigmoid())
    torch.testing.assert_close(p.sum(-1), torch.ones(1, 2).double())
    labels = torch.tensor([[1, 0]])
    expected = -p.gather(-1, labels.unsqueeze(-1)).squeeze(-1).log()
    torch.testing.assert_close(model.neg_log_likelihood(labels, scores), expected)


class Spy(LayeredEstimator):
    """Another estimator, whose requests and results it keeps."""

    name = "spy"
    reference = "a test"

    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, []
        self.takes_baseline = inner.takes_baseline

    def estimate(self, layers, x, objective, noise, *, context=None, baseline=None):
        out = self.inner.estimate(layers, x, objective, noise, context=context, baseline=baseline)
        kept = None if baseline is None else baseline.clone()
        self.seen.append((x, objective, kept, out))
        return out

    def _estimate(self, request):
        raise NotImplementedError

    def _refusal(self, sizes):
        return None


def test_training_metrics_are_those_of_the_drawn_states(start):
    spy = Spy(method("concrete"))
    training = start(spy)
    metrics = training.advance(1)
    ((_, _, _, out),) = spy.seen
    _, labels, _ = start().model.examples.batch(0)
    twin = start().model
    scores = twin.head(out.states[-1].flatten(2))
    losses = twin.neg_log_likelihood(labels, scores)
    predicted = (scores > 0).squeeze(-1) if scores.shape[-1] == 1 else scores.argmax(-1)
    torch.testing.assert_close(metrics["train_loss"], losses.mean(1))
    torch.testing.assert_close(metrics["train_accuracy"], (predicted == labels).double().mean(1))
    torch.testing.assert_close(metrics["train_relaxed_loss"], out.relaxed.mean(1))
    assert torch.equal(metrics["train_objective"], metrics["train_relaxed_loss"])


def test_the_objective_is_the_loss_where_no_network_is_relaxed(start):
    metrics = start("psa").advance(3)
    assert torch.equal(metrics["train_objective"], metrics["train_loss"])
    assert "train_relaxed_loss" not in metrics


def test_evaluations_are_those_of_ten_samples_of_every_example(start):
    model = start(evaluate_training=True, evaluation_examples=130).model
    found = model.evaluate()
    parts = ("train", "test") if start.kind == "dense" else ("train", "valid", "test")
    for part in parts:
        _, labels = model.examples.parts[part]
        probabilities = ten_samples(model, part)
        of_label = probabilities.gather(-1, labels.expand(10, 2, -1).unsqueeze(-1)).squeeze(-1)
        right = probabilities.argmax(-1) == labels
        together = probabilities.mean(0)
        expected = {
            "loss": -of_label.log().mean((0, 2)),
            "accuracy_1": right.double().mean((0, 2)),
            "accuracy_10": (together.argmax(-1) == labels).double().mean(-1),
            "neg_log_likelihood_10": -of_label.mean(0).log().mean(-1),
        }
        for name, value in expected.items():
            if (part, name) not in (("train", "loss"), ("train", "accuracy_1")):
                torch.testing.assert_close(found[f"{part}_{name}"], value)


def test_no_more_examples_are_evaluated_than_asked(start):
    parts = start(evaluate_training=True, evaluation_examples=50).model.examples.parts
    assert [len(rows) for rows, _ in parts.values()] == [50] * len(parts)
    whole = start(evaluation_examples=None).model.examples.parts
    assert ("valid" in whole) == (start.kind == "convolutional")
    assert "train" not in whole
    assert len(whole["test"][1]) == (2000 if start.kind == "dense" else 297)


@torch.no_grad()
def ten_samples(model, part):
    """Probabilities `10 R n classes` of ten samples of the network, ten examples at a time."""
    rows, _ = model.examples.parts[part]
    noise = Noise(seeds=[0, 1], purpose=f"evaluate {part}")
    chunks = []
    for index, some in enumerate(rows.split(10)):
        noise.at(index)
        x = model.examples.inputs(some)
        x = x.expand(2, *x.shape)
        for layer in model.network:
            a = layer(x)
            a = a if len(a) == 10 else a.expand(10, *a.shape)
            uniform = noise.uniform(2, len(some), 10, *a.shape[3:], dtype=a.dtype)
            x = signs(a + uniform.movedim(2, 0).logit())
        scores = model.head(x.flatten(3))
        if scores.shape[-1] == 1:
            p = scores.sigmoid()
            chunks.append(torch.cat((1 - p, p), -1))
        else:
            chunks.append(scores.softmax(-1))
    return torch.cat(chunks, 2)


def test_a_row_has_the_evaluation_of_its_first_step(start):
    every = {"report_every": 5, "evaluate_every": 10, "evaluate_training": True}
    followed, plain = start(**every), start(evaluate_training=True)
    for _ in range(2):
        expected = plain.evaluate()
        metrics = followed.advance(1)
        assert all(torch.equal(metrics[name], value) for name, value in expected.items())
        mean = followed.advance(9)
        for name, value in expected.items():
            torch.testing.assert_close(mean[name], value, rtol=1e-12, atol=0)
        plain.advance(10)
    assert torch.equal(followed.advance(2)["train_loss"], plain.advance(2)["train_loss"])


def test_an_evaluation_in_between_outlives_a_checkpoint_and_a_selection(start):
    every = {"report_every": 5, "evaluate_every": 10}
    through = start(**every)
    expected = through.advance(3)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored = start(**every)
    restored.load_state_dict(torch.load(file, weights_only=True))
    restored.select(torch.tensor([1]))
    torch.testing.assert_close(restored.advance(1)["test_loss"], expected["test_loss"][1:])


# The running baseline.


def test_the_baseline_is_the_running_average_of_an_examples_losses(start):
    spy = Spy(method("reinforce"))
    training = start(spy, baseline="running")
    model = training.model
    classes = 2 if start.kind == "dense" else 10
    expected = torch.full((2, len(model.examples)), math.log(classes)).double()
    for step in range(2 * model.examples.steps_per_epoch + 3):
        _, _, indices = model.examples.batch(step)
        training.advance(1)
        _, _, baseline, out = spy.seen.pop()
        for replica in range(2):
            for example, given, loss in zip(
                indices[replica].tolist(), baseline[replica], out.value[replica], strict=True
            ):
                torch.testing.assert_close(given, expected[replica, example])
                expected[replica, example] = 0.9 * given + 0.1 * loss
    torch.testing.assert_close(model.running_loss, expected)


@pytest.mark.parametrize("name", ["reinforce", "muprop", "rebar"])
def test_the_baseline_is_part_of_checkpoints_and_selections(start, name):
    whole, cut = start(name, baseline="running"), start(name, baseline="running")
    for training in (whole, cut):
        training.advance(30)
    file = io.BytesIO()
    torch.save(cut.state_dict(), file)
    file.seek(0)
    restored = start(name, baseline="running")
    restored.load_state_dict(torch.load(file, weights_only=True))
    restored.select(torch.tensor([1]))
    expected = whole.advance(20)["train_loss"]
    torch.testing.assert_close(restored.advance(20)["train_loss"], expected[1:], rtol=1e-9, atol=0)
    torch.testing.assert_close(restored.model.running_loss, whole.model.running_loss[1:])


def test_a_baseline_makes_the_score_function_less_noisy(train):
    """The gradient's mean stays the same: with a running baseline it varies less."""
    spread = []
    for baseline in ("none", "running"):
        model = train(NAME, [0], None, method("reinforce"), **POINTS, baseline=baseline).model
        noise = Noise(seeds=[0], purpose="train")
        gradients = []
        for step in range(300):
            noise.at(step)
            surrogate = model.losses(step, method("reinforce"), noise).surrogate
            gradients.append(torch.autograd.grad(surrogate.mean(), model.network[0].weight)[0])
        spread.append(torch.stack(gradients).var(0).sum())
    assert spread[1] < 0.5 * spread[0]


# Pairs that cannot run.


REFUSED = {
    "batch": (
        {"batch_size": 201},
        ("psa", {}),
        "batch_size must be at most 200, the training examples of points, got 201",
    ),
    "baseline": (
        {"baseline": "running"},
        ("psa", {}),
        "baseline running needs an estimator that subtracts a baseline .* got psa; set it to none",
    ),
    "two baselines": (
        {"baseline": "running"},
        ("reinforce", {"samples": 2, "leave_one_out": True}),
        "baseline running has no effect with leave_one_out",
    ),
    "states": (
        {"hidden": (5, 20, 5)},
        ("exact", {}),
        "exact enumerates at most 16777216 states, and layers of 20 units have more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_run_is_refused_before_anything_is_read(case):
    changes, (name, settings), message = REFUSED[case]
    task = tasks.get(NAME)
    chosen = SbnClassifierSettings(**{**POINTS, **changes})
    assert re.search(message, task.check(chosen, method(name, **settings)))


def test_exact_gradients_of_the_paper_are_possible_on_points_and_not_on_images():
    task, exact = tasks.get(NAME), method("exact")
    assert task.check(SbnClassifierSettings(**{**POINTS, "hidden": (5, 5, 5)}), exact) is None
    assert "use a sampling estimator" in task.check(SbnClassifierSettings(), exact)


@pytest.mark.parametrize("name", ["adf", "local_reparam", "psa", "nvil", "muprop"])
def test_methods_that_need_a_head_moments_or_a_context_fit_both_networks(name):
    for settings in (SbnClassifierSettings(), SbnClassifierSettings(**POINTS)):
        assert tasks.get(NAME).check(settings, method(name)) is None


def test_the_cost_in_memory_grows_with_evaluations_flips_and_the_baseline():
    task, settings = tasks.get(NAME), SbnClassifierSettings()
    sizes = [task.replica_bytes(settings, method(name)) for name in ("reinforce", "arm", "psa")]
    assert sizes[0] < sizes[2]
    assert sizes[1] > 4 * sizes[0]  # an evaluation for each of 8 layers
    running = SbnClassifierSettings(baseline="running")
    added = task.replica_bytes(running, method("reinforce")) - sizes[0]
    assert added == 4 * 45_000


# It learns.


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("hard_st", "reinforce", "arm")]


@pytest.mark.parametrize("name", ["psa", "straight_through", *SLOW])
def test_the_loss_falls_on_points(train, name):
    settings = {**POINTS, "hidden": (5, 5, 5), "head_bound": 1.0, "momentum": 0.9, "lr": 0.03}
    training = train(NAME, [0, 1, 2], None, method(name), **settings)
    first = training.advance(20)["train_loss"].mean()
    training.advance(600)
    assert training.advance(200)["train_loss"].mean() < first - 0.08


def test_the_loss_falls_and_accuracy_rises_on_digits(train):
    settings = {"depths": (8, 8), "kernels": (3, 3), "strides": (1, 2), "lr": 0.05}
    training = train(NAME, [0, 1], None, method("psa"), **settings)
    first = training.advance(20)
    training.advance(250)
    last = training.advance(30)
    assert (last["train_loss"] < first["train_loss"] - 0.4).all()
    assert (last["train_accuracy"] > first["train_accuracy"] + 0.15).all()
    evaluated = training.evaluate()
    assert (evaluated["test_accuracy_10"] > evaluated["test_accuracy_1"]).all()
    assert (evaluated["test_neg_log_likelihood_10"] < evaluated["test_loss"]).all()

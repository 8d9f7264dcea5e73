import io
import re

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.straight_through import StraightThrough
from raysweep.tasks.gradient_quality import task
from raysweep.tasks.gradient_quality.task import GradientQuality, GradientQualitySettings

NAME = "gradient_quality"
PROBLEMS = {
    "vae": {"problem": "vae"},
    "sampled": {"problem": "vae", "prior": "learned", "divergence": "sampled"},
    "polynomial": {"problem": "polynomial", "p": 3.0},
    "coupled": {"problem": "coupled"},
}
MEASURES = {"expected_loss", "gradient_norm", "relative_bias", "relative_variance", "cosine_10"}


@pytest.fixture(params=PROBLEMS.values(), ids=list(PROBLEMS))
def problem(request):
    return request.param


@pytest.fixture
def start(train):
    """Starts a training in float64 with an estimator by its name."""

    def make(problem, method="straight_through", seeds=(0, 1), own=None, link="softmax", **more):
        options = {} if link == "softmax" else {"link": link}
        settings = {"dtype": "float64", **problem, **more}
        return train(NAME, list(seeds), own, estimators.get(method, **options), **settings)

    return make


def metrics_of_steps(training, count):
    return [training.advance(1) for _ in range(count)]


def test_the_exact_estimator_is_perfect(start, problem):
    found = start(problem, "exact", evaluation_samples=10).evaluate()
    assert (found["gradient_norm"] > 1e-6).all()
    for name, wanted in {"cosine_1": 1, "cosine_10": 1, "relative_rmse_1": 0}.items():
        torch.testing.assert_close(found[name], torch.full_like(found[name], wanted))
    assert (found["relative_bias"] < 1e-7).all()
    assert (found["relative_variance"] < 1e-12).all()


@pytest.mark.parametrize("method", ["reinforce_loo", "rebar", "disarm"])
def test_an_unbiased_estimator_has_no_bias_beyond_noise(start, problem, method):
    found = start(problem, method, evaluation_samples=400).evaluate()
    limit = 24 * found["relative_variance"] / 400 + 1e-20
    assert (found["relative_bias"].square() < limit).all()


def test_a_biased_estimator_is_found_out(start):
    settings = {"categories": 3, "lr": 0.3, "batch_size": 100, "evaluation_samples": 1000}
    training = start({"problem": "coupled"}, "straight_through", **settings)
    training.advance(10)
    found = training.evaluate()
    assert (found["relative_bias"].square() > 24 * found["relative_variance"] / 1000).all()


def test_the_probit_law_is_measured_against_its_own_gradient(start, problem):
    """Rebar is unbiased for the law that it samples; the other link's gradient is far off."""
    found = start(problem, "rebar", link="probit", evaluation_samples=400).evaluate()
    other = start(problem, "rebar", evaluation_samples=1).evaluate()
    limit = 24 * found["relative_variance"] / 400 + 1e-20
    assert (found["relative_bias"].square() < limit).all()
    assert ((found["gradient_norm"] / other["gradient_norm"] - 1).abs() > 0.1).all()


def heard(monkeypatch):
    """Collects the estimates of every measurement, as they are added."""
    parts = []

    class Spy(task.Quality):
        def add(self, estimates):
            parts.append(estimates)
            super().add(estimates)

    monkeypatch.setattr(task, "Quality", Spy)
    return parts


def test_measures_are_those_of_the_estimates_drawn(start, problem, monkeypatch):
    parts = heard(monkeypatch)
    training = start(problem, "gumbel_softmax", evaluation_samples=37)
    found = training.evaluate()
    estimates = torch.cat(parts)
    batch = training.model.problem.measured()
    exact = task.exact_gradient(batch, "softmax").flatten(1)
    assert len(estimates) == 37
    means = estimates[:30].unflatten(0, (3, 10)).mean(1)
    cosine = torch.cosine_similarity(means, exact.expand_as(means), dim=-1).mean(0)
    torch.testing.assert_close(found["cosine_10"], cosine)
    variance = estimates.var(0).sum(-1) / exact.square().sum(-1)
    torch.testing.assert_close(found["relative_variance"], variance)


@pytest.mark.parametrize("samples", [20, 15, 3])
def test_no_estimate_is_drawn_with_the_numbers_of_another(start, samples, problem, monkeypatch):
    parts = heard(monkeypatch)
    start(problem, "gumbel_softmax", evaluation_samples=samples).evaluate()
    estimates = torch.cat(parts)[:, 0]
    assert len(estimates) == samples
    numbers = estimates[:, 0].sort().values  # equal numbers give equal gradients up to rounding
    assert (numbers.diff() > 1e-12).all()


@pytest.mark.parametrize("method", ["nvil", "muprop", "rebar", "straight_through"])
def test_measuring_changes_nothing_that_training_depends_on(start, problem, method):
    runs = [
        metrics_of_steps(start(problem, method, report_every=every, evaluation_samples=12), 12)
        for every in (10, 7, 1)
    ]
    for often, *others in zip(*runs, strict=True):
        for other in others:
            assert torch.equal(other["train_loss"], often["train_loss"])


def test_an_estimator_is_measured_as_it_is_and_does_not_learn_meanwhile(start):
    """Before the first step the running baseline is zero: the plain score function."""
    settings = {"evaluation_samples": 50}
    nvil = start({"problem": "coupled"}, "nvil", **settings).evaluate()
    plain = start({"problem": "coupled"}, "reinforce", **settings).evaluate()
    for name, value in plain.items():
        torch.testing.assert_close(nvil[name], value)


class Counting(StraightThrough):
    """Counts its estimates in a buffer, whatever its mode."""

    def _build(self, latents, categories, context, replicas):
        self.register_buffer("count", torch.zeros(replicas))

    def _estimate(self, logits, objective, noise, context):
        self.count += 1
        return super()._estimate(logits, objective, noise, context)


def test_what_an_estimator_holds_is_given_back_after_a_measurement(train):
    method = Counting()
    training = train(NAME, [0, 1], estimator=method, report_every=1, evaluation_samples=20)
    training.advance(3)
    training.evaluate()
    assert method.count.tolist() == [3, 3]


def test_measurements_of_two_rows_share_no_estimate(start, monkeypatch):
    parts = heard(monkeypatch)
    settings = {"report_every": 1, "evaluation_samples": 30, "lr": 1e-15}
    start({"problem": "coupled"}, "gumbel_softmax", **settings).advance(4)
    estimates = torch.cat(parts)[:, 0]
    assert len(estimates) == 120
    assert (estimates[:, 0].sort().values.diff() > 1e-9).all()


def test_an_estimator_learns_on_after_a_measurement(start):
    training = start({"problem": "coupled"}, "nvil", report_every=1)
    training.advance(3)
    assert training.estimator.training
    assert (training.estimator.running_mean != 0).all()


def test_rows_hold_what_was_measured_at_the_first_step_of_their_interval(start, problem):
    training = start(problem, report_every=5, lr=0.05, seeds=[3, 4])
    before = training.model.problem.measured()
    expected = task.expectation(before, "softmax")
    expected = (expected if before.direct is None else expected + before.direct).mean(1).detach()
    steps = metrics_of_steps(training, 11)
    torch.testing.assert_close(steps[0]["expected_loss"], expected)
    for first, rest in ((0, range(1, 5)), (5, range(6, 10))):
        for step in rest:
            for name in MEASURES:
                assert torch.equal(steps[step][name], steps[first][name])
    for earlier, later in ((0, 5), (5, 10)):
        assert (steps[earlier]["expected_loss"] != steps[later]["expected_loss"]).all()
        assert (steps[earlier]["relative_variance"] != steps[later]["relative_variance"]).all()


def test_a_checkpoint_amid_an_interval_keeps_the_measurement(start, problem):
    through, restored = (start(problem, "nvil", report_every=10) for _ in range(2))
    through.advance(13)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    expected, found = metrics_of_steps(through, 9), metrics_of_steps(restored, 9)
    for one, other in zip(expected, found, strict=True):
        assert set(one) >= MEASURES
        for name, value in one.items():
            assert torch.equal(other[name], value)
    assert (expected[0]["expected_loss"] != expected[-1]["expected_loss"]).all()


@pytest.mark.parametrize("method", ["nvil", "rebar"])
def test_a_run_is_measured_the_same_alone_and_in_a_pack(start, problem, method):
    rates = [{"lr": 0.1}, {"lr": 0.01}, {"lr": 0.1}]
    pack = start(problem, method, [4, 5, 6], rates)
    metrics = {**pack.advance(12), **pack.evaluate()}
    for replica in (0, 1, 2):
        alone = start(problem, method, [4 + replica], [rates[replica]])
        for key, value in {**alone.advance(12), **alone.evaluate()}.items():
            torch.testing.assert_close(value[0], metrics[key][replica], rtol=1e-8, atol=1e-9)


def test_training_by_the_exact_gradient_is_training_by_the_exact_estimator(start, problem):
    """Whatever the estimator that is measured; with the exact one the loss is one of samples."""
    exact = start(problem, "exact", trained_by="estimator", lr=0.05)
    follower = start(problem, "straight_through", trained_by="exact", lr=0.05)
    exact.advance(6)
    follower.advance(6)
    for name, value in exact.state_dict()["model"].items():
        if name != "latest.values":
            torch.testing.assert_close(follower.state_dict()["model"][name], value)
    torch.testing.assert_close(
        follower.evaluate()["expected_loss"], exact.evaluate()["expected_loss"]
    )


def test_training_by_the_exact_gradient_descends_along_it(start):
    settings = {"trained_by": "exact", "optimizer": "sgd", "lr": 0.5}
    training = start({"problem": "coupled"}, "reinforce_loo", **settings)
    problem = training.model.problem
    theta = problem.theta.detach().clone()
    gradient = task.exact_gradient(problem.measured(), "softmax")[:, 0]
    training.advance(1)
    torch.testing.assert_close(problem.theta.detach(), theta - 0.5 * gradient)


def test_training_by_the_exact_gradient_reports_the_exact_loss(start):
    settings = {"trained_by": "exact", "report_every": 1}
    for step in metrics_of_steps(start({"problem": "coupled"}, "reinforce_loo", **settings), 4):
        torch.testing.assert_close(step["train_loss"], step["expected_loss"])


def test_what_an_estimator_learns_goes_on_while_the_exact_gradient_trains(start):
    training = start({"problem": "coupled"}, "rebar", trained_by="exact")
    before = {name: value.clone() for name, value in training.estimator.named_parameters()}
    training.advance(3)
    assert before
    for name, value in training.estimator.named_parameters():
        assert (value != before[name]).any()


def test_exact_and_sampled_divergence_have_one_expected_loss(start):
    found = [
        start({"problem": "vae", "prior": "learned", "divergence": each}).evaluate()
        for each in ("analytic", "sampled")
    ]
    torch.testing.assert_close(*(each["expected_loss"] for each in found))
    assert (found[0]["gradient_norm"] != found[1]["gradient_norm"]).all()


def test_a_prior_with_a_rate_of_its_own_follows_it(start):
    settings = {"prior": "learned", "divergence": "analytic", "lr": 0.01}
    with_it, without = (
        start({"problem": "vae"}, prior_lr=rate, **settings) for rate in (1e-7, None)
    )
    for training in (with_it, without):
        training.advance(1)
    moved = [
        each.model.problem.model.prior.logits.abs().max().item() for each in (with_it, without)
    ]
    assert 0 < moved[0] < 1e-6
    assert moved[1] == pytest.approx(0.01, rel=1e-3)  # Adam's first step


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": 2, "latents": 15}, r"\*\* latents <= 16384, got 2 \*\* 15"),
        ({"categories": 3, "problem": "polynomial"}, "categories must be 2 for .*, got 3"),
        ({"categories": 2, "p": 0.5}, "p must be at least 1, got 0.5"),
        ({"gradient_variance": True}, "gradient_variance and evaluate_every must not"),
        ({"evaluation_samples": 0}, "evaluation_samples must be at least 1, got 0"),
    ],
    ids=["states", "categories", "p", "variance", "samples"],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GradientQualitySettings(**changes)


def test_as_many_states_as_allowed_are_taken():
    settings = GradientQualitySettings(categories=2, latents=14)
    assert GradientQuality().check(settings, StraightThrough()) is None


def test_a_problem_without_images_needs_an_estimator_without_context():
    settings = tasks.get(NAME).settings(problem="coupled")
    method = estimators.get("muprop", baseline=True)
    assert "needs a context for its baseline" in GradientQuality().check(settings, method)
    vae = tasks.get(NAME).settings(problem="vae")
    assert GradientQuality().check(vae, method) is None


def test_batch_larger_than_what_is_trained_on_is_refused_before_reading():
    settings = GradientQualitySettings(dataset="digits", validation_examples=1, batch_size=1500)
    reason = GradientQuality().check(settings, StraightThrough())
    assert re.match(r"batch_size .* 1499\b.* digits.* got 1500$", reason)

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from raysweep import estimators, tasks
from raysweep.estimators.exact import Exact, expectation
from raysweep.estimators.noise import Noise
from raysweep.tasks.gmm.mixture import log_densities, log_factors, log_likelihoods
from raysweep.tasks.gmm.models import EstimatedMixture, RelaxedMixture, negative_ratio
from raysweep.tasks.gmm.settings import GmmSettings, draw_data, draw_start

CPU = torch.device("cpu")
SMALL = {"examples": 12, "dtype": "float64"}
PAPER = {"link": "probit", "temperature": 1.0, "coupled": False}  # REBAR as the experiment has it
COPIES = 4000


def unsettle(model):
    """Moves the parameters to a point with nothing symmetric about it."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        move = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = parameter.data * 0.4 + 0.5 * move
    return model


@pytest.fixture(params=[1, 2], ids=["1-D", "2-D"])
def dimensions(request):
    return request.param


@pytest.fixture
def settings(dimensions):
    return GmmSettings(dimensions=dimensions, **SMALL)


@pytest.fixture(params=["softmax", "probit"])
def model(settings, request):
    """A mixture amid its fit, with either link."""
    return unsettle(EstimatedMixture(settings, [0], CPU, request.param))


def covariances(model):
    """By the definition of the factors."""
    factors = model.factors
    diagonal = factors.diagonal(dim1=-2, dim2=-1).exp()
    lower = factors.tril(-1) + torch.diag_embed(diagonal)
    return lower @ lower.mT


def probabilities(model):
    """By the definition of the links."""
    if model.link == "softmax":
        return model.theta.softmax(-1)
    difference = model.theta[:, 1] - model.theta[:, 0]
    return torch.special.ndtr(torch.stack((-difference, difference), -1))


def component_densities(model):
    """`B C`, by torch's own distribution."""
    law = MultivariateNormal(model.means[0], covariances(model)[0])
    return law.log_prob(model.x[:, None]).exp()


def neg_log_likelihood(model):
    """The sum over examples of what is minimised."""
    return -(component_densities(model) @ probabilities(model)[0]).log().sum()


def ratios(model):
    """Densities over the mixture's, the objective's slope."""
    densities = component_densities(model)
    return (densities / (densities @ probabilities(model)[0]).detach()[:, None])[None]


def copies_of(model, method):
    """Independent estimates `N C` of the gradient of `neg_log_likelihood` to theta."""
    theta = model.theta.detach().expand(COPIES, -1).clone().requires_grad_()
    logits = theta[:, None, None].expand(-1, len(model.x), -1, -1)
    ratio = ratios(model).detach().requires_grad_()
    estimate = method.estimate(logits, lambda code: negative_ratio(ratio, code), Noise())
    return torch.autograd.grad(estimate.surrogate.sum(), theta)[0]


def standard_errors_off(found, exact):
    """The largest distance of the mean over the first axis, in standard errors."""
    error = found.std(0) / math.sqrt(len(found))
    return ((found.mean(0) - exact).abs() / error.clamp(min=1e-12)).max()


def test_log_densities_are_those_of_the_normal_distribution(model):
    found = log_densities(model.x, model.means, model.factors).exp()[0]
    torch.testing.assert_close(found, component_densities(model), rtol=1e-12, atol=0)


def test_factors_of_covariances_are_the_factors_they_came_from(model):
    found = log_factors(covariances(model))
    torch.testing.assert_close(found, model.factors.tril(), rtol=0, atol=1e-12)


def test_reported_likelihood_is_the_mixtures(model):
    expected = neg_log_likelihood(model) / len(model.x)
    assert model.evaluate()["neg_log_likelihood"].item() == pytest.approx(expected.item(), 1e-12)
    reported = model.losses(0, Exact(), Noise(seeds=[0])).metrics
    assert reported["train_loss"].item() == pytest.approx(expected.item(), 1e-12)
    density = (component_densities(model) @ probabilities(model)[0]).mean()
    assert reported["mean_likelihood"].item() == pytest.approx(density.item(), 1e-12)
    assert reported["weight_1"].item() == pytest.approx(probabilities(model)[0, 0].item(), 1e-12)


def test_expected_gradient_is_that_of_the_log_likelihood_in_every_parameter(model):
    logits = model.theta[:, None, None].expand(-1, len(model.x), -1, -1)
    ratio = ratios(model)
    surrogate = expectation(logits, lambda code: negative_ratio(ratio, code), model.link)
    found = torch.autograd.grad(surrogate.sum(), list(model.parameters()))
    expected = torch.autograd.grad(neg_log_likelihood(model), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))


def test_exact_surrogate_follows_the_log_likelihood_in_every_parameter(settings):
    model = unsettle(EstimatedMixture(settings, [0], CPU))
    surrogate = model.losses(0, Exact(), Noise(seeds=[0])).surrogate
    found = torch.autograd.grad(surrogate.sum(), list(model.parameters()))
    expected = torch.autograd.grad(neg_log_likelihood(model), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))


def closed_form(model):
    """The gradient of `neg_log_likelihood` to theta, on paper."""
    densities, p = component_densities(model).detach(), probabilities(model)[0].detach()
    mixture = densities @ p
    if model.link == "softmax":
        return -(p * (densities - mixture[:, None]) / mixture[:, None]).sum(0)
    difference = model.theta[0, 1] - model.theta[0, 0]
    slope = torch.exp(-0.5 * difference.detach() ** 2) / math.sqrt(2 * math.pi)
    along = ((densities[:, 1] - densities[:, 0]) * slope / mixture).sum()
    return torch.stack((along, -along))


def test_gradient_to_theta_has_its_closed_form(model):
    (found,) = torch.autograd.grad(neg_log_likelihood(model), [model.theta])
    torch.testing.assert_close(found[0], closed_form(model), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("coupled", [True, False], ids=["coupled", "uncoupled"])
def test_rebar_has_the_closed_form_as_its_mean(model, coupled):
    settings = {**PAPER, "link": model.link, "coupled": coupled}
    found = copies_of(model, estimators.get("rebar", **settings))
    assert standard_errors_off(found, closed_form(model)) < 5


def test_rebar_of_the_other_link_is_found_out(model):
    other = {"softmax": "probit", "probit": "softmax"}[model.link]
    found = copies_of(model, estimators.get("rebar", **{**PAPER, "link": other}))
    assert standard_errors_off(found, closed_form(model)) > 5


def test_straight_through_is_exact_in_expectation(settings):
    model = unsettle(EstimatedMixture(settings, [0], CPU))
    ratio = ratios(model).detach()
    logits = model.theta[:, None, None].expand(-1, len(model.x), -1, -1)
    p = model.theta.detach().softmax(-1)[0]
    total = 0.0
    for component in range(2):
        point = torch.eye(2, dtype=torch.float64)[component].expand_as(logits).clone()
        point.requires_grad_()
        (slope,) = torch.autograd.grad(negative_ratio(ratio, point).sum(), point)
        through = torch.autograd.grad(logits.softmax(-1), model.theta, slope, retain_graph=True)[0]
        total = total + p[component] * through
    torch.testing.assert_close(total[0], closed_form(model), rtol=0, atol=1e-12)
    found = copies_of(model, estimators.get("straight_through"))
    torch.testing.assert_close(found[0], closed_form(model), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "own"),
    [("rebar", PAPER), ("reinforce", {}), ("straight_through", {})],
    ids=["rebar", "reinforce", "straight_through"],
)
def test_sampled_gradients_of_means_and_covariances_agree_with_autograd(dimensions, name, own):
    settings = GmmSettings(dimensions=dimensions, **SMALL)
    method = estimators.get(name, **own)
    model = EstimatedMixture(settings, range(COPIES // 2), CPU, method.link)
    one = unsettle(EstimatedMixture(settings, [0], CPU, method.link))
    for parameter, value in zip(model.parameters(), one.parameters(), strict=True):
        parameter.data = value.data.expand_as(parameter).clone()
    surrogate = model.losses(0, method, Noise(seeds=range(COPIES // 2))).surrogate
    found = torch.autograd.grad(surrogate.sum(), [model.means, model.factors])
    expected = torch.autograd.grad(neg_log_likelihood(one), [one.means, one.factors])
    for sampled, exact in zip(found, expected, strict=True):
        assert standard_errors_off(sampled, exact[0]) < 5


def relaxed_target(model):
    """-log E[<soft, N>] by quadrature, summed over examples; a function of the parameters."""
    points, weights = np.polynomial.hermite_e.hermegauss(100)
    points, weights = torch.tensor(points), torch.tensor(weights / weights.sum())
    z = model.theta[0, 1] - model.theta[0, 0] + points
    second = torch.sigmoid(z / model._relaxation)
    densities = component_densities(model)
    mixed = densities[:, :1] * (1 - second) + densities[:, 1:] * second
    return -(mixed @ weights).log().sum()


@pytest.mark.parametrize("relaxation", [1.0, 0.5])
def test_relaxed_gradient_agrees_with_quadrature_of_its_target(dimensions, relaxation):
    # A ratio's bias is of the order of 1/4000, its deviation of 1/sqrt(4000): summed over 12
    # examples, bias over standard error of 25 sums is sqrt(12 * 25 / 4000), a quarter.
    settings = GmmSettings(
        dimensions=dimensions, relaxation=relaxation, relaxed_samples=4000, **SMALL
    )
    model = RelaxedMixture(settings, range(25), CPU)
    one = unsettle(RelaxedMixture(settings, [0], CPU))
    for parameter, value in zip(model.parameters(), one.parameters(), strict=True):
        parameter.data = value.data.expand_as(parameter).clone()
    surrogate = model.losses(0, Exact(), Noise(seeds=range(25))).surrogate
    found = torch.autograd.grad(surrogate.sum(), list(model.parameters()))
    expected = torch.autograd.grad(relaxed_target(one), list(one.parameters()))
    for sampled, exact in zip(found, expected, strict=True):
        assert standard_errors_off(sampled, exact[0]) < 5


def test_relaxed_target_has_another_gradient_than_the_likelihood(settings):
    model = unsettle(RelaxedMixture(settings, [0], CPU))
    (relaxed,) = torch.autograd.grad(relaxed_target(model), [model.theta])
    (real,) = torch.autograd.grad(neg_log_likelihood(model), [model.theta])
    assert (relaxed - real).abs().max() > 0.05


def test_relaxed_fit_reports_the_likelihood_of_the_mixture(settings):
    model = unsettle(RelaxedMixture(settings, [0], CPU))
    reported = model.losses(0, Exact(), Noise(seeds=[0])).metrics["train_loss"]
    expected = neg_log_likelihood(model) / len(model.x)
    assert reported.item() == pytest.approx(expected.item(), 1e-12)


def test_data_depend_on_their_own_seed_and_the_mixture_alone(dimensions):
    settings = GmmSettings(dimensions=dimensions)
    same = GmmSettings(dimensions=dimensions, lr=0.3, fit="em", start="data", dtype="float64")
    assert torch.equal(draw_data(settings), draw_data(same))
    assert not torch.equal(
        draw_data(settings), draw_data(GmmSettings(dimensions=dimensions, data_seed=29))
    )


def test_data_have_the_weights_means_and_scales_asked_for(dimensions):
    settings = GmmSettings(dimensions=dimensions, examples=40_000, means=(-30.0, 30.0))
    x = draw_data(settings)
    first, second = x[x[:, 0] < 0], x[x[:, 0] > 0]
    # Five standard errors of a share, of means and of standard deviations.
    assert len(first) / len(x) == pytest.approx(0.3, abs=5 * (0.21 / 40_000) ** 0.5)
    for part, mean, scale in ((first, -30.0, 2.0), (second, 30.0, 1.0)):
        error = 5 * scale / len(part) ** 0.5
        assert part.mean(0).tolist() == pytest.approx([mean] * dimensions, abs=error)
        assert part.std(0).tolist() == pytest.approx([scale] * dimensions, abs=error)


def test_fixed_start_is_the_papers(train):
    training = train("gmm", [0, 1], dimensions=1)
    metrics = training.advance(1)
    assert metrics["mean_1_x"].tolist() == [-7.0, -7.0]
    assert metrics["mean_2_x"].tolist() == [7.0, 7.0]
    assert metrics["weight_1"].tolist() == [0.5, 0.5]


def test_start_at_the_data_is_two_points_by_the_runs_seed(settings):
    settings = GmmSettings(dimensions=settings.dimensions, start="data", **SMALL)
    start, x = draw_start(settings, range(50)), draw_data(settings)
    is_point = (start[:, :, None] == x).all(-1)
    assert is_point.any(-1).all()
    assert not (start[:, 0] == start[:, 1]).all(-1).any()
    assert len(start.unique(dim=0)) > 25


@pytest.mark.parametrize("fit", ["em", "relaxed_reinforce", "estimator"])
def test_every_fit_starts_at_the_same_point(train, fit):
    training = train("gmm", [7], estimator=Exact(), fit=fit, start="data", dtype="float64")
    settings = GmmSettings(dimensions=2, examples=20, start="data")
    start = draw_start(settings, [7])[0, :, 0].tolist()
    metrics = training.advance(1)
    assert [metrics[f"mean_{component}_x"].item() for component in (1, 2)] == start


def test_one_dimension_reports_no_second_axis(train):
    training = train("gmm", [0], dimensions=1)
    found = {**training.advance(1), **training.evaluate()}
    assert set(tasks.get("gmm").metrics) - set(found) == {"mean_1_y", "mean_2_y"}


def test_reported_means_are_those_before_the_update(train):
    training = train("gmm", [0], lr=0.5)
    before = training.state_dict()["model"]["means"].clone()
    assert training.advance(1)["mean_1_x"].item() == before[0, 0, 0].item()


@pytest.mark.parametrize("parameter", ["theta", "means", "factors"])
@pytest.mark.parametrize("fit", ["estimator", "relaxed_reinforce"])
def test_diverged_parameters_show_in_the_loss(train, fit, parameter):
    training = train("gmm", [0, 1], estimator=Exact(), fit=fit, relaxed_samples=3)
    training.state_dict()["model"][parameter][0] = torch.inf
    loss = training.advance(1)["train_loss"]
    assert loss.isfinite().tolist() == [False, True]


@pytest.mark.parametrize("fit", ["em", "relaxed_reinforce"])
def test_a_fit_without_an_estimator_takes_exact_alone(fit):
    task = tasks.get("gmm")
    settings = task.settings(fit=fit)
    assert task.check(settings, Exact()) is None
    reason = task.check(settings, estimators.get("rebar"))
    for part in (f"'{fit}'", "needs the estimator exact", "got rebar"):
        assert part in reason


def test_relaxed_samples_need_memory():
    task = tasks.get("gmm")
    few, many = (
        task.replica_bytes(task.settings(fit="relaxed_reinforce", relaxed_samples=n), Exact())
        for n in (10, 100)
    )
    assert few < many


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": 3}, "dimensions must be 1 or 2, got 3"),
        ({"examples": 1}, "examples must be at least 2, got 1"),
        ({"means": (1.0,)}, r"means must hold 2 numbers, one per component, got \(1\.0,\)"),
        ({"start_means": (1.0, 2.0, 3.0)}, "start_means must hold 2 numbers"),
        ({"weights": (0.0, 1.0)}, r"weights must be positive, got \(0\.0, 1\.0\)"),
        ({"weights": (0.3, 0.3)}, r"weights must sum to 1, got \(0\.3, 0\.3\)"),
        ({"scales": (1.0, -1.0)}, r"scales must be positive, got \(1\.0, -1\.0\)"),
        ({"relaxation": 0.0}, r"relaxation must be positive, got 0\.0"),
        ({"relaxed_samples": 0}, "relaxed_samples must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GmmSettings(**changes)


def test_likelihood_of_an_example_far_from_both_components_is_finite():
    x = torch.tensor([[1e3]], dtype=torch.float64)
    means = torch.zeros(1, 2, 1, dtype=torch.float64)
    density = log_densities(x, means, torch.zeros(1, 2, 1, 1, dtype=torch.float64))
    log_weights = torch.tensor([[0.5, 0.5]], dtype=torch.float64).log()
    expected = -0.5e6 - 0.5 * math.log(2 * math.pi)
    assert log_likelihoods(log_weights, density).item() == pytest.approx(expected, 1e-12)

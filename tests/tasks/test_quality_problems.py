"""Problems with exact gradients: enumeration against the estimator that enumerates, and by hand."""

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import exact as enumeration
from raysweep.estimators.noise import Noise
from raysweep.tasks.gradient_quality.measures import Quality
from raysweep.tasks.gradient_quality.problems import (
    SyntheticProblem,
    VaeProblem,
    all_states,
    coupled,
    exact_gradient,
    expectation,
)
from raysweep.tasks.polynomial import PolynomialSettings, targets

CPU = torch.device("cpu")
VAE = {
    "fixed": {},
    "learned": {"prior": "learned"},
    "sampled": {"prior": "learned", "divergence": "sampled", "center_input": True},
    "integer": {"codes": "integer", "binarisation": "dynamic"},
}


def synthetic(function, latents, categories, copies=3):
    problem = SyntheticProblem(
        function, (latents, categories), copies, [0, 1], dtype=torch.float64, device=CPU
    )
    generator = torch.Generator().manual_seed(0)
    problem.theta.data = torch.randn(2, latents, categories, generator=generator).double()
    return problem


@pytest.fixture(params=["polynomial", "coupled", *VAE])
def build(request, build_model):
    """A problem of two replicas in float64, far from even odds."""

    def make(categories):
        if request.param == "polynomial":
            return synthetic(
                lambda code: (code[..., 0] - 0.45).abs().pow(3).mean(-1), 3, categories
            )
        if request.param == "coupled":
            function = coupled(3, categories, 0, dtype=torch.float64, device=CPU)
            return synthetic(function, 3, categories)
        sizes = {"latents": 2, "categories": categories, "hidden": (5,)}
        return VaeProblem(build_model("categorical_vae", **sizes, **VAE[request.param]), 4)

    return make


@pytest.mark.parametrize(("link", "categories"), [("softmax", 3), ("softmax", 2), ("probit", 2)])
@pytest.mark.parametrize("measured", [True, False], ids=["measured", "trained"])
def test_the_exact_gradient_is_that_of_enumeration(build, link, categories, measured):
    problem = build(categories)
    if hasattr(problem, "model"):
        problem.model.link = link
    batch = problem.measured() if measured else problem.batch(0)
    logits = batch.logits.detach().clone().requires_grad_()
    value = enumeration.expectation(logits, batch.objective, link)
    (expected,) = torch.autograd.grad(value.sum(), logits)
    torch.testing.assert_close(expectation(batch, link), value)
    assert expected.norm() > 0.01
    torch.testing.assert_close(exact_gradient(batch, link), expected)


def test_the_expectation_reaches_every_parameter_as_the_exact_estimator_does(build):
    problem = build(3)
    batch = problem.batch(1)
    exact = estimators.get("exact").estimate(batch.logits, batch.objective, Noise(0)).surrogate
    found = []
    for losses in (exact, expectation(batch, "softmax")):
        whole = losses if batch.direct is None else losses + batch.direct
        parameters = list(problem.parameters())
        found.append(torch.autograd.grad(whole.sum(), parameters, retain_graph=True))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_sampled_divergence_moves_its_gradient_into_what_is_estimated(build_model):
    sizes = {"latents": 2, "categories": 3, "prior": "learned"}
    found = []
    for divergence in ("analytic", "sampled"):
        problem = VaeProblem(build_model("categorical_vae", **sizes, divergence=divergence), 4)
        batch = problem.measured()
        gradient = exact_gradient(batch, "softmax")
        loss = expectation(batch, "softmax")
        if batch.direct is not None:
            gradient = gradient + torch.autograd.grad(batch.direct.sum(), batch.logits)[0]
            loss = loss + batch.direct
        found.append((gradient, loss))
    torch.testing.assert_close(*(gradient for gradient, _ in found))
    torch.testing.assert_close(*(loss for _, loss in found))


def test_states_run_through_all_codes_the_last_variable_fastest():
    states = all_states(2, 3, torch.zeros((), dtype=torch.float64)).argmax(-1)
    assert states.tolist() == [[i, j] for i in range(3) for j in range(3)]
    assert all_states(1, 4, torch.zeros(())).tolist() == torch.eye(4).unsqueeze(1).tolist()


def test_measured_images_are_the_first_of_the_training_set(build_model):
    model = build_model("categorical_vae", center_input=True)
    batch = VaeProblem(model, 5).measured()
    expected = model.images.train[:5] - model.images.train.mean(0)
    torch.testing.assert_close(batch.context, expected.expand(2, -1, -1))
    assert torch.equal(batch.logits, model.encode(batch.context))


def test_the_coupled_problem_is_a_function_of_its_seed_and_couples_every_variable():
    functions = [coupled(3, 3, seed, dtype=torch.float64, device=CPU) for seed in (0, 0, 1)]
    states = all_states(3, 3, torch.zeros((), dtype=torch.float64))
    first, same, other = (function(states) for function in functions)
    assert torch.equal(first, same)
    assert not torch.isclose(first, other).any()
    table = first.view(3, 3, 3)
    for mixed in (table, table.transpose(1, 2), table.transpose(0, 2)):
        crossed = mixed[0, 0] - mixed[0, 1] - mixed[1, 0] + mixed[1, 1]
        assert (crossed.abs() > 1e-3).all()


def relative(problem, name, draws=20_000):
    """Bias and its noise, both squared and over the norm, of an estimator's own expectation."""
    batch = problem.measured()
    rows = batch.logits.detach().expand(-1, draws, -1, -1).clone().requires_grad_()
    method = estimators.get(name)
    surrogate = method.estimate(rows, batch.objective, Noise(seeds=[0, 1])).surrogate
    (gradient,) = torch.autograd.grad(surrogate.sum(), rows)
    quality = Quality(exact_gradient(batch, "softmax").flatten(1))
    quality.add(gradient.flatten(2).transpose(0, 1))
    found = quality.metrics()
    # the squared distance of the mean exceeds 25 times its expectation with odds of 6e-7
    return found["relative_bias"].square(), 24 * found["relative_variance"] / draws + 1e-20


def polynomial(code):
    settings = PolynomialSettings(latents=4, targets="linear", dtype="float64")
    return (code[..., 0] - targets(settings)).square().mean(-1)


@pytest.mark.parametrize("name", ["reinforce_loo", "rebar", "disarm", "relax"])
def test_unbiased_estimators_are_within_noise_on_the_coupled_problem(name):
    function = coupled(3, 2, 0, dtype=torch.float64, device=CPU)
    bias, noise = relative(synthetic(function, 3, 2), name)
    assert (bias < noise).all()


@pytest.mark.parametrize("name", ["straight_through", "reinmax", "st_gumbel_softmax"])
def test_biased_estimators_are_found_out_on_the_coupled_problem(name):
    function = coupled(3, 3, 0, dtype=torch.float64, device=CPU)
    bias, noise = relative(synthetic(function, 3, 3), name)
    assert (bias > noise).all()


@pytest.mark.parametrize(
    ("name", "function", "exact"),
    [
        ("straight_through", lambda code: (code * torch.arange(12).view(4, 3)).sum((-1, -2)), True),
        ("straight_through", polynomial, False),
        ("reinmax", polynomial, True),
        ("reinmax", lambda code: code[..., 0].sum(-1).sub(1).pow(3), False),
    ],
    ids=["st linear", "st quadratic", "reinmax quadratic", "reinmax cubic"],
)
def test_pathwise_estimators_are_exact_up_to_their_degree(name, function, exact):
    categories = 2 if function is polynomial else 3
    bias, noise = relative(synthetic(function, 4, categories), name)
    assert (bias < noise).all() if exact else (bias > noise).all()

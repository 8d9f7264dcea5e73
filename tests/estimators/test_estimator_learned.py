"""Learned parts: what their loss is, what it reaches, and that replicas keep theirs apart."""

import io

import pytest
import torch
from case_tables import assert_slopes
from estimator_cases import CONTEXT_CASES, cases, categories_of, learns

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf, problem, randomise

FEATURES = 5
learned_cases = cases(learns, CONTEXT_CASES)


def reduces_squared_gradient(method):
    """And nothing else."""
    return learns(method) and method.name != "nvil"


def built(name, settings, replicas=None, seed=1, context=FEATURES):
    method = estimators.get(name, **settings)
    method.build(2, categories_of(name, settings), context, replicas)
    method.double()
    randomise(method, seed)
    return method


def contexts(*batch):
    return torch.randn(
        *batch, FEATURES, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    )


def rows_of(name, settings, count=6):
    return problem(2, categories_of(name, settings)).copies(count)


def tuning_loss(method, rows):
    x = contexts(*rows.logits.shape[:-2])
    return method.estimate(rows.logits, rows.objective, Noise(seed=3), context=x).tuning_loss


@learned_cases
def test_tuning_loss_reaches_the_estimators_parameters_and_nothing_else(name, settings):
    method, rows = built(name, settings), rows_of(name, settings)
    tuning_loss(method, rows).sum().backward()
    assert rows.logits.grad is None
    assert rows.weight.grad is None
    for parameter in method.parameters():
        assert parameter.grad is not None


@learned_cases
def test_nothing_reaches_what_made_the_context(name, settings):
    method, rows = built(name, settings), rows_of(name, settings)
    x = leaf(contexts(6))
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3), context=x)
    (out.surrogate + out.tuning_loss).sum().backward()
    assert x.grad is None


@learned_cases
def test_the_models_gradients_do_not_change_when_the_tuning_loss_is_added(name, settings):
    gradients = []
    for tuned in (False, True):
        method, rows = built(name, settings), rows_of(name, settings)
        out = method.estimate(rows.logits, rows.objective, Noise(seed=3), context=contexts(6))
        loss = out.surrogate.sum() + (out.tuning_loss.sum() if tuned else 0)
        loss.backward()
        gradients.append((rows.logits.grad, rows.weight.grad))
    for without, with_tuning in zip(*gradients, strict=True):
        assert torch.equal(without, with_tuning)


@learned_cases
def test_the_surrogate_leaves_the_estimators_parameters_alone(name, settings):
    method, rows = built(name, settings), rows_of(name, settings)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3), context=contexts(6))
    out.surrogate.sum().backward()
    for parameter in method.parameters():
        assert parameter.grad is None


@cases(reduces_squared_gradient)
def test_tuning_loss_is_the_squared_gradient_to_the_logits(name, settings):
    method, rows = built(name, settings), rows_of(name, settings)
    theta = leaf(rows.logits)  # another leaf than the objective closes over
    out = method.estimate(theta, rows.objective, Noise(seed=3), context=contexts(6))
    (gradient,) = torch.autograd.grad(out.surrogate.sum(), theta)
    torch.testing.assert_close(
        out.tuning_loss.detach(), gradient.square().sum((-2, -1)), rtol=1e-10, atol=1e-10
    )


@cases(reduces_squared_gradient)
def test_tuning_gradient_is_the_slope_of_the_tuning_loss(name, settings):
    method, rows = built(name, settings), rows_of(name, settings)
    weights = torch.linspace(0.2, 1.7, 6, dtype=torch.float64)
    parameters = list(method.parameters())
    slopes = torch.autograd.grad((weights * tuning_loss(method, rows)).sum(), parameters)
    assert_slopes(parameters, slopes, lambda _: (weights * tuning_loss(method, rows)).sum().item())


def test_muprops_weights_and_baseline_follow_losses_of_their_own():
    """Weights follow the squared gradient, the baseline its squared error: finite differences."""
    method, rows = built("muprop", {"baseline": True}), rows_of("muprop", {})

    def losses():
        theta = leaf(rows.logits)
        out = method.estimate(theta, rows.objective, Noise(seed=3), context=contexts(6))
        (gradient,) = torch.autograd.grad(out.surrogate.sum(), theta)
        squared = gradient.square().sum().item()
        return squared, out.tuning_loss.sum().item() - squared

    names, parameters = zip(*method.named_parameters(), strict=True)
    slopes = torch.autograd.grad(tuning_loss(method, rows).sum(), parameters)
    is_baseline = [name.startswith("baseline") for name in names]
    assert_slopes(parameters, slopes, lambda index: losses()[is_baseline[index]], rel=1e-4)


def test_normalised_nvil_divides_by_the_deviation_where_it_exceeds_one():
    found = []
    for variance, normalise in ((9.0, True), (0.25, True), (9.0, False)):
        method, rows = estimators.get("nvil", normalise=normalise), rows_of("nvil", {})
        method.build(2, 3)
        method.running_variance.fill_(variance)
        theta = leaf(rows.logits)
        out = method.estimate(theta, rows.objective, Noise(seed=3))
        found.append(torch.autograd.grad(out.surrogate.sum(), theta)[0])
    torch.testing.assert_close(3 * found[0], found[2], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[1], found[2], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_nvils_tuning_loss_is_the_squared_error_of_its_prediction(seed):
    method, rows = built("nvil", {}, seed=seed), rows_of("nvil", {})
    method.running_mean.fill_(0.3)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3), context=contexts(6))
    target = (out.value - 0.3 - method.baseline(contexts(6))).square()
    torch.testing.assert_close(out.tuning_loss, target, rtol=1e-12, atol=1e-12)


def test_nvil_follows_the_losses_mean_and_variance_in_training_mode_only():
    method, rows = estimators.get("nvil", decay=0.75), rows_of("nvil", {}, count=100)
    out = method.estimate(rows.logits, rows.objective, Noise(seed=3))
    torch.testing.assert_close(method.running_mean, 0.25 * out.value.mean())
    torch.testing.assert_close(method.running_variance, 0.25 * out.value.square().mean())
    before = method.running_mean.clone()
    method.eval().estimate(rows.logits, rows.objective, Noise(seed=4))
    assert torch.equal(method.running_mean, before)


@learned_cases
def test_replicas_with_learned_parts_equal_separate_estimators(name, settings):
    together = built(name, settings, replicas=3)
    small = problem(2, categories_of(name, settings))
    theta = torch.randn(3, 4, *small.logits.shape, dtype=torch.float64)
    weight = small.weight.detach()
    x = contexts(3, 4)

    def results(method, logits, noise, context):
        theta = leaf(logits)
        objective = type(small)(theta.detach(), weight).objective
        out = method.estimate(theta, objective, noise, context=context)
        tuned = torch.autograd.grad(
            out.tuning_loss.sum(), list(method.parameters()), retain_graph=True
        )
        return torch.autograd.grad(out.surrogate.sum(), theta)[0], out.tuning_loss.detach(), tuned

    gradient, loss, tuned = results(together, theta, Noise(seeds=[5, 6, 7]), x)
    for replica in range(3):
        alone = built(name, settings)
        own = {key: value[replica] for key, value in together.state_dict().items()}
        if name == "nvil":  # its moments have moved by now
            own["running_mean"] = own["running_variance"] = torch.zeros(())
        alone.load_state_dict(own)
        expected = results(alone, theta[replica], Noise(seed=5 + replica), x[replica])
        torch.testing.assert_close(gradient[replica], expected[0], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(loss[replica], expected[1], rtol=1e-10, atol=1e-10)
        for found, target in zip(tuned, expected[2], strict=True):
            torch.testing.assert_close(found[replica], target, rtol=1e-10, atol=1e-10)


@learned_cases
def test_every_learned_tensor_leads_with_the_replicas_and_starts_alike(name, settings):
    method = estimators.get(name, **settings)
    method.build(2, categories_of(name, settings), FEATURES, replicas=3)
    alone = estimators.get(name, **settings)
    alone.build(2, categories_of(name, settings), FEATURES)
    assert method.state_dict()
    for key, value in method.state_dict().items():
        assert len(value) == 3
        for replica in value:
            assert torch.equal(replica, alone.state_dict()[key])


@learned_cases
@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True]), torch.tensor([2, 0])], ids=["mask", "indices"]
)
def test_selected_replicas_keep_their_learned_parts(name, settings, keep):
    method = built(name, settings, replicas=3)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    parameters = list(method.parameters())
    method.select(keep)
    for key, value in method.state_dict().items():
        assert torch.equal(value, before[key][keep])
    assert all(a is b for a, b in zip(method.parameters(), parameters, strict=True))
    theta = torch.zeros(2, 4, 2, categories_of(name, settings), dtype=torch.float64)
    rows = problem(2, theta.shape[-1])
    out = method.estimate(theta, rows.objective, Noise(seeds=[1, 2]), context=contexts(2, 4))
    assert out.tuning_loss.shape == (2, 4)


@learned_cases
def test_state_is_loaded_into_another_estimator(name, settings):
    method, other = built(name, settings), built(name, settings, seed=2)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    rows = rows_of(name, settings)
    assert torch.equal(tuning_loss(method, rows), tuning_loss(other, rows))


@learned_cases
def test_parts_built_in_float32_serve_float64_logits(name, settings):
    method = estimators.get(name, **settings)
    method.build(2, categories_of(name, settings), FEATURES)
    loss = tuning_loss(method, rows_of(name, settings))
    assert loss.dtype == torch.float64
    loss.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in method.parameters())


@learned_cases
def test_the_first_estimate_builds_in_the_logits_format(name, settings):
    method = estimators.get(name, **settings)
    tuning_loss(method, rows_of(name, settings))
    assert all(parameter.dtype == torch.float64 for parameter in method.parameters())


@learned_cases
def test_an_estimate_without_gradients_has_the_same_value(name, settings):
    rows = rows_of(name, settings)
    outs = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            outs.append(
                built(name, settings).estimate(
                    rows.logits, rows.objective, Noise(seed=3), context=contexts(6)
                )
            )
    assert torch.equal(outs[0].value, outs[1].value)
    assert not outs[1].surrogate.requires_grad


def test_settings_that_are_tensors_ask_for_replicas():
    method = estimators.get("rebar", temperature=torch.tensor([0.4, 0.8]))
    method.build(2, 3)
    assert method.learned_temperature.parameter.exp().tolist() == pytest.approx([0.4, 0.8])
    assert method.learned_eta.parameter.shape == (2,)


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_a_tuning_loss_after_the_graph_is_gone_says_what_to_do(name):
    method, rows = built(name, {}), rows_of(name, {})
    out = method.estimate(rows.logits, rows.objective, Noise(), context=contexts(6))
    out.surrogate.sum().backward()
    with pytest.raises(RuntimeError, match="before the surrogate's graph is freed"):
        out.tuning_loss.sum().backward()

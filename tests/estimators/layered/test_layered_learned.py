"""Learned parts: what their loss is, what it reaches, and that replicas keep theirs apart."""

import io

import pytest
import torch
from case_tables import assert_slopes, follow
from layered_cases import (
    CONTEXT_CASES,
    cases,
    find,
    get,
    gradients,
    learns,
    loss_of_path,
    network,
    normal,
)

from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense
from raysweep.testing.estimators import (
    layered_problem,
    leaf,
    randomise,
    total_variance,
    varies_less,
)

SIZES = (3, 4, 2)
FEATURES = 5
SAME = {"rtol": 1e-9, "atol": 1e-10}
learned_cases = cases(learns, CONTEXT_CASES)


def reduces_squared_gradient(method):
    """And nothing else."""
    return learns(method) and method.name != "nvil"


def built(name, settings, replicas=None, seed=1):
    method = get(name, **settings)
    method.build(2, FEATURES, replicas)
    method.double()
    randomise(method, seed)
    return method


def estimate(method, layers=None, x=None, noise=None, context=None):
    layers = layers or network(*SIZES)
    x = normal(6, 3) if x is None else x
    context = normal(*x.shape[:-1], FEATURES, seed=9) if context is None else context
    return method.estimate(layers, x, loss_of_path, noise or Noise(seed=3), context=context)


@learned_cases
def test_tuning_loss_reaches_the_estimators_parameters_only(name, settings):
    method, layers, context = built(name, settings), network(*SIZES), leaf(normal(6, FEATURES))
    estimate(method, layers, context=context).tuning_loss.sum().backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert all(parameter.grad is None for layer in layers for parameter in layer.parameters())
    assert context.grad is None


@learned_cases
def test_the_models_gradients_do_not_change_when_the_tuning_loss_is_added(name, settings):
    found = []
    for tuned in (False, True):
        layers = network(*SIZES)
        out = estimate(built(name, settings), layers)
        loss = out.surrogate + out.tuning_loss if tuned else out.surrogate
        found.append(gradients(layers, loss))
    assert all(map(torch.equal, *found))


@learned_cases
def test_the_surrogate_leaves_the_estimators_parameters_alone(name, settings):
    method = built(name, settings)
    estimate(method).surrogate.sum().backward()
    assert all(parameter.grad is None for parameter in method.parameters())


@cases(reduces_squared_gradient)
def test_tuning_loss_is_the_squared_gradient_to_the_pre_activations(name, settings):
    method, layers, x = built(name, settings), network(*SIZES), normal(6, 3)
    out = estimate(method, layers, x)
    for row in range(6):
        of_bias = gradients(layers, out.surrogate[row])[1::2]
        # a bias has the gradient of its unit's pre-activation, the mean over samples
        target = sum(one.square().sum() for one in of_bias)
        torch.testing.assert_close(out.tuning_loss[row].detach(), target, **SAME)


@cases(reduces_squared_gradient)
def test_tuning_gradient_is_the_slope_of_the_tuning_loss(name, settings):
    method = built(name, settings)
    weights = torch.linspace(0.2, 1.7, 6, dtype=torch.float64)
    parameters = list(method.parameters())
    slopes = torch.autograd.grad((weights * estimate(method).tuning_loss).sum(), parameters)
    assert_slopes(
        parameters, slopes, lambda _: (weights * estimate(method).tuning_loss).sum().item()
    )


@pytest.mark.parametrize("name", ["muprop", "rebar"])
def test_weights_and_baseline_follow_losses_of_their_own(name):
    """Weights follow the squared gradient, the baseline its squared error."""
    method, layers = built(name, {"baseline": True}), network(*SIZES)

    def losses():
        out = estimate(method, layers)
        squared = sum(
            one.square().sum().item()
            for row in out.surrogate
            for one in gradients(layers, row)[1::2]
        )
        return squared, out.tuning_loss.sum().item() - squared

    names, parameters = zip(*method.named_parameters(), strict=True)
    slopes = torch.autograd.grad(estimate(method).tuning_loss.sum(), parameters)
    is_baseline = [one.startswith("baseline") for one in names]
    assert_slopes(parameters, slopes, lambda index: losses()[is_baseline[index]], rel=1e-4)


def test_nvils_tuning_loss_is_the_squared_error_of_its_prediction():
    method = built("nvil", {"samples": 2})
    method.running_mean.fill_(0.3)
    context = normal(6, FEATURES, seed=9)
    losses = []

    def spy(path):
        losses.append(loss_of_path(path).detach())
        return loss_of_path(path)

    out = method.estimate(network(*SIZES), normal(6, 3), spy, Noise(), context=context)
    target = (losses[0] - 0.3 - method.baseline(context)).square().mean(0)
    torch.testing.assert_close(out.tuning_loss, target, **SAME)


def test_nvil_follows_the_losses_mean_and_variance_in_training_mode_only():
    method = get("nvil", decay=0.75)
    out = method.estimate(network(*SIZES), normal(100, 3), loss_of_path, Noise(seed=3))
    torch.testing.assert_close(method.running_mean, 0.25 * out.value.mean())
    torch.testing.assert_close(method.running_variance, 0.25 * out.value.square().mean())
    before = method.running_mean.clone()
    method.eval().estimate(network(*SIZES), normal(100, 3), loss_of_path, Noise(seed=4))
    assert torch.equal(method.running_mean, before)


@learned_cases
def test_replicas_with_learned_parts_equal_separate_estimators(name, settings):
    together = built(name, settings, replicas=3)
    state = {key: value.clone() for key, value in together.state_dict().items()}
    layers, x = network(*SIZES, replicas=(3,)), normal(3, 4, 3)
    context = normal(3, 4, FEATURES, seed=9)

    def results(method, *given):
        out = estimate(method, *given)
        tuned = torch.autograd.grad(
            out.tuning_loss.sum(), list(method.parameters()), retain_graph=True
        )
        return out.tuning_loss.detach(), gradients(given[0], out.surrogate), tuned

    loss, found, tuned = results(together, layers, x, Noise(seeds=[5, 6, 7]), context)
    for replica in range(3):
        alone = built(name, settings)
        alone.load_state_dict({key: value[replica] for key, value in state.items()})
        own = [Dense(one.weight[replica].detach(), one.bias[replica].detach()) for one in layers]
        noise = Noise(seed=5 + replica)
        expected = results(alone, own, x[replica], noise, context[replica])
        torch.testing.assert_close(loss[replica], expected[0], **SAME)
        for together_ones, target in ((found, expected[1]), (tuned, expected[2])):
            for one, other in zip(together_ones, target, strict=True):
                torch.testing.assert_close(one[replica], other, **SAME)


@learned_cases
def test_every_learned_tensor_leads_with_the_replicas_and_starts_alike(name, settings):
    method, alone = get(name, **settings), get(name, **settings)
    method.build(2, FEATURES, replicas=3)
    alone.build(2, FEATURES)
    assert method.state_dict()
    for key, value in method.state_dict().items():
        assert len(value) == 3
        for replica in value:
            assert torch.equal(replica, alone.state_dict()[key])


@learned_cases
@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True]), torch.tensor([2, 0])], ids=["mask", "indices"]
)
def test_selected_replicas_continue_as_before(name, settings, keep):
    whole, cut = (built(name, settings, replicas=3) for _ in range(2))
    parameters = list(cut.parameters())
    layers, x = network(*SIZES, replicas=(3,)), normal(3, 4, 3)
    context, noise = normal(3, 4, FEATURES, seed=9), Noise(seeds=[5, 6, 7])
    target = estimate(whole, layers, x, noise, context)
    cut.select(keep)
    some = Noise(seeds=[5, 6, 7])
    some.select(keep)
    kept = [Dense(one.weight[keep].detach(), one.bias[keep].detach()) for one in layers]
    out = estimate(cut, kept, x[keep], some, context[keep])
    torch.testing.assert_close(out.surrogate.detach(), target.surrogate.detach()[keep], **SAME)
    torch.testing.assert_close(out.tuning_loss, target.tuning_loss[keep], **SAME)
    assert all(a is b for a, b in zip(cut.parameters(), parameters, strict=True))


@cases(lambda method: bool(method.per_replica))
def test_a_selected_replica_keeps_its_settings(name, settings):
    values = dict.fromkeys(find(name).per_replica, torch.tensor([0.5, 1.5]))
    whole, cut = (get(name, **{**settings, **values}) for _ in range(2))
    layers, x, keep = network(*SIZES, replicas=(2,)), normal(2, 4, 3), torch.tensor([False, True])
    target = whole.estimate(layers, x, loss_of_path, Noise(seeds=[1, 2]))
    cut.select(keep)
    kept = [Dense(one.weight[keep].detach(), one.bias[keep].detach()) for one in layers]
    out = cut.estimate(kept, x[keep], loss_of_path, Noise(seeds=[2]))
    torch.testing.assert_close(out.surrogate.detach(), target.surrogate.detach()[keep], **SAME)


@learned_cases
def test_a_loaded_state_continues_bit_for_bit(name, settings):
    method, other = built(name, settings), built(name, settings, seed=2)
    estimate(method)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    one, same = estimate(method), estimate(other)
    assert torch.equal(one.surrogate, same.surrogate)
    assert torch.equal(one.tuning_loss, same.tuning_loss)


@learned_cases
def test_parts_built_in_float32_serve_float64_networks(name, settings):
    method = get(name, **settings)
    method.build(2, FEATURES)
    loss = estimate(method).tuning_loss
    assert loss.dtype == torch.float64
    loss.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in method.parameters())


@learned_cases
def test_the_first_estimate_builds_in_the_inputs_format(name, settings):
    method = get(name, **settings)
    estimate(method)
    assert all(parameter.dtype == torch.float64 for parameter in method.parameters())


def test_settings_that_are_tensors_ask_for_replicas():
    method = get("rebar", temperature=torch.tensor([0.4, 0.8]))
    method.build(3)
    assert method.learned_temperature.parameter.exp().tolist() == pytest.approx([0.4, 0.8])
    assert [weight.parameter.shape for weight in method.weights] == [(2,)] * 3


@learned_cases
def test_a_tuning_loss_may_be_differentiated_after_the_surrogate(name, settings):
    out = estimate(built(name, settings))
    out.surrogate.sum().backward()
    out.tuning_loss.sum().backward()


LEARNERS = {
    "muprop": ("muprop", {}, 0.95),
    "muprop constant": ("muprop", {"linear": False, "eta": 0.2}, 0.9),
    "rebar": ("rebar", {"temperature": 0.1}, 0.9),
    "rebar layers": ("rebar", {"temperature": 0.1, "passes": "layers"}, 0.95),
    "rebar eta": ("rebar", {"learn_temperature": False, "eta": 0.2}, 0.95),
    "rebar temperature": ("rebar", {"temperature": 0.1, "learn_eta": False}, 0.9),
}


@pytest.mark.parametrize(("name", "settings", "factor"), LEARNERS.values(), ids=list(LEARNERS))
def test_what_is_learned_lessens_the_variance(name, settings, factor):
    small = layered_problem((3, 2))
    method, noise = get(name, **settings), Noise(seed=11)
    method.build(2)

    def estimated(rows, noise):
        return method.estimate(rows.layers, rows.x, rows.objective, noise)

    def sample():
        rows = small.copies(10_000)
        return rows.gradients(estimated(rows, Noise(seed=3)).surrogate)[..., :-5]

    def tuning_loss(step):
        noise.at(step)
        return estimated(rows, noise).tuning_loss

    before, rows = sample(), small.copies(100)
    follow(method, tuning_loss, 150, lr=0.03)
    assert varies_less(sample(), before, factor=factor)


@pytest.mark.parametrize("name", ["nvil", "muprop", "rebar"])
def test_a_baseline_learns_what_the_context_says(name):
    """The loss's level depends on the context: only a function of it can take that away."""
    settings = {} if name == "nvil" else {"baseline": True}
    if name == "muprop":
        settings["constant"] = False  # which would take the level away itself
    if name == "rebar":
        settings |= {"eta": 1e-3, "learn_eta": False, "learn_temperature": False}
    method, small = get(name, **settings), layered_problem((3, 2), reads_all=True)
    method.build(2, 4)
    context = normal(4000, 1, 4)
    level = 6 * torch.sin(context[..., 0]) + 4 * context[..., 1]

    def estimated(count, seed):
        rows = small.copies(count)

        def objective(path):
            return level[:count] + rows.objective(path)

        noise = Noise(seed=seed)
        out = method.estimate(rows.layers, rows.x, objective, noise, context=context[:count])
        return out.tuning_loss, lambda: rows.gradients(out.surrogate)[..., :-5]

    before = estimated(4000, 1)[1]()
    follow(method, lambda step: estimated(500, 100 + step)[0], 150, lr=0.03)
    assert varies_less(estimated(4000, 1)[1](), before, factor=0.5)


def test_a_better_baseline_varies_less():
    small = layered_problem((3, 2)).copies(4000)
    value = get("exact").estimate(small.layers, small.x, small.objective, Noise()).surrogate
    variances = []
    for baseline in (None, value.detach() + 0.2, 10 + torch.zeros(4000, 1, dtype=torch.float64)):
        out = get("reinforce").estimate(
            small.layers, small.x, small.objective, Noise(seed=1), baseline=baseline
        )
        variances.append(total_variance(small.gradients(out.surrogate)).mean())
    assert variances[1] < variances[0] < variances[2]


def test_leave_one_out_is_the_score_function_with_the_others_mean_as_baseline():
    layers, x, losses = network(*SIZES), normal(6, 3), []

    def spy(path):
        losses.append(loss_of_path(path).detach())
        return loss_of_path(path)

    method = get("reinforce", samples=3, leave_one_out=True)
    found = gradients(layers, method.estimate(layers, x, spy, Noise(seed=1)).surrogate)
    noise = Noise(seed=1)
    draws = [noise.uniform(6, 3, count, dtype=torch.float64) for count in SIZES[1:]]

    class OneOf(Noise):
        """The noise of one of the samples."""

        def __init__(self, index):
            super().__init__()
            self.draws = [draw[:, index : index + 1] for draw in draws]

        def uniform(self, *shape, **_):
            return self.draws.pop(0)

    total = 0
    for index in range(3):
        others = (losses[0].sum(0) - losses[0][index]) / 2
        out = get("reinforce").estimate(layers, x, loss_of_path, OneOf(index), baseline=others)
        total = total + out.surrogate / 3
    torch.testing.assert_close(found, gradients(layers, total), **SAME)

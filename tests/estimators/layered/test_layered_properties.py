"""What every layered estimator declares and promises, measured for each."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_cases import (
    CASES,
    cases,
    find,
    get,
    gradients,
    images,
    learns,
    loss_of,
    loss_of_image,
    loss_of_path,
    network,
    normal,
    objective_for,
)

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense, Head
from raysweep.testing.estimators import leaf, randomise

SIZES = (3, 4, 2)
EXACT = {"rtol": 1e-10, "atol": 1e-12}
NEEDS_HEAD = {"psa", "adf", "local_reparam"}
NEEDS_MOMENTS = {"adf", "local_reparam"}
RELAXES = {"tanh", "concrete", "adf", "local_reparam"}


def estimate(method, x, layers=None, noise=None, **given):
    """The estimate of a small network, with the gradients to its parameters."""
    layers = layers or network(*SIZES)
    out = method.estimate(layers, x, objective_for(method), noise or Noise(seed=1), **given)
    return out, gradients(layers, out.surrogate)


def test_every_estimator_has_a_case():
    assert {name for name, _ in CASES.values()} == set(estimators.names("layered"))


@cases()
def test_names_and_needs_are_declared(name, settings):
    method = get(name, **settings)
    assert method.name == name
    assert method.version >= 1
    assert method.reference
    assert method.needs_head == (name in NEEDS_HEAD)
    assert method.needs_moments == (name in NEEDS_MOMENTS)
    assert method.relaxes == (name in RELAXES)


@pytest.mark.parametrize("name", estimators.names("layered"))
def test_every_estimator_takes_samples_and_has_defaults(name):
    assert get(name).samples == 1
    assert get(name, samples=4).samples == 4


class Spy(Head):
    """A head that counts evaluations at paths, and those with a unit flipped apart."""

    def __init__(self):
        super().__init__(loss_of)
        self.at_paths = self.flipped = 0

    def __call__(self, path):
        self.at_paths += len(path.states[0])
        return super().__call__(path)

    def flips(self, state):
        losses = super().flips(state)
        self.flipped += losses[..., 0].numel()
        return losses


@cases()
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_evaluations_at_paths_are_as_many_as_declared(name, settings, layers):
    method, head = get(name, **settings), Spy()
    net = network(*[3] * (layers + 1))
    method.estimate(net, normal(5, 3), head, Noise())
    found = head.at_paths
    if method.needs_moments:  # it evaluates the last states alone, apart from a path
        found += method.samples
    assert found == method.evaluations(layers)
    assert head.flipped == (3 * method.samples if method.further_evaluations == "flips" else 0)


@cases()
def test_gradient_of_the_objective_is_used_as_declared(name, settings):
    method = get(name, **settings)
    method.build(2)
    method.eval()
    randomise(method)
    smooth, rough = (
        gradients(
            layers := network(*SIZES, scale=0.2),
            method.estimate(layers, normal(4, 3), Head(loss), Noise()).surrogate,
        )
        for loss in (loss_of, lambda s: loss_of(s.detach()) + 0 * s.sum(-1))
    )
    needs_gradient = not all(map(torch.equal, smooth, rough))
    assert needs_gradient == method.needs_gradient


@cases(lambda method: method.needs_moments)
def test_the_gradient_to_the_states_is_not_used_where_moments_are(name, settings):
    method = get(name, **settings)
    head = Head(lambda s: loss_of(s.detach()))
    out = method.estimate(network(*SIZES), normal(4, 3), head, Noise())
    assert out.surrogate.requires_grad


@cases()
@pytest.mark.parametrize("batch", [(5,), (2, 3), (3, 1, 2)], ids=str)
def test_results_have_the_contracts_shapes(name, settings, batch):
    method = get(name, **settings)
    out, _ = estimate(method, normal(*batch, 3))
    assert out.surrogate.shape == out.value.shape == batch
    assert [state.shape for state in out.states] == [(*batch, 4), (*batch, 2)]
    assert (out.tuning_loss is None) == (not list(method.parameters()))
    assert out.tuning_loss is None or out.tuning_loss.shape == batch
    assert (out.relaxed is None) == (not method.relaxes)
    assert out.relaxed is None or out.relaxed.shape == batch
    for one in (out.value, *out.states, *([out.relaxed] if method.relaxes else [])):
        assert not one.requires_grad
        assert one.dtype == torch.float64


@cases(lambda method: not method.needs_head and method.name != "exact")
def test_value_is_the_mean_loss_of_hard_samples_on_their_paths(name, settings):
    method, seen = get(name, **settings), []

    def spy(path):
        if all(state.detach().abs().eq(1).all() for state in path.states):
            seen.append(loss_of_path(path).detach())
        return loss_of_path(path)

    out = method.estimate(network(*SIZES), normal(50, 3), spy, Noise())
    last = seen[-1] if method.relaxes else seen[0]
    torch.testing.assert_close(out.value, last.mean(0), **EXACT)


@cases()
def test_paths_have_the_logits_of_their_states(name, settings):
    method, layers, x = get(name, **settings), network(*SIZES), normal(50, 3)
    checked = []

    def check(path):
        for layer, before, logits in zip(layers, (x, *path.states), path.logits, strict=False):
            target = layer(before).detach().expand_as(logits)
            torch.testing.assert_close(logits.detach(), target, **EXACT)
        checked.append(len(path.states))
        return loss_of(path.states[-1])

    objective = check
    if method.needs_head:

        class Checked(Head):
            def __call__(self, path):
                return check(path)

        objective = Checked(loss_of)
    method.estimate(layers, x, objective, Noise())
    assert set(checked) == {2}


@cases(lambda method: not method.relaxes and method.name != "exact")
def test_hard_paths_carry_no_gradient_in_their_logits(name, settings):
    hard = []

    class Checked(Head):
        def __call__(self, path):
            if all(state.detach().abs().eq(1).all() for state in path.states):
                hard.append(path)
            return super().__call__(path)

    method = get(name, **settings)
    method.estimate(network(*SIZES), normal(5, 3), Checked(loss_of), Noise())
    assert hard
    assert not any(logits.requires_grad for path in hard for logits in path.logits)


@cases()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_replicas_equal_separate_estimators(name, settings, dtype):
    values = torch.tensor([1.0, 1.25, 1.75])
    per_replica = sorted(find(name).per_replica)
    rest = {key: value for key, value in settings.items() if key not in per_replica}
    together = get(name, **dict.fromkeys(per_replica, values), **rest)
    layers = network(*SIZES, replicas=(3,), dtype=dtype)
    x = normal(3, 4, 3, dtype=dtype)
    out, found = estimate(together, x, layers, Noise(seeds=[5, 6, 7]))
    assert out.surrogate.dtype == dtype
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    for replica, value in enumerate(values.tolist()):
        alone = get(name, **dict.fromkeys(per_replica, value), **rest)
        own = [Dense(one.weight[replica].detach(), one.bias[replica].detach()) for one in layers]
        single, target = estimate(alone, x[replica], own, Noise(seed=5 + replica))
        torch.testing.assert_close(out.value[replica], single.value, rtol=tolerance, atol=tolerance)
        for one, other in zip(found, target, strict=True):
            torch.testing.assert_close(one[replica], other, rtol=tolerance, atol=tolerance)


@cases()
def test_a_broken_replica_touches_no_other(name, settings):
    x = normal(3, 4, 3)
    whole, broken = (network(*SIZES, replicas=(3,)) for _ in range(2))
    methods = [get(name, **settings) for _ in range(2)]
    _, target = estimate(methods[0], x, whole, Noise(seeds=[1, 2, 3]))
    broken[1].weight.data[1] = torch.nan
    out, found = estimate(methods[1], x, broken, Noise(seeds=[1, 2, 3]))
    for one, other in zip(found, target, strict=True):
        torch.testing.assert_close(one[[0, 2]], other[[0, 2]], **EXACT)
    assert out.surrogate[1].isnan().all() or any(one[1].isnan().any() for one in found)
    if out.tuning_loss is not None:
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(methods[1].parameters())):
            assert tuned[[0, 2]].isfinite().all()


@cases()
@pytest.mark.parametrize("size", [20.0, 100.0, 1e4])
def test_sure_units_stay_finite_in_float32(name, settings, size):
    """Pre-activations of ±size, which also make all moments zero."""
    layers = network(*SIZES, dtype=torch.float32)
    for layer in layers:
        layer.weight.data.sign_().mul_(size / 10)
        layer.bias.data.sign_().mul_(size)
    method = get(name, **settings)
    out = method.estimate(layers, normal(64, 3, dtype=torch.float32), Head(loss_of), Noise())
    assert out.surrogate.isfinite().all()
    for found in gradients(layers, out.surrogate):
        assert found.isfinite().all()
    if out.tuning_loss is not None:
        for tuned in torch.autograd.grad(out.tuning_loss.sum(), list(method.parameters())):
            assert tuned.isfinite().all()


@cases(lambda method: method.unbiased or method.name == "psa")
@pytest.mark.parametrize("size", [10.0, 50.0])
def test_sure_units_get_almost_no_gradient_in_float32(name, settings, size):
    layers = network(*SIZES, dtype=torch.float32)
    for layer in layers:
        layer.weight.data.mul_(0.1)
        layer.bias.data.fill_(size)
    method = get(name, **settings)
    layers[0].bias.data = layers[0].bias.data.expand(200, -1)  # one for each example
    layers[0].weight.data = layers[0].weight.data.expand(200, -1, -1)
    x = normal(200, 1, 3, dtype=torch.float32)
    out = method.estimate(layers, x, Head(loss_of), Noise(seed=1))
    (found,) = torch.autograd.grad(out.surrogate.sum(), layers[0].bias)
    typical = found.abs().amax(-1).sort().values[:-4].max()  # a rare state shows in few rows
    assert typical < 300 * math.exp(-size / 2) + 1e-5


@cases()
def test_zero_weights_stay_finite(name, settings):
    layers = [Dense(torch.zeros(3, 4), torch.zeros(4)), Dense(torch.zeros(4, 2), torch.zeros(2))]
    x = torch.zeros(10, 3)
    method = get(name, **settings)
    out = method.estimate(layers, x, Head(loss_of), Noise())
    assert all(found.isfinite().all() for found in gradients(layers, out.surrogate))


@cases()
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(5)), seed=st.integers(0, 1000))
def test_permuting_rows_and_their_seeds_permutes_the_results(name, settings, order, seed):
    x, seeds = normal(5, 3, seed=seed), [seed + row for row in range(5)]
    out, _ = estimate(get(name, **settings), x, noise=Noise(seeds=seeds))
    moved, _ = estimate(
        get(name, **settings), x[order], noise=Noise(seeds=[seeds[i] for i in order])
    )
    torch.testing.assert_close(moved.value, out.value[order], **EXACT)
    torch.testing.assert_close(moved.surrogate.detach(), out.surrogate.detach()[order], **EXACT)


@cases()
@settings(max_examples=10, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), max_size=3),
    sizes=st.lists(st.integers(1, 3), min_size=2, max_size=4),
)
def test_any_batch_shape_and_network_is_taken(name, settings, batch, sizes):
    out, _ = estimate(get(name, **settings), normal(*batch, sizes[0]), network(*sizes))
    assert out.surrogate.shape == torch.Size(batch)
    assert [state.shape[-1] for state in out.states] == sizes[1:]


@cases()
def test_an_empty_batch_gives_an_empty_estimate(name, settings):
    out, found = estimate(get(name, **settings), normal(0, 3))
    assert out.value.shape == (0,)
    assert all(one.eq(0).all() for one in found)


@cases(lambda method: method.name != "exact")  # these images have too many states
@pytest.mark.parametrize("replicas", [(), (2,)], ids=["one", "replicas"])
def test_an_empty_batch_of_images_gives_an_empty_estimate(name, settings, replicas):
    method = get(name, **settings)
    layers, head = images(replicas=replicas), Head(loss_of_image, axes=3)
    noise = Noise(seeds=[1, 2]) if replicas else Noise()
    out = method.estimate(layers, normal(*replicas, 0, 1, 5, 5), head, noise)
    assert out.value.shape == (*replicas, 0)


@cases()
def test_the_same_noise_gives_the_same_numbers(name, settings):
    (one, first), (other, second) = (estimate(get(name, **settings), normal(6, 3)) for _ in "ab")
    assert torch.equal(one.value, other.value)
    assert all(map(torch.equal, first, second))


@cases()
def test_an_estimate_without_gradients_has_the_same_value(name, settings):
    outs = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            method = get(name, **settings)
            outs.append(
                method.estimate(network(*SIZES), normal(6, 3), objective_for(method), Noise())
            )
    assert torch.equal(outs[0].value, outs[1].value)
    assert not outs[1].surrogate.requires_grad


@cases()
def test_gradients_reach_the_parameters_of_the_objective(name, settings):
    weight = leaf(normal(2))
    head = Head(lambda state: ((state * weight).sum(-1)) ** 2)
    out = get(name, **settings).estimate(network(*SIZES), normal(6, 3), head, Noise())
    assert torch.autograd.grad(out.surrogate.sum(), weight)[0].abs().sum() > 0


@cases()
def test_layers_that_do_not_learn_are_left_alone(name, settings):
    method, layers = get(name, **settings), network(*SIZES)
    layers[0].requires_grad_(False)
    out = method.estimate(layers, normal(6, 3), objective_for(method), Noise())
    second, _ = gradients(layers[1:], out.surrogate)
    assert second.abs().sum() > 0


@cases(lambda method: not learns(method))
def test_an_estimator_that_learns_nothing_takes_any_network(name, settings):
    method = get(name, **settings)
    for sizes in ((3, 2), (4, 2, 3, 2)):
        out, _ = estimate(method, normal(5, sizes[0]), network(*sizes))
        method.build(len(sizes) - 1)
        assert len(out.states) == len(sizes) - 1

"""Layers: maps, moments, and sums over flips in all their forms."""

import itertools

import pytest
import torch
from layered_cases import images, loss_of_image, network, normal, random_signs
from torch import nn
from torch.nn import functional

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Convolution, Dense, General, Head, LinearHead
from raysweep.estimators.layered.flips import expand, orders

EXACT = {"rtol": 1e-12, "atol": 1e-12}
replicated = pytest.mark.parametrize("replicas", [(), (3,)], ids=["one", "replicas"])
sampled = pytest.mark.parametrize("samples", [(), (2,)], ids=["no samples", "samples"])
SHAPES = {
    "square": ((2, 3, 2, 2), (3, 5, 5), 1),
    "stride": ((2, 3, 2, 2), (3, 6, 6), 2),
    "rest": ((2, 3, 3, 3), (3, 8, 6), 2),
    "oblong": ((4, 2, 3, 1), (2, 5, 4), 1),
    "gaps": ((3, 1, 2, 2), (1, 7, 8), 3),
    "whole": ((3, 2, 4, 5), (2, 4, 5), 1),
}
shapes = pytest.mark.parametrize(("kernel", "image", "stride"), SHAPES.values(), ids=SHAPES)


def as_dense(layer, image):
    """The dense layer of a convolution, by its effect on every single pixel."""
    size = torch.Size(image).numel()
    units = torch.eye(size, dtype=torch.float64).view(size, *image)
    if layer.replicas:
        units = units.expand(layer.replicas, *units.shape)
    at_zero = layer(torch.zeros_like(units))
    weight = (layer(units) - at_zero).flatten(-3)
    return Dense(weight.detach(), at_zero.flatten(-3)[..., 0, :].detach())


def convolution(kernel, stride, replicas):
    layer = Convolution(normal(*replicas, *kernel), normal(*replicas, kernel[0], seed=1), stride)
    return layer.double()


@shapes
@replicated
@sampled
def test_a_convolution_is_its_dense_layer(kernel, image, stride, replicas, samples):
    layer = convolution(kernel, stride, replicas)
    dense = as_dense(layer, image)
    x = random_signs(*samples, *replicas, 4, *image)
    logits = layer(x)
    torch.testing.assert_close(logits.flatten(-3), dense(x.flatten(-3)), **EXACT)
    signal = normal(*logits.shape, seed=2)
    torch.testing.assert_close(
        layer.flip_sum(x, logits, signal).flatten(-3),
        dense.flip_sum(x.flatten(-3), logits.flatten(-3), signal.flatten(-3)),
        **EXACT,
    )
    mean, variance = normal(*x.shape, seed=3).tanh(), normal(*x.shape, seed=4).square()
    for found, target in zip(
        layer.moments(mean, variance),
        dense.moments(mean.flatten(-3), variance.flatten(-3)),
        strict=True,
    ):
        torch.testing.assert_close(found.flatten(-3), target, **EXACT)


@shapes
@replicated
@sampled
def test_the_expansion_of_a_convolution_is_its_sum(
    kernel, image, stride, replicas, samples, monkeypatch
):
    layer = convolution(kernel, stride, replicas)
    layer.weight.data.mul_(2 / layer.weight.abs().max())
    x = random_signs(*samples, *replicas, 4, *image)
    logits = layer(x).detach()
    signal = normal(*logits.shape, seed=2)
    target = layer.flip_sum(x, logits, signal)
    monkeypatch.setattr("raysweep.estimators.layered.layers.LEAST_EXPANDED", 1)
    found = layer.flip_sum(x, logits, signal)
    assert not torch.equal(found, target)
    torch.testing.assert_close(found, target, rtol=1e-13, atol=1e-13 * signal.abs().sum().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reach", [0.01, 0.0625, 0.3, 1.0, 1.5, 2.0, 3.0, 4.0])
@replicated
def test_the_expansion_of_a_dense_layer_errs_by_rounding_alone(dtype, reach, replicas, monkeypatch):
    weight = normal(*replicas, 20, 30).tanh()
    weight = weight * (reach / 2 / weight.abs().max())
    x = random_signs(*replicas, 50, 20)
    logits = 3 * normal(*replicas, 50, 30, seed=1)
    signal = normal(*replicas, 50, 30, seed=2)
    exact = Dense(weight, weight[..., 0, :]).flip_sum(x, logits, signal)
    monkeypatch.setattr("raysweep.estimators.layered.layers.LEAST_EXPANDED", 1)
    layer = Dense(weight.to(dtype), weight[..., 0, :].to(dtype))
    found = layer.flip_sum(x.to(dtype), logits.to(dtype), signal.to(dtype))
    sizes = signal.abs().sum(-1, keepdim=True)  # of the terms that round
    error = ((found.double() - exact).abs() / sizes).max().item()
    assert error < 5 * torch.finfo(dtype).eps


def test_weights_out_of_reach_are_summed_term_by_term():
    (layer,) = network(70, 80)
    layer.weight.data[0, 0] = 2.001
    x, signal = random_signs(5, 70), normal(5, 80)
    logits = layer(x).detach()
    found = layer.flip_sum(x, logits, signal)
    target = General(layer).flip_sum(x, logits, signal)
    torch.testing.assert_close(found, target, **EXACT)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_a_diverged_replica_spoils_no_other_ones_sums(kind, bad):
    if kind == "dense":
        layer = Dense(normal(2, 70, 80) / 9, normal(2, 80))
        x = random_signs(2, 5, 70)
    else:
        layer = Convolution(normal(2, 32, 16, 3, 3) / 9, normal(2, 32))
        x = random_signs(2, 2, 16, 4, 4)
    logits = layer(x).detach()
    signal = torch.ones_like(logits)
    target = layer.flip_sum(x, logits, signal)
    layer.weight.data[1] = bad
    logits[1] = bad
    found = layer.flip_sum(x, logits, signal)
    torch.testing.assert_close(found[0], target[0], rtol=1e-10, atol=1e-10)


def test_a_pack_takes_the_way_that_its_runs_take():
    """A sum is expanded by the number of a replica's weights, not by that of the pack's."""
    small = Dense(normal(100, 10, 10) / 9, normal(100, 10))
    x = random_signs(100, 2, 10)
    logits = small(x).detach()
    found = small.flip_sum(x, logits, logits)
    alone = Dense(small.weight[3].detach(), small.bias[3].detach())
    assert torch.equal(found[3], alone.flip_sum(x[3], logits[3], logits[3]))


@pytest.mark.parametrize("largest", [1e-9, 0.01, 0.5, 1.0, 1.0001, 4.0])
def test_an_expansion_reaches_as_far_as_it_is_asked_to(largest):
    logits = normal(3, 4)
    made = expand(logits, torch.ones_like(logits), largest)
    assert largest <= made.reach <= max(2 * largest, 2.0**-6)
    assert len(made.terms) == orders(made.reach, torch.float64) - 1
    assert orders(made.reach, torch.float32) < orders(made.reach, torch.float64)


@replicated
@sampled
def test_a_general_layer_is_its_dense_one(replicas, samples):
    (layer,) = network(4, 5, replicas=replicas)
    general = General(layer, replicas[0] if replicas else None)
    x = random_signs(*samples, *replicas, 6, 4)
    logits = layer(x).detach()
    assert torch.equal(general(x), layer(x))
    torch.testing.assert_close(
        general.flip_sum(x, logits, normal(*logits.shape)),
        layer.flip_sum(x, logits, normal(*logits.shape)),
        **EXACT,
    )


def test_a_general_layer_of_images_is_its_convolution():
    layer = convolution((2, 3, 2, 2), 2, ())
    general = General(layer, input_axes=3)
    x = random_signs(2, 5, 3, 6, 6)
    logits = layer(x).detach()
    signal = normal(*logits.shape)
    torch.testing.assert_close(
        general.flip_sum(x, logits, signal), layer.flip_sum(x, logits, signal), **EXACT
    )


def test_a_general_layer_may_have_a_nonlinear_map():
    module = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5)).double()
    layer, x = General(module), random_signs(3, 4)
    logits = layer(x).detach()
    found = layer.flip_sum(x, logits, torch.ones_like(logits))
    for index in range(4):
        other = x.clone()
        other[:, index] *= -1
        target = (logits.sigmoid() - module(other).sigmoid()).sum(-1)
        torch.testing.assert_close(found[:, index], target.detach(), **EXACT)


def test_a_general_layer_has_no_moments():
    with pytest.raises(NotImplementedError, match="General has no moments: it may not be linear"):
        General(nn.Tanh()).moments(torch.zeros(2), torch.zeros(2))


def all_signs(units):
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=units))).double()


def test_moments_are_those_of_independent_inputs():
    (layer,) = network(4, 3)
    p = torch.tensor([0.1, 0.4, 0.7, 0.95]).double()
    states = all_signs(4)
    weight = torch.where(states > 0, p, 1 - p).prod(-1, keepdim=True)
    logits = layer(states).detach()
    mean = (weight * logits).sum(0)
    variance = (weight * (logits - mean).square()).sum(0)
    of_input = (2 * p - 1)[None]
    for found, target in zip(
        layer.moments(of_input, 1 - of_input.square()), (mean, variance), strict=True
    ):
        torch.testing.assert_close(found[0], target, **EXACT)


@replicated
@pytest.mark.parametrize("name", ["psa", "adf", "local_reparam", "reinforce", "exact", "rebar"])
def test_estimates_of_convolutions_are_those_of_their_dense_layers(name, replicas):
    if name == "exact":  # of few states
        layers = [convolution((1, 1, 2, 2), 1, replicas), convolution((2, 1, 2, 2), 1, replicas)]
        sizes = [(1, 3, 4), (1, 2, 3)]
    else:
        layers, sizes = images(replicas=replicas), [(1, 5, 5), (2, 4, 4)]
    flat = [as_dense(layer, size) for layer, size in zip(layers, sizes, strict=True)]
    x = normal(*replicas, 2, *sizes[0])
    noise = {"seeds": [1, 2, 3]} if replicas else {"seed": 1}
    method = estimators.get(name, family="layered", samples=2)
    found = method.estimate(layers, x, Head(loss_of_image, 3), Noise(**noise))
    target = method.estimate(
        flat, x.flatten(-3), Head(lambda s: loss_of_image(s[..., None, None])), Noise(**noise)
    )
    assert [state.flatten(-3).tolist() for state in found.states] == [
        state.tolist() for state in target.states
    ]
    torch.testing.assert_close(found.value, target.value, **EXACT)
    for layer, dense in zip(layers, flat, strict=True):
        (of_bias,) = torch.autograd.grad(found.surrogate.sum(), layer.bias, retain_graph=True)
        (of_units,) = torch.autograd.grad(target.surrogate.sum(), dense.bias, retain_graph=True)
        channels = of_units.unflatten(-1, (layer.bias.shape[-1], -1)).sum(-1)
        torch.testing.assert_close(of_bias, channels, rtol=1e-10, atol=1e-10)


def test_a_linear_head_reads_images():
    (dense,) = network(8, 3)
    head = LinearHead(dense, lambda scores: scores.logsumexp(-1), axes=3)
    state = random_signs(2, 5, 2, 2, 2)
    assert torch.equal(head.scores(state), dense(state.flatten(-3)))
    plain = Head(head.function, axes=3)
    torch.testing.assert_close(head.flips(state), plain.flips(state), **EXACT)


@pytest.mark.parametrize("numbers", [1, 30, 2**22])
@pytest.mark.parametrize("kind", ["dense", "convolution", "head"])
def test_chunks_change_nothing(kind, numbers, monkeypatch):
    def results():
        if kind == "head":
            return Head(loss_of_image, axes=3).flips(random_signs(2, 5, 2, 2, 3))
        layer = network(6, 5)[0] if kind == "dense" else convolution((2, 3, 2, 2), 1, ())
        x = random_signs(7, 6) if kind == "dense" else random_signs(7, 3, 4, 4)
        logits = layer(x).detach()
        return layer.flip_sum(x, logits, logits)

    target = results()
    monkeypatch.setattr("raysweep.estimators.layered.flips.NUMBERS_AT_ONCE", numbers)
    torch.testing.assert_close(results(), target, **EXACT)


def test_parameters_that_were_selected_are_a_smaller_pack():
    layer = Dense(normal(3, 4, 5), normal(3, 5))
    image = Convolution(normal(3, 2, 1, 2, 2), normal(3, 2))
    for one in (layer, image):
        one.weight = nn.Parameter(one.weight[[0, 2]].detach())
        one.bias = nn.Parameter(one.bias[[0, 2]].detach())
        assert one.replicas == 2
        one.replicas = 2
        with pytest.raises(ValueError, match="parameters have 2 replicas, got 3"):
            one.replicas = 3
    assert layer(random_signs(2, 6, 4)).shape == (2, 6, 5)
    assert image(random_signs(2, 6, 1, 3, 3)).shape == (2, 6, 2, 2, 2)


def test_a_convolution_is_torchs():
    layer = convolution((2, 3, 2, 2), 2, ())
    x = random_signs(4, 3, 6, 6)
    target = functional.conv2d(x, layer.weight, layer.bias, stride=2)
    torch.testing.assert_close(layer(x), target, **EXACT)

"""Methods that follow another network's loss, against that loss written out."""

import itertools
import math

import pytest
import torch
from case_tables import assert_slopes
from layered_cases import get, gradients, loss_of, loss_of_path, network, normal

from raysweep.estimators import Noise
from raysweep.estimators.layered import Head, Path
from raysweep.testing.estimators import layered_problem, standard_errors

SAME = {"rtol": 1e-10, "atol": 1e-12}
ROWS = 20_000
SIZES = (3, 4, 3, 2)


def after_moments(layers, x, mean_of):
    """Means of the last units, where `mean_of` maps moments of pre-activations to mean states."""
    mean = torch.tanh(layers[0](x) / 2)
    for index, layer in enumerate(layers[1:]):
        location = layer(mean)
        variance = (1 - mean.square()) @ layer.weight.square()
        mean = mean_of(index, location, variance)
    return mean


def adf_mean(_, location, variance):
    scale = math.pi**2 / 3
    return 2 * torch.sigmoid(location * (scale / (variance + scale)).sqrt()) - 1


def reparam_mean(normals):
    def mean_of(index, location, variance):
        return 2 * torch.sigmoid(location + variance.sqrt() * normals[index]) - 1

    return mean_of


def expected_head(head, mean):
    """The head's expectation over independent units with these means, `*B units`."""
    total = 0
    for state in itertools.product((-1.0, 1.0), repeat=mean.shape[-1]):
        signs = torch.tensor(state, dtype=mean.dtype)
        total = total + ((1 + signs * mean) / 2).prod(-1) * head(signs)
    return total


def head_of(rows):
    return lambda state: rows.objective(Path((state[None],), ()))[0]


def sampled(name, rows, seed=3):
    out = get(name).estimate(rows.layers, rows.x, rows.objective, Noise(seed=seed))
    return out, rows.gradients(out.surrogate)


@pytest.mark.parametrize("units", [(3, 2), (2, 3, 2), (3,)], ids=str)
def test_adf_follows_its_own_expected_loss(units):
    small = layered_problem(units)
    loss = expected_head(head_of(small), after_moments(small.layers, small.x, adf_mean))
    target = small.gradients(loss)
    out, sample = sampled("adf", small.copies(ROWS))
    assert standard_errors(sample, target).max() < 5
    assert standard_errors(out.relaxed[:, 0], loss.detach()) < 5


@pytest.mark.parametrize("units", [(3, 2), (2, 3, 2)], ids=str)
def test_local_reparam_follows_its_own_expected_loss(units):
    small = layered_problem(units)
    rows = small.copies(ROWS)
    normals = [normal(ROWS, 1, count, seed=count) for count in units[1:]]
    loss = expected_head(head_of(rows), after_moments(rows.layers, rows.x, reparam_mean(normals)))
    others = rows.gradients(loss)
    out, sample = sampled("local_reparam", small.copies(ROWS))
    assert standard_errors(sample - others, torch.zeros(())).max() < 5
    assert standard_errors(out.relaxed - loss.detach(), torch.zeros(())).max() < 5


@pytest.mark.parametrize("name", ["adf", "local_reparam"])
def test_moments_follow_a_formula_sample_by_sample(name):
    """Given the noise, the gradient is the effects of the last units times those of their means."""
    layers, x = network(*SIZES), normal(20, 3)
    out = get(name).estimate(layers, x, Head(loss_of), Noise(seed=1))
    noise = Noise(seed=1)
    draws = [noise.uniform(20, 1, count, dtype=torch.float64)[:, 0] for count in SIZES[2:]]
    mean_of = adf_mean
    if name == "local_reparam":
        mean_of = reparam_mean([torch.special.ndtri(uniform) for uniform in draws])
        last = noise.uniform(20, 1, 2, dtype=torch.float64)[:, 0]
    else:
        last = Noise(seed=1).uniform(20, 1, 2, dtype=torch.float64)[:, 0]
    mean = after_moments(layers, x, mean_of)
    state = torch.where(last < (1 + mean.detach()) / 2, 1.0, -1.0).double()
    torch.testing.assert_close(out.relaxed, loss_of(state), **SAME)
    total = 0
    for unit in range(2):
        up, down = state.clone(), state.clone()
        up[:, unit], down[:, unit] = 1, -1
        total = total + mean[:, unit] * (loss_of(up) - loss_of(down)) / 2
    torch.testing.assert_close(gradients(layers, out.surrogate), gradients(layers, total), **SAME)


@pytest.mark.parametrize("name", ["adf", "local_reparam"])
@pytest.mark.parametrize("seed", range(3))
def test_approximate_means_are_near_the_exact_ones(name, seed):
    layers, x = network(3, 6, 5, 3, scale=0.6, seed=seed), normal(1, 3, seed=seed)
    exact = [
        get("exact").estimate(layers, x, Head(lambda s, u=unit: s[..., u]), Noise()).surrogate
        for unit in range(3)
    ]
    out = get(name, samples=ROWS)
    for unit, target in enumerate(exact):
        head = Head(lambda s, u=unit: s[..., u])
        mean = out.estimate(layers, x, head, Noise(seed=seed)).relaxed
        assert (mean - target).abs().max() < 0.06


@pytest.mark.parametrize("name", ["adf", "local_reparam"])
def test_with_one_layer_moments_are_exact(name):
    small = layered_problem((3,))
    exact = get("exact").estimate(small.layers, small.x, small.objective, Noise())
    _, sample = sampled(name, small.copies(ROWS))
    assert standard_errors(sample, small.gradients(exact.surrogate)).max() < 5


def concrete_path(layers, x, noise, temperature):
    states, logits = [], []
    for layer, logistic in zip(layers, noise, strict=True):
        logits.append(layer(states[-1] if states else x)[None] if not states else layer(states[-1]))
        states.append(2 * torch.sigmoid((logits[-1] + logistic) / temperature) - 1)
    return Path(tuple(states), tuple(logits))


def tanh_path(layers, x, slope):
    states, logits = [], []
    for layer in layers:
        logits.append(layer(states[-1]) if states else layer(x)[None])
        states.append(torch.tanh(slope * logits[-1]))
    return Path(tuple(states), tuple(logits))


def logistic_noise(samples, batch, seed=1):
    noise = Noise(seed=seed)
    draws = [noise.uniform(batch, samples, count, dtype=torch.float64) for count in SIZES[1:]]
    return [torch.logit(uniform).movedim(1, 0) for uniform in draws]


def assert_follows(method, path_of):
    """The relaxed loss is that of the path, and the gradient its slope by finite differences."""
    layers, x = network(*SIZES, scale=0.7), normal(5, 3)
    out = method.estimate(layers, x, loss_of_path, Noise(seed=1))

    def loss():
        return loss_of_path(path_of(layers, x)).mean(0).detach()

    torch.testing.assert_close(out.relaxed, loss(), **SAME)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    weights = torch.linspace(0.2, 1.7, 5, dtype=torch.float64)
    slopes = gradients(layers, out.surrogate, weights)
    assert_slopes(parameters, slopes, lambda _: (weights @ loss()).item())


@pytest.mark.parametrize(("temperature", "samples"), [(0.5, 1), (0.3, 2), (2.0, 3)])
def test_concrete_follows_the_relaxed_network_of_its_noise(temperature, samples):
    noise = logistic_noise(samples, 5)
    method = get("concrete", temperature=temperature, samples=samples)
    assert_follows(method, lambda layers, x: concrete_path(layers, x, noise, temperature))


@pytest.mark.parametrize(("slope", "samples"), [(1.0, 1), (0.5, 2), (2.0, 3)])
def test_tanh_follows_the_network_of_tanh_units(slope, samples):
    method = get("tanh", slope=slope, samples=samples)
    assert_follows(method, lambda layers, x: tanh_path(layers, x, slope))


def test_a_cold_concrete_network_is_the_hard_one_of_its_noise():
    layers, x = network(*SIZES), normal(50, 3)
    out = get("concrete", temperature=1e-7).estimate(layers, x, Head(loss_of), Noise(seed=1))
    hard = get("reinforce").estimate(layers, x, Head(loss_of), Noise(seed=1))
    torch.testing.assert_close(out.relaxed, hard.value, **SAME)


def test_a_temperature_of_concrete_is_twice_that_of_a_tanh():
    """`tanh((a + noise) / T)` is the paper's form."""
    layers, x = network(3, 2), normal(5, 3)
    out = get("concrete", temperature=0.4).estimate(layers, x, Head(loss_of), Noise(seed=1))
    uniform = Noise(seed=1).uniform(5, 1, 2, dtype=torch.float64)[:, 0]
    target = loss_of(torch.tanh((layers[0](x) + torch.logit(uniform)) / 0.8))
    torch.testing.assert_close(out.relaxed, target.detach(), **SAME)


@pytest.mark.parametrize("name", ["tanh", "concrete", "adf", "local_reparam"])
def test_the_value_is_no_relaxed_loss(name):
    layers, x = network(*SIZES), normal(50, 3)
    out = get(name).estimate(layers, x, Head(loss_of), Noise(seed=1))
    torch.testing.assert_close(out.value, loss_of(out.states[-1]), **SAME)
    assert not torch.equal(out.value, out.relaxed)

"""PSA and straight-through: where they are exact, and what their formulas say sample by sample."""

import pytest
import torch
from layered_cases import get, gradients, loss_of, network, random_signs

from raysweep.estimators import Noise
from raysweep.estimators.layered import Head, LinearHead
from raysweep.estimators.layered.layers import Dense
from raysweep.testing.estimators import (
    EveryPath,
    exact_layered_gradient,
    expected_layered_gradient,
    layered_problem,
    leaf,
    total_variance,
)

EXACT = {"rtol": 0, "atol": 1e-12}
SAME = {"rtol": 1e-10, "atol": 1e-12}
enhanced = pytest.mark.parametrize("enhanced", [False, True], ids=["plain", "enhanced"])


@enhanced
@pytest.mark.parametrize("units", [[4], [4, 1], [5, 1, 1], [3, 1, 1, 1]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_psa_is_exact_with_one_unit_in_every_layer_but_the_first(units, seed, enhanced):
    small = layered_problem(units, seed=seed)
    expected = expected_layered_gradient(get("psa", head_enhancement=enhanced), small)
    torch.testing.assert_close(expected, exact_layered_gradient(small), **EXACT)


@pytest.mark.parametrize("units", [[2, 3, 2], [3, 4], [1, 4], [2, 1, 3]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_psa_is_exact_for_the_last_layer_of_any_network(units, seed):
    small = layered_problem(units, seed=seed)
    of_last = small.part(len(units) - 1)
    expected = expected_layered_gradient(get("psa"), small)[..., of_last]
    torch.testing.assert_close(expected, exact_layered_gradient(small)[..., of_last], **EXACT)


@pytest.mark.parametrize("units", [[1, 4], [1, 1, 5]], ids=str)
def test_psa_is_not_exact_with_several_units_in_the_last_layer(units):
    """Although proposition 3 of the paper says so: the product that it linearises is theirs."""
    small = layered_problem(units)
    excess = expected_layered_gradient(get("psa"), small) - exact_layered_gradient(small)
    before_last = slice(0, small.part(len(units) - 1).start)
    assert excess[before_last].abs().max() > 0.01


@pytest.mark.parametrize("units", [[3], [2, 3, 2], [2, 1, 3]], ids=str)
def test_an_enhanced_head_has_an_unbiased_gradient_of_less_variance(units):
    small = layered_problem(units, seed=1)
    every = EveryPath(small)
    target = exact_layered_gradient(small)[-units[-1] :]
    variances = []
    for is_enhanced in (False, True):
        rows = small.copies(len(every.weights))
        method = get("psa", head_enhancement=is_enhanced)
        out = method.estimate(rows.layers, rows.x, rows.objective, every)
        sample = rows.gradients(out.surrogate)[:, -units[-1] :]
        torch.testing.assert_close(every.weights @ sample, target, **EXACT)
        variances.append((every.weights[:, None] * (sample - target).square()).sum())
    assert variances[1] < 0.9 * variances[0]


def test_an_enhanced_head_leaves_the_layers_gradients_alone():
    small = layered_problem((3, 2)).copies(50)
    plain, other = (
        small.gradients(
            get("psa", head_enhancement=is_enhanced)
            .estimate(small.layers, small.x, small.objective, Noise())
            .surrogate
        )[:, :-2]
        for is_enhanced in (False, True)
    )
    torch.testing.assert_close(plain, other, **SAME)


def by_algorithm_1(layers, x, head, states):
    """The paper's algorithm, whose expression E is differentiated by autograd."""
    q, before = None, x
    for layer, state in zip(layers, states, strict=True):
        a = layer(before)
        carried = state * a.sigmoid()
        if q is not None:
            moved = a.unsqueeze(-2) - 2 * before.unsqueeze(-1) * layer.weight
            jacobian = state.unsqueeze(-2) * (a.sigmoid().unsqueeze(-2) - moved.sigmoid())
            carried = carried + (q.unsqueeze(-1) * jacobian.detach()).sum(-2)
        q, before = carried - carried.detach(), state
    flips = before.unsqueeze(-2) * (1 - 2 * torch.eye(before.shape[-1], dtype=before.dtype))
    differences = head(before).unsqueeze(-1) - head(flips)
    return head(before) + (differences.detach() * q).sum(-1)


@pytest.mark.parametrize("sizes", [(3, 4), (3, 4, 5, 2), (2, 3, 3, 3, 3)], ids=str)
def test_psa_follows_algorithm_1_sample_by_sample(sizes):
    layers, x = network(*sizes), random_signs(20, sizes[0])
    out = get("psa").estimate(layers, x, Head(loss_of), Noise(seed=1))
    target = by_algorithm_1(layers, x, loss_of, out.states)
    for index in range(len(x)):
        found, expected = (gradients(layers, one[index]) for one in (out.surrogate, target))
        torch.testing.assert_close(found, expected, **SAME)


def linearised_psa(layers, x, slope, states):
    """Gradients to all pre-activations, with F and the head replaced by their tangents.

    `slope` is the head's derivative at the last states.
    """
    logits = [layer(before) for layer, before in zip(layers, (x, *states), strict=False)]
    back, found = 2 * states[-1] * slope, []
    for index in reversed(range(len(layers))):
        p = logits[index].detach().sigmoid()
        signal = back * states[index] * p * (1 - p)
        found.append(signal)
        if index:
            back = 2 * states[index - 1] * (signal @ layers[index].weight.detach().mT)
    return logits, found[::-1]


@pytest.mark.parametrize("sizes", [(3, 4), (3, 4, 5, 2), (2, 3, 3, 3, 3)], ids=str)
def test_straight_through_is_psa_with_tangents_for_the_sigmoid_and_the_head(sizes):
    layers, x = network(*sizes), random_signs(20, sizes[0])
    out = get("straight_through").estimate(layers, x, Head(loss_of), Noise(seed=1))
    last = leaf(out.states[-1])
    (slope,) = torch.autograd.grad(loss_of(last).sum(), last)
    logits, of_logits = linearised_psa(layers, x, slope, out.states)
    for index in range(len(x)):
        found = gradients(layers, out.surrogate[index])
        carried = sum((a * g)[index].sum() for a, g in zip(logits, of_logits, strict=True))
        torch.testing.assert_close(found, gradients(layers, carried), **SAME)


@pytest.mark.parametrize("replicas", [(), (3,)], ids=["one", "replicas"])
@pytest.mark.parametrize("numbers", [1, 2**22])
@enhanced
def test_a_linear_head_is_the_head_of_its_scores(replicas, numbers, enhanced, monkeypatch):
    monkeypatch.setattr("raysweep.estimators.layered.flips.NUMBERS_AT_ONCE", numbers)
    (*layers, last) = network(3, 4, 5, 6, replicas=replicas)
    x = random_signs(*replicas, 7, 3)
    method = get("psa", head_enhancement=enhanced, samples=2)
    noise = {"seeds": [1, 2, 3]} if replicas else {"seed": 1}
    found = []
    for head in (
        LinearHead(last, lambda scores: scores.logsumexp(-1)),
        Head(lambda state: last(state).logsumexp(-1)),
    ):
        out = method.estimate(layers, x, head, Noise(**noise))
        found.append((out.value, *gradients([*layers, last], out.surrogate)))
    torch.testing.assert_close(*found, **SAME)


def test_samples_vary_less():
    small = layered_problem((2, 3, 2)).copies(4000)
    few, many = (
        total_variance(
            small.gradients(
                get("psa", samples=samples)
                .estimate(small.layers, small.x, small.objective, Noise(seed=2))
                .surrogate
            )
        ).mean()
        for samples in (1, 4)
    )
    assert many == pytest.approx(few / 4, rel=0.2)


def saved_numbers(layers, batch):
    """Count of the numbers that an estimate saves for its backward pass."""
    counts = []

    def pack(x):
        counts.append(x.numel())
        return x

    x = random_signs(batch, 32, dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        get("psa").estimate(layers, x, Head(loss_of), Noise())
    return sum(counts)


def test_saved_memory_grows_linearly_with_the_layers():
    """Nothing of the size of a layer's weights times the batch is among it."""
    counts = [saved_numbers(network(*[32] * (n + 1), dtype=torch.float32), 100) for n in (2, 4, 8)]
    first, second = (counts[2] - counts[1]) / 4, (counts[1] - counts[0]) / 2
    assert first == second
    assert first < 5 * (100 * 32 + 32 * 32)


def test_largest_tensor_of_the_backward_sums_is_bounded(monkeypatch):
    """In chunks, whatever the batch: a sum over flips has a term for each weight and example."""
    monkeypatch.setattr("raysweep.estimators.layered.flips.NUMBERS_AT_ONCE", 5000)
    layer = Dense(torch.randn(20, 30), torch.randn(30))
    x = random_signs(100, 20, dtype=torch.float32)
    sizes = []
    sigmoid = torch.Tensor.sigmoid

    def watched(tensor):
        sizes.append(tensor.numel())
        return sigmoid(tensor)

    logits = layer(x).detach()
    monkeypatch.setattr(torch.Tensor, "sigmoid", watched)
    layer.flip_sum(x, logits, torch.ones_like(logits))
    assert max(sizes) <= 5000

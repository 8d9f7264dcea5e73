"""Enumeration against sums written out, and its two ways against each other."""

import itertools

import pytest
import torch
from layered_cases import get, gradients, loss_of, loss_of_path, network, normal, random_signs

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Convolution, Head, Path
from raysweep.testing.estimators import layered_problem

EXACT = {"rtol": 1e-11, "atol": 1e-12}


def exact(layers, x, objective, **noise):
    return get("exact").estimate(layers, x, objective, Noise(**noise))


def written_out(layers, x, objective, *, detached=True):
    """The expectation of one example, state by state."""
    units = [layer.bias.shape[-1] for layer in layers]
    total = 0
    for state in itertools.product((-1.0, 1.0), repeat=sum(units)):
        states = torch.tensor(state).double().split(units)
        probability, before, logits = 1, x, []
        for layer, after in zip(layers, states, strict=True):
            logits.append(layer(before))
            probability = probability * (after * logits[-1]).sigmoid().prod()
            before = after
        kept = tuple(a.detach() if detached else a for a in logits)
        path = Path(tuple(s[None] for s in states), tuple(a[None] for a in kept))
        total = total + probability * objective(path)[0]
    return total


objectives = pytest.mark.parametrize(
    "objective", [Head(loss_of), loss_of_path], ids=["chain", "joint"]
)


@objectives
@pytest.mark.parametrize("sizes", [(3, 4), (3, 4, 2), (2, 3, 1, 3)], ids=str)
def test_expectation_is_the_sum_over_paths(sizes, objective):
    layers, x = network(*sizes), normal(3, sizes[0])
    found = exact(layers, x, objective).surrogate
    for index, row in enumerate(x):
        target = written_out(layers, row, objective)
        torch.testing.assert_close(found[index], target, **EXACT)
        torch.testing.assert_close(
            gradients(layers, found[index]), gradients(layers, target), **EXACT
        )


@objectives
def test_the_familys_exact_expectation_is_that_of_its_estimator(objective):
    layers, x = network(3, 4, 2), normal(5, 3)
    expected = estimators.layered.exact(layers, x, objective)
    out = exact(layers, x, objective)
    torch.testing.assert_close(expected, out.surrogate, **EXACT)
    found = gradients(layers, expected)
    torch.testing.assert_close(found, gradients(layers, out.surrogate), **EXACT)


def test_the_chain_is_the_sum_over_joint_states():
    layers, x = network(3, 4, 2, 3), normal(5, 3)
    head = Head(loss_of)
    chain, joint = (exact(layers, x, one).surrogate for one in (head, head.__call__))
    torch.testing.assert_close(chain, joint, **EXACT)
    torch.testing.assert_close(gradients(layers, chain), gradients(layers, joint), **EXACT)


def test_log_probabilities_of_the_states_add_no_gradient():
    """So that an objective may hold them as numbers, as a bound does."""
    layers, x = network(2, 3, 2), normal(2)
    kept, detached = (
        gradients(layers, written_out(layers, x, loss_of_path, detached=one))
        for one in (False, True)
    )
    torch.testing.assert_close(kept, detached, **EXACT)


@objectives
def test_replicas_are_their_own_expectations(objective):
    layers, x = network(3, 4, 2, replicas=(3,)), normal(3, 5, 3)
    found = exact(layers, x, objective, seeds=[1, 2, 3]).surrogate
    of_layers = gradients(layers, found)
    for replica in range(3):
        alone = network(3, 4, 2, replicas=(3,))
        for layer in alone:
            layer.weight.data, layer.bias.data = (
                layer.weight[replica].data,
                layer.bias[replica].data,
            )
        target = exact(alone, x[replica], objective).surrogate
        torch.testing.assert_close(found[replica], target, **EXACT)
        for one, other in zip(of_layers, gradients(alone, target), strict=True):
            torch.testing.assert_close(one[replica], other, **EXACT)


@objectives
def test_gradients_reach_the_objectives_parameters(objective):
    layers, x = network(3, 4, 2), normal(5, 3)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    if isinstance(objective, Head):
        scaled = Head(lambda state: scale * loss_of(state))
    else:
        scaled = lambda path: scale * loss_of_path(path)  # noqa: E731
    found = exact(layers, x, scaled).surrogate
    (slope,) = torch.autograd.grad(found.sum(), scale)
    torch.testing.assert_close(slope, found.sum().detach(), **EXACT)


def test_convolutions_are_enumerated():
    layer = Convolution(normal(2, 1, 2, 2), normal(2, seed=1))
    x = normal(3, 1, 2, 3, seed=2)
    found = exact([layer], x, Head(lambda state: loss_of(state.flatten(-3)), axes=3)).surrogate
    p = layer(x).flatten(1).sigmoid()
    target = 0
    for state in itertools.product((-1.0, 1.0), repeat=4):
        signs = torch.tensor(state).double()
        target = target + torch.where(signs > 0, p, 1 - p).prod(-1) * loss_of(signs)
    torch.testing.assert_close(found, target, **EXACT)


def test_the_gradient_does_not_depend_on_the_hard_samples():
    small = layered_problem((3, 2))
    first, second = (
        get("exact", samples=samples).estimate(
            small.layers, small.x, small.objective, Noise(seed=samples)
        )
        for samples in (1, 4)
    )
    assert torch.equal(first.surrogate, second.surrogate)


@pytest.mark.parametrize(
    ("units", "batch", "reads_all", "shown"),
    [
        ((25,), 1, False, "3.36e+07"),
        ((13, 13), 1, False, "6.71e+07"),
        ((20,), 17, False, "1.78e+07"),
        ((13, 13), 1, True, "6.71e+07"),
        ((2000,), 1, False, r"more than 1e\+300"),
        ((2000,), 1, True, r"more than 1e\+300"),
        ((12, 11), 3, True, "2.52e+07"),
    ],
    ids=str,
)
def test_too_many_states_are_refused(units, batch, reads_all, shown):
    layers = network(1, *units, dtype=torch.float32)
    objective = loss_of_path if reads_all else Head(loss_of)
    message = f"needs at most 16777216 states times examples, got {shown.replace('+0', '.0')}; use"
    with pytest.raises(ValueError, match=message):
        exact(layers, torch.zeros(batch, 1), objective)


def test_as_many_states_as_the_limit_are_enumerated(monkeypatch):
    monkeypatch.setattr("raysweep.estimators.layered.enumeration.MAX_NUMBERS", 5 * 2**6)
    layers = network(1, 4, 2)
    for objective in (loss_of_path, Head(loss_of)):
        exact(layers, normal(5, 1), objective)
    with pytest.raises(ValueError, match="got 384; use fewer units"):
        exact(layers, normal(6, 1), loss_of_path)


def test_sure_states_have_finite_gradients_in_float32():
    layers = network(3, 4, 2, scale=1e3, dtype=torch.float32)
    x = random_signs(5, 3, dtype=torch.float32)
    for objective in (loss_of_path, Head(loss_of)):
        out = exact(layers, x, objective)
        assert all(found.isfinite().all() for found in gradients(layers, out.surrogate))
        assert out.surrogate.isfinite().all()

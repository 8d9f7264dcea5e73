"""Weights of control variates, and other settings of them, that change after they were made."""

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.testing.estimators import leaf

WEIGHTED = ["muprop", "rebar", "relax"]
RELAXED = ["rebar", "relax"]
LAYERED = ["muprop", "rebar"]
FIXED = {
    "muprop": {"learn_eta": False},
    **{name: {"learn_eta": False, "learn_temperature": False} for name in RELAXED},
}
VALUES = [
    0.7,
    torch.tensor([0.3, -1.2]).double(),
    -0.5,
    torch.tensor([0.0, 2.5]).double(),
]


def gradient(method):
    """The gradient of one estimate, for two replicas."""
    logits = leaf(torch.linspace(-1, 1, 30).double().reshape(2, 3, 5))
    weights = torch.linspace(0, 1, 5).double()
    out = method.estimate(
        logits, lambda d: (d * weights).sum((-2, -1)).square(), Noise(seeds=[0, 1])
    )
    return torch.autograd.grad(out.surrogate.sum(), logits)[0]


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weight_that_was_changed_is_as_one_that_was_given(name):
    changed = estimators.get(name, **FIXED[name])
    for value in VALUES:
        changed.set_eta(value)
        given = estimators.get(name, eta=value, **FIXED[name])
        assert torch.equal(gradient(changed), gradient(given))


@pytest.mark.parametrize("name", RELAXED)
def test_a_temperature_of_a_control_that_was_changed_is_as_one_that_was_given(name):
    changed = estimators.get(name, **FIXED[name])
    for value in (3.0, torch.tensor([0.5, 4.0]).double(), 0.1):
        changed.set_temperature(value)
        given = estimators.get(name, temperature=value, **FIXED[name])
        assert torch.equal(gradient(changed), gradient(given))


@pytest.mark.parametrize("family", ["categorical", "layered"])
@pytest.mark.parametrize("name", LAYERED)
def test_a_learned_weight_cannot_be_set(family, name):
    method = estimators.get(name, family=family)
    with pytest.raises(ValueError, match="eta is learned and cannot be set; set learn_eta to fal"):
        method.set_eta(0.5)
    assert method.eta == 1


@pytest.mark.parametrize("family", ["categorical", "layered"])
def test_a_learned_temperature_cannot_be_set(family):
    method = estimators.get("rebar", family=family)
    with pytest.raises(ValueError, match="temperature is learned and cannot be set"):
        method.set_temperature(0.1)
    assert method.temperature == 0.5


@pytest.mark.parametrize("name", RELAXED)
def test_a_weight_that_is_0_from_the_start_cannot_be_set(name):
    method = estimators.get(name, eta=0.0, learn_eta=False)
    with pytest.raises(ValueError, match="eta 0 leaves the relaxed samples out"):
        method.set_eta(0.5)


@pytest.mark.parametrize("family", ["categorical", "layered"])
@pytest.mark.parametrize("eta", [float("nan"), torch.tensor([1.0, float("inf")])])
def test_a_weight_that_is_not_finite_changes_nothing(family, eta):
    method = estimators.get("muprop", family=family, learn_eta=False)
    with pytest.raises(ValueError, match="eta must be finite"):
        method.set_eta(eta)
    assert method.eta == 1


@pytest.mark.parametrize("value", [0.2, torch.tensor([0.2, 3.0])])
def test_a_temperature_of_layers_can_change(value):
    method = estimators.get("concrete", family="layered")
    method.set_temperature(value)
    assert torch.equal(torch.as_tensor(method.temperature), torch.as_tensor(value))


def test_a_temperature_of_layers_must_be_positive():
    with pytest.raises(ValueError, match="temperature must be finite and > 0, got -1"):
        estimators.get("concrete", family="layered").set_temperature(-1.0)

"""Temperatures that change after an estimator was made."""

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.base import PathwiseEstimator
from raysweep.testing.estimators import leaf

PATHWISE = [
    name for name in estimators.names() if isinstance(estimators.get(name), PathwiseEstimator)
]


def gradient(method):
    """The gradient of one sample, for two replicas."""
    logits = leaf(torch.linspace(-1, 1, 30).double().reshape(2, 3, 5))
    sample = method.sample(logits, Noise(seeds=[0, 1]))
    weights = torch.linspace(0, 1, 30).double().reshape(2, 3, 5)
    return torch.autograd.grad((sample * weights).sum(), logits)[0]


@pytest.mark.parametrize("name", PATHWISE)
def test_a_temperature_that_was_changed_is_as_one_that_was_given(name):
    changed = estimators.get(name)
    for value in (3.0, torch.tensor([1.5, 4.0]).double(), 2.0, torch.tensor([2.0, 2.5]).double()):
        changed.set_temperature(value)
        given = estimators.get(name, temperature=value)
        assert torch.equal(gradient(changed), gradient(given))


@pytest.mark.parametrize("value", [2.0, torch.tensor([1.0, 2.0]), 0.5])
def test_a_temperature_that_was_refused_changes_nothing(value):
    method = estimators.get("reinmax", baseline="uniform")
    with pytest.raises(ValueError, match="temperature"):
        method.set_temperature(value)
    assert method.temperature == 1


@pytest.mark.parametrize("name", PATHWISE)
def test_replicas_with_one_temperature_left_go_on_as_if_made_for_them_alone(name):
    """Bit for bit: a number is not rounded as a tensor is, in some estimators."""
    logits, weights = (torch.linspace(a, b, 24).reshape(1, 4, 6) for a, b in ((-2, 2), (0, 1)))
    for value in torch.linspace(1, 3, 51):
        cut = estimators.get(name, temperature=torch.stack((value, torch.tensor(4.0))))
        cut.select(torch.tensor([0]))
        gradients = []
        for method in (cut, estimators.get(name, temperature=value.item())):
            theta = leaf(logits)
            sample = method.sample(theta, Noise(seeds=[0]))
            gradients.append(torch.autograd.grad((sample * weights).sum(), theta)[0])
        assert torch.equal(*gradients), value

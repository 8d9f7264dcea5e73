"""The estimate of a stacked run's memory, beside what torch keeps for a gradient."""

import pytest
import torch
from stacked_models import MODELS, batch_normalised, convolutional, make
from torch import nn

from raysweep.estimators.none import NoEstimator
from raysweep.tasks.stacked.memory import activations


def kept(module, x):
    """The numbers per example that torch keeps for the gradient, without parameters."""
    parameters = {one.untyped_storage().data_ptr() for one in module.parameters()}
    sizes = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = module(x)
        loss = output.square().mean()
    assert loss.requires_grad
    return sum(size for key, size in sizes.items() if key not in parameters) / len(x)


def wide():
    return nn.Sequential(
        nn.Linear(200, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )


def images():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()
    )


INPUTS = {
    wide: torch.rand(16, 200),
    images: torch.rand(4, 3, 32, 32),
    MODELS["transformer layer"][0]: torch.arange(48).reshape(4, 12) % 7,
}


@pytest.mark.parametrize("build", INPUTS, ids=lambda build: build.__name__)
def test_activations_are_estimated_within_a_factor_of_six(build):
    module = build()
    assert 1 / 6 < activations(module) / kept(module, INPUTS[build]) < 6


@pytest.mark.parametrize("build", [batch_normalised, convolutional])
def test_a_larger_batch_and_an_optimizer_with_moments_need_more(build):
    task = make(build)
    numbers = sum(parameter.numel() for parameter in build().parameters())
    rows = {"batch_size": 8}, {"batch_size": 80}, {"batch_size": 8, "optimizer": "sgd"}
    small, large, plain = (task.replica_bytes(task.settings(**row), NoEstimator()) for row in rows)
    assert large > small > plain > 4 * numbers

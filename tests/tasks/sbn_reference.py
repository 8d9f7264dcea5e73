"""Belief networks of one replica in plain torch, with all states of their layers."""

from itertools import pairwise, product

import torch
from torch.distributions import Bernoulli
from torch.nn import functional

from raysweep import estimators, tasks
from raysweep.estimators import Noise
from raysweep.tasks import data


def build(name, seeds=(0, 1), **changes):
    """A small network of two layers in float64, with weights and biases that matter."""
    small = {
        "dataset": "digits",
        "validation_examples": 0,
        "latents": (2, 2),
        "hidden": (3, 4),
        "batch_size": 6,
        "dtype": "float64",
    }
    task = tasks.get(name)
    settings = task.settings(**{**small, **changes})
    model = task.model(settings, list(seeds), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data += noise / 5
    return model


def parameters(model, replica):
    """The parameters of one replica by name, as leaves of a graph."""
    return {
        name: value[replica].detach().clone().requires_grad_()
        for name, value in model.named_parameters()
    }


def mapped(x, values, prefix):
    """The pre-activations of a map: linear, or with two layers of tanh units in between."""
    weights = [name for name in values if name.startswith(prefix) and name.endswith("weight")]
    for index, name in enumerate(weights):
        x = torch.tanh(x) if index else x
        x = x @ values[name] + values[name.removesuffix("weight") + "bias"]
    return x


def states(*sizes):
    """All states of some layers: a list of rows of ±1, one for each layer."""
    for bits in product((-1.0, 1.0), repeat=sum(sizes)):
        row = torch.tensor(bits, dtype=torch.float64)
        yield row.split(list(sizes))


def log_law(state, logits):
    """Log-probability of units of ±1, summed over the last axis."""
    return Bernoulli(logits=logits).log_prob(((state + 1) / 2).expand_as(logits)).sum(-1)


def log_q(values, x, layers):
    """Log-probability of the layers' states given the encoded images, of each image."""
    total, before = 0, x
    for index, state in enumerate(layers):
        total = total + log_law(state, mapped(before, values, f"inference.{index}."))
        before = state.expand(len(x), -1)
    return total


def neg_log_pixels(values, state, target):
    """-log p(target | state), of each image."""
    logits = mapped(state, values, "generative.0.")
    loss = functional.binary_cross_entropy_with_logits(
        logits.expand_as(target), target, reduction="none"
    )
    return loss.sum(-1)


def neg_log_joint(values, layers, target):
    """-log p(target, states) of the generative model, of each image."""
    total = neg_log_pixels(values, layers[0], target) - log_law(layers[-1], values["prior"][0])
    for index, (below, above) in enumerate(pairwise(layers), 1):
        total = total - log_law(below, mapped(above, values, f"generative.{index}."))
    return total


def digits():
    """The digits, in float64."""
    return data.load("digits", dtype=torch.float64)


def trained(model, method="exact", **settings):
    """The losses of a model's first step by an estimator."""
    method = estimators.get(method, family="layered", **settings)
    return model.losses(0, method, Noise(seeds=[0, 1], purpose="train"))

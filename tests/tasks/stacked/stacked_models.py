"""Small modules, data and losses of stacked tasks, for tests."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from raysweep.estimators.none import NoEstimator
from raysweep.tasks.base import Replica
from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.stacked import NO_NOISE
from raysweep.tasks.stacked.task import stacked_task

METRICS = {"train_loss": "min"}


def vectors(folder):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 12, generator=generator, dtype=torch.float64)
    y = (x[:, :3].sum(1) > 0).long() + (x[:, 3] > 0.5)
    return {"train": (x[:40], y[:40]), "test": (x[40:], y[40:])}


def images(folder):
    parts = vectors(folder)
    return {name: (x.unflatten(1, (1, 3, 4)), y) for name, (x, y) in parts.items()}


def tokens(folder):
    parts = vectors(folder)
    return {name: ((x * 3).long() % 7, y) for name, (x, y) in parts.items()}


def loss(model, batch, noise):
    x, y = batch
    return cross_entropy(model(x), y)


def smooth(model, batch, noise, *, smoothing: float = 0.0, scale: float = 1.0):
    x, y = batch
    scores = model(x) * scale
    uniform = -log_softmax(scores, 1).mean()
    return (1 - smoothing) * cross_entropy(scores, y) + smoothing * uniform


def accuracy(model, data):
    x, y = data["test"]
    return {"test_accuracy": (model(x).argmax(1) == y).double().mean()}


class Attention(nn.Module):
    """Tokens to scores, by an embedding and self-attention."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.scores = nn.Linear(8, 3)

    def forward(self, x):
        h = self.tokens(x)
        mixed, _ = self.attention(h, h, h, need_weights=False)
        return self.scores((h + mixed).mean(1))


class Recurrent(nn.Module):
    """Scores of the last state of a cell that reads one value after another."""

    def __init__(self):
        super().__init__()
        self.cell, self.scores = nn.RNNCell(1, 6), nn.Linear(6, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), 6)
        for column in x.unbind(1):
            h = self.cell(column[:, None], h)
        return self.scores(h)


class Tied(nn.Module):
    """Two layers with one weight, which must stay one."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.scores = nn.Linear(12, 3)

    def forward(self, x):
        return self.scores(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Frozen(nn.Module):
    """Frozen random features, a buffer, and a trained layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Linear(12, 16).requires_grad_(False)
        self.register_buffer("shift", torch.rand(16))
        self.scores = nn.Linear(16, 3)

    def forward(self, x):
        return self.scores(torch.relu(self.features(x) + self.shift))


class Noisy(nn.Module):
    """A network with dropout and Gaussian noise."""

    def __init__(self):
        super().__init__()
        self.first, self.scores = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, x, noise=NO_NOISE, p=0.0):
        return self.scores(noise.dropout(torch.relu(self.first(x)), p))


def mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )


def batch_normalised():
    norm = nn.BatchNorm1d(16, track_running_stats=False)
    return nn.Sequential(nn.Linear(12, 16, bias=False), norm, nn.ReLU(), nn.Linear(16, 3))


def layer_normalised():
    return nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))


def convolutional_batch_norm():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), norm, nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    )


def group_normalised():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    )


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Embedding(7, 8), layer, nn.Flatten(), nn.Linear(96, 3))


def attention():
    return Attention()


def recurrent():
    return Recurrent()


def tied():
    return Tied()


def frozen():
    return Frozen()


MODELS = {
    "mlp": (mlp, vectors),
    "convolution": (convolutional, images),
    "batch norm": (batch_normalised, vectors),
    "batch norm of images": (convolutional_batch_norm, images),
    "layer norm": (layer_normalised, vectors),
    "group norm": (group_normalised, images),
    "attention": (attention, tokens),
    "transformer layer": (transformer, tokens),
    "recurrent cell": (recurrent, vectors),
    "tied weights": (tied, vectors),
    "frozen weights and a buffer": (frozen, vectors),
}

UNDETERMINED = {"attention", "transformer layer"}
"""Models with a bias that no loss depends on: that of the keys, before the softmax."""


def make(build=mlp, data=vectors, loss=loss, evaluate=None, metrics=METRICS):
    """A task of these functions."""
    return stacked_task(loss=loss, data=data, evaluate=evaluate, metrics=metrics)(build)


def start(task, seeds, rows=None, device="cpu", **settings):
    """A training of runs with these seeds, in float64 unless asked otherwise."""
    chosen = task.settings(**{"batch_size": 8, "lr": 0.01, "dtype": "float64", **settings})
    rows = itertools.repeat({}) if rows is None else rows
    replicas = [
        Replica(f"run {index}", seed, row)
        for index, (seed, row) in enumerate(zip(seeds, rows, strict=False))
    ]
    return task.start(chosen, replicas, NoEstimator(), torch.device(device))


def weights(training):
    """Copies of all tensors of a training's model, by name."""
    return {name: value.clone() for name, value in training.state_dict()["model"].items()}


def refusal(**functions):
    """The message of the mistake, the same from the driver and from a worker."""
    task = make(**functions)
    with pytest.raises(TaskMistake) as in_driver:
        task.prepare(task.settings(batch_size=8), None)
    with pytest.raises(TaskMistake) as in_worker:
        start(task, [0], dtype="float32")
    assert str(in_driver.value) == str(in_worker.value)
    assert "\n" not in str(in_driver.value)
    return str(in_driver.value)

"""A classifier of digits, written for one run; raysweep trains the runs of a pack at once."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

import raysweep
from raysweep import NO_NOISE
from raysweep.tasks import data as data_sets
from raysweep.tasks.stacked import RunNoise


class Classifier(nn.Module):
    """Two hidden layers with dropout."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, hidden), nn.Linear(hidden, hidden)
        self.scores = nn.Linear(hidden, 10)

    def forward(
        self, x: Tensor, noise: RunNoise = NO_NOISE, dropout: float | Tensor = 0.0
    ) -> Tensor:
        """Return log-probabilities of the classes."""
        for layer in (self.first, self.second):
            x = noise.dropout(torch.relu(layer(x)), dropout)
        return self.scores(x).log_softmax(-1)


def digits(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Return images and classes; the digits come with scikit-learn, so that no file is read."""
    images, labels = data_sets.load("digits"), data_sets.load_labels("digits")
    return {"train": (images.train, labels.train), "test": (images.test, labels.test)}


def loss(
    model: nn.Module,
    batch: tuple[Tensor, Tensor],
    noise: RunNoise,
    *,
    dropout: float = 0.2,
    smoothing: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the cross-entropy with smoothed labels, and the accuracy."""
    x, y = batch
    log_p = model(x, noise, dropout)
    value = (1 - smoothing) * nll_loss(log_p, y) - smoothing * log_p.mean()
    return value, {"train_accuracy": (log_p.argmax(-1) == y).float().mean()}


def evaluate(model: nn.Module, data: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Return the accuracy on the test set, without dropout."""
    x, y = data["test"]
    return {"test_accuracy": (model(x).argmax(-1) == y).float().mean()}


@raysweep.stacked_task(
    loss=loss,
    data=digits,
    evaluate=evaluate,
    metrics={"train_loss": "min", "train_accuracy": "max", "test_accuracy": "max"},
)
def digits_stacked(*, hidden: int = 64, steps: int = 600) -> nn.Module:
    """A multilayer perceptron on 8 x 8 digits."""
    return Classifier(hidden)

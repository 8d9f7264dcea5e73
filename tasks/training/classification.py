"""Losses and accuracies of classifiers."""

from jaxtyping import Float, Int
from torch import Tensor


def cross_entropy(
    scores: Float[Tensor, "R B classes"], labels: Int[Tensor, "R B"]
) -> Float[Tensor, "R B"]:
    """Return -log of the labels' softmax probabilities."""
    return -scores.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def accuracy(
    scores: Float[Tensor, "R B classes"], labels: Int[Tensor, "R B"]
) -> Float[Tensor, " R"]:
    """Return the share of examples whose label has the largest score."""
    return (scores.detach().argmax(-1) == labels).to(scores.dtype).mean(1)

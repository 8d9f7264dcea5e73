"""Likelihood and metrics of a Gaussian mixture, the same for every kind of fit."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.tasks.base import Metric

AXES = ("x", "y")

METRICS: Mapping[str, Metric] = {
    "train_loss": Metric("min", "nats", "mean over examples of -log likelihood, before an update"),
    "neg_log_likelihood": Metric(
        "min", "nats", "mean over examples of -log likelihood, after the last update", at_end=True
    ),
    "mean_likelihood": Metric("max", "", "mean over examples of the mixture's density"),
    "weight_1": Metric("min", "", "share of component 1, in the order of the start; not a score"),
    "mean_1_x": Metric("min", "", "position of component 1's mean on the first axis; not a score"),
    "mean_2_x": Metric("min", "", "position of component 2's mean on the first axis; not a score"),
    "mean_1_y": Metric(
        "min",
        "",
        "position of component 1's mean on the second axis, if any",
        needs={"dimensions": 2},
    ),
    "mean_2_y": Metric(
        "min",
        "",
        "position of component 2's mean on the second axis, if any",
        needs={"dimensions": 2},
    ),
}


def log_densities(
    x: Float[Tensor, "B D"], means: Float[Tensor, "R C D"], factors: Float[Tensor, "R C D D"]
) -> Float[Tensor, "R B C"]:
    """Return the log-density of every example under every component.

    Args:
        x: Examples to evaluate.
        means: Means of the components.
        factors: Lower triangles L of the covariances L L^T, with the logarithm of L's diagonal on
            the diagonal, so that any numbers give positive definite covariances. Entries above
            the diagonal are ignored.
    """
    centred = x[:, None] - means[:, None]
    log_diagonal = factors.diagonal(dim1=-2, dim2=-1)
    whitened: list[Tensor] = []  # L^-1 (x - mean), solved forward, one axis at a time
    for row in range(x.shape[-1]):
        remainder = centred[..., row]
        for column, solved in enumerate(whitened):
            remainder = remainder - factors[:, None, :, row, column] * solved
        whitened.append(remainder * torch.exp(-log_diagonal[:, None, :, row]))
    squares = torch.stack(whitened).square().sum(0)
    constant = x.shape[-1] * math.log(2 * math.pi)
    return -0.5 * (squares + constant) - log_diagonal.sum(-1)[:, None]


def log_factors(covariances: Float[Tensor, "R C D D"]) -> Float[Tensor, "R C D D"]:
    """Return the factors of these covariances, in the form that `log_densities` takes."""
    lower = torch.linalg.cholesky(covariances)
    diagonal = lower.diagonal(dim1=-2, dim2=-1)
    return lower.tril(-1) + torch.diag_embed(diagonal.log())


def log_likelihoods(
    log_weights: Float[Tensor, "R C"], log_density: Float[Tensor, "R B C"]
) -> Float[Tensor, "R B"]:
    """Return the log-density of every example under the mixture: log sum_c p_c N(x; c)."""
    return (log_weights[:, None] + log_density).logsumexp(-1)


@torch.no_grad()
def describe(
    log_weights: Float[Tensor, "R C"],
    log_likelihood: Float[Tensor, "R B"],
    means: Float[Tensor, "R C D"],
) -> Mapping[str, Float[Tensor, " R"]]:
    """Return the metrics of a step, by the same formulas for every kind of fit.

    Components keep their order from the start; in one dimension there is no `y`.
    """
    metrics = {
        "train_loss": -log_likelihood.mean(-1),
        "mean_likelihood": log_likelihood.exp().mean(-1),
        "weight_1": log_weights[:, 0].exp(),
    }
    # Copies: an update overwrites the means before the metrics are read.
    for component, mean in enumerate(means.clone().unbind(1), start=1):
        for axis, position in zip(AXES, mean.unbind(-1), strict=False):
            metrics[f"mean_{component}_{axis}"] = position
    return metrics

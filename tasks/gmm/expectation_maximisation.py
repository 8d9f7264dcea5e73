"""Expectation maximisation as a training: one iteration of scikit-learn per step."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.tasks.base import Replica, resolve_window
from raysweep.tasks.gmm.mixture import describe, log_densities, log_factors, log_likelihoods
from raysweep.tasks.gmm.settings import COMPONENTS, GmmSettings, draw_data, draw_start


class Mixtures(NamedTuple):
    """Mixtures of all replicas, in float64 on the CPU."""

    weights: Float[Tensor, "R C"]
    means: Float[Tensor, "R C D"]
    covariances: Float[Tensor, "R C D D"]


class ExpectationMaximisation:
    """Pack in training by EM, each replica in turn; always in float64 on the CPU.

    Scikit-learn adds 1e-6 to the covariances' diagonals at each iteration, so none collapses.

    Args:
        settings: Settings of the pack; those of the optimizer are not used.
        replicas: Replicas in the order of the axis `R`.
        device: Device of the metrics.
    """

    def __init__(
        self, settings: GmmSettings, replicas: Sequence[Replica], device: torch.device
    ) -> None:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - a dependency of scikit-learn

        self.step = 0
        self.window = resolve_window(settings, 1)
        self._threads = ThreadpoolController()
        self._device = device
        self.x = draw_data(settings)
        means = draw_start(settings, [replica.seed for replica in replicas])
        weights = means.new_full((len(replicas), COMPONENTS), 1 / COMPONENTS)
        identity = torch.eye(settings.dimensions, dtype=means.dtype)
        covariances = identity.repeat(*weights.shape, 1, 1)
        self._mixtures = Mixtures(weights, means, covariances)

    def advance(self, steps: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Run some iterations; return the means of the metrics before each of them.

        Raises:
            ValueError: If `steps` is not positive.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        # For matrices of two rows, threads cost ten times more than the computation.
        with self._threads.limit(limits=1, user_api="blas"):
            rows = [self._advance_once() for _ in range(steps)]
        return {
            name: torch.stack([row[name] for row in rows]).mean(0).to(self._device)
            for name in rows[0]
        }

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the negative log-likelihood per example after the last iteration."""
        return {"neg_log_likelihood": self._describe()["train_loss"].to(self._device)}

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self._mixtures = Mixtures(*(value[keep.cpu()] for value in self._mixtures))

    def state_dict(self) -> dict[str, Any]:
        """Return the step and the mixtures."""
        return {"step": self.step, "mixtures": self._mixtures._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training with the same settings and replicas."""
        self.step = state["step"]
        self._mixtures = Mixtures(**state["mixtures"])

    def _advance_once(self) -> Mapping[str, Float[Tensor, " R"]]:
        metrics = self._describe()
        updated = [iterate(self.x, Mixtures(*one)) for one in zip(*self._mixtures, strict=True)]
        self._mixtures = Mixtures(*map(torch.stack, zip(*updated, strict=True)))
        self.step += 1
        return metrics

    def _describe(self) -> Mapping[str, Float[Tensor, " R"]]:
        weights, means, covariances = self._mixtures
        log_weights = weights.log()
        log_density = log_densities(self.x, means, log_factors(covariances))
        return describe(log_weights, log_likelihoods(log_weights, log_density), means)


def iterate(x: Float[Tensor, "B D"], mixture: Mixtures) -> Mixtures:
    """Run an iteration on a mixture without the axis `R`; keep it if a number is not finite."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - takes a second, for EM only
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415

    if not all(value.isfinite().all() for value in mixture):
        return mixture
    fitted = GaussianMixture(
        len(mixture.weights),
        tol=0.0,
        max_iter=1,
        init_params="random",  # the cheapest; the given start replaces it
        weights_init=mixture.weights.numpy(),
        means_init=mixture.means.numpy(),
        precisions_init=torch.linalg.inv(mixture.covariances).numpy(),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x.numpy())
    return Mixtures(*map(torch.as_tensor, (fitted.weights_, fitted.means_, fitted.covariances_)))

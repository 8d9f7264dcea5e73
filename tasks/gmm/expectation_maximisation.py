"""Expectation maximisation as a training: an iteration of scikit-learn's per step."""

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
    """One mixture per replica, in float64 on the CPU."""

    weights: Float[Tensor, "R C"]
    means: Float[Tensor, "R C D"]
    covariances: Float[Tensor, "R C D D"]


class ExpectationMaximisation:
    """A pack in training by EM, each replica in turn; in float64 on the CPU, whatever is asked.

    Scikit-learn adds 1e-6 to the covariances' diagonals at each iteration, so that none collapses.

    Args:
        settings: The pack's; learning rates and the like are not used.
        replicas: In the order of the axis `R`.
        device: Where metrics go.
    """

    def __init__(
        self, settings: GmmSettings, replicas: Sequence[Replica], device: torch.device
    ) -> None:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - scikit-learn's own

        self.step = 0
        self.window = resolve_window(settings, 1)
        self._threads = ThreadpoolController()
        self._device = device
        self._x = draw_data(settings)
        means = draw_start(settings, [replica.seed for replica in replicas])
        weights = means.new_full((len(replicas), COMPONENTS), 1 / COMPONENTS)
        identity = torch.eye(settings.dimensions, dtype=means.dtype)
        covariances = identity.repeat(*weights.shape, 1, 1)
        self._mixtures = Mixtures(weights, means, covariances)

    def advance(self, steps: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Iterates that many times; the metrics' means over the iterations, before each.

        Raises:
            ValueError: If `steps` is not positive.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        # Threads for matrices of two rows cost ten times what they compute.
        with self._threads.limit(limits=1, user_api="blas"):
            each = [self._advance_once() for _ in range(steps)]
        return {
            name: torch.stack([one[name] for one in each]).mean(0).to(self._device)
            for name in each[0]
        }

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """The negative log-likelihood per example after the last iteration."""
        return {"neg_log_likelihood": self._describe()["train_loss"].to(self._device)}

    def select(self, keep: Tensor) -> None:
        """Drops replicas: `keep` is a boolean mask or indices, over the present ones."""
        self._mixtures = Mixtures(*(value[keep.cpu()] for value in self._mixtures))

    def state_dict(self) -> dict[str, Any]:
        """The step and the mixtures."""
        return {"step": self.step, "mixtures": self._mixtures._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the state of a training of the same settings and replicas."""
        self.step = state["step"]
        self._mixtures = Mixtures(**state["mixtures"])

    def _advance_once(self) -> Mapping[str, Float[Tensor, " R"]]:
        metrics = self._describe()
        updated = [iterate(self._x, Mixtures(*one)) for one in zip(*self._mixtures, strict=True)]
        self._mixtures = Mixtures(*map(torch.stack, zip(*updated, strict=True)))
        self.step += 1
        return metrics

    def _describe(self) -> Mapping[str, Float[Tensor, " R"]]:
        weights, means, covariances = self._mixtures
        log_weights = weights.log()
        log_density = log_densities(self._x, means, log_factors(covariances))
        return describe(log_weights, log_likelihoods(log_weights, log_density), means)


def iterate(x: Float[Tensor, "B D"], mixture: Mixtures) -> Mixtures:
    """One iteration from a mixture without the axis `R`; numbers that are not finite stay."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - a second, for EM only
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415

    if not all(value.isfinite().all() for value in mixture):
        return mixture
    fitted = GaussianMixture(
        len(mixture.weights),
        tol=0.0,
        max_iter=1,
        init_params="random",  # the cheapest of what the given start replaces
        weights_init=mixture.weights.numpy(),
        means_init=mixture.means.numpy(),
        precisions_init=torch.linalg.inv(mixture.covariances).numpy(),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x.numpy())
    return Mixtures(*map(torch.as_tensor, (fitted.weights_, fitted.means_, fitted.covariances_)))

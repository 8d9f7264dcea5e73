"""Measurement of an estimator's gradients on networks, during training and at its end."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from raysweep.estimators.layered import LayeredEstimator
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import Replica, replica_values
from raysweep.tasks.pauses import pause
from raysweep.tasks.sbn.quality import (
    LAYERS,
    LayerQuality,
    Network,
    estimates,
    exact_gradients,
    expected_losses,
    measures,
)
from raysweep.tasks.sbn.quality_settings import SbnGradientQualitySettings
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select

DRAWS_AT_ONCE = 50  # bounds memory, and the measurement's noise depends on it


class Subject:
    """Networks to measure.

    Exact numbers are computed of every network alone, so they do not depend on the others.

    Args:
        networks: Distinct networks, whose parameters lead with R = 1.
        together: Network of all replicas.
        rows: Index of every replica's network among all networks, one after the other.
    """

    def __init__(
        self, networks: Sequence[Network], together: Network, rows: Int[Tensor, " R"]
    ) -> None:
        self.networks, self.together, self.rows = networks, together, rows

    def expected_losses(self) -> tuple[Float[Tensor, "R B"], Float[Tensor, " R"]]:
        """Return the exact expectation of each example's loss, and the means over examples."""
        losses = [expected_losses(one) for one in self.networks]
        means = [one.mean(1) for one in losses]
        return torch.cat(losses)[self.rows], torch.cat(means)[self.rows]

    def exact_gradients(self) -> list[Float[Tensor, "R M"]]:
        """Return the exact gradient to each layer's parameters, flat, in float64."""
        by_layer = zip(*(exact_gradients(one) for one in self.networks), strict=True)
        return [torch.cat(gradients)[self.rows] for gradients in by_layer]


class Measurement(nn.Module):
    """Measurement of an estimator, and the results of the last one during training.

    Args:
        settings: Settings of the task.
        replicas: Replicas in the order of the axis `R`.
        estimator: Estimator to measure, built for the networks; it is not changed.
        device: Device of the networks.
    """

    estimates: Tensor

    def __init__(
        self,
        settings: SbnGradientQualitySettings,
        replicas: Sequence[Replica],
        estimator: LayeredEstimator,
        device: torch.device,
    ) -> None:
        super().__init__()
        self._settings = settings
        counts = replica_values("estimates", settings, replicas)
        self.register_buffer("estimates", torch.tensor(counts, device=device))
        self._estimator = (estimator,)  # in a tuple, so that it is not a submodule
        seeds = [replica.seed for replica in replicas]
        self._noises = {
            purpose: Noise(seeds=seeds, purpose=purpose) for purpose in ("measure", "measure last")
        }
        self._latest: LastEvaluation | None = None
        if settings.evaluate_every is not None:
            self._latest = LastEvaluation(self._measured(), len(seeds), device)

    @property
    def estimator(self) -> LayeredEstimator:
        """Estimator that is measured."""
        return self._estimator[0]

    def during(
        self, step: int, subject: Callable[[], Subject]
    ) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the last measurement, after a new one at the first step of an interval."""
        if self._latest is None or self._settings.evaluate_every is None:
            return {}
        index, since = divmod(step, self._settings.evaluate_every)
        if since == 0:
            self._latest.hold(self._measure(subject(), self._noises["measure"], index))
        return self._latest.metrics()

    def last(self, subject: Subject) -> dict[str, Float[Tensor, " R"]]:
        """Return the measurement after the last update."""
        return self._measure(subject, self._noises["measure last"], 0)

    def select(self, keep: Tensor) -> None:
        """Drop replicas, other than the estimator's."""
        select(self, keep)
        self.select_noise(keep)

    def select_noise(self, keep: Tensor) -> None:
        """Drop replicas of the noise alone."""
        for noise in self._noises.values():
            noise.select(keep)

    def _measure(self, subject: Subject, noise: Noise, index: int) -> dict[str, Tensor]:
        """Measure estimates; leave the estimator unchanged."""
        losses, expected = subject.expected_losses()
        metrics = {"expected_loss": expected}
        draws = self._settings.draws
        if draws < 2:
            return metrics
        exact = subject.exact_gradients()[:LAYERS]
        qualities = [LayerQuality(gradient, self.estimates) for gradient in exact]
        baseline = losses if self._settings.exact_baseline else None
        parts = -(-draws // DRAWS_AT_ONCE)
        for part in range(parts):
            pause()
            noise.at(index * parts + part)
            # always the same number of draws, as fewer would repeat numbers of an earlier part
            drawn = estimates(subject.together, self.estimator, noise, DRAWS_AT_ONCE, baseline)
            for quality, of_layer in zip(qualities, drawn, strict=False):
                quality.add(of_layer[: draws - part * DRAWS_AT_ONCE])
        for number, quality in enumerate(qualities[: self._settings.layers], 1):
            for name, value in quality.metrics().items():
                metrics[f"{name}_layer_{number}"] = value
        return metrics

    def _measured(self) -> list[str]:
        """Return the names of the metrics of a measurement."""
        if self._settings.draws < 2:
            return ["expected_loss"]
        layers = range(1, min(LAYERS, self._settings.layers) + 1)
        suffixes = tuple(f"_layer_{number}" for number in layers)
        return ["expected_loss", *(name for name in measures() if name.endswith(suffixes))]

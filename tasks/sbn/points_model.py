"""Network over the points of a plane, whose gradients are measured."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.layered import Dense, LayeredEstimator, LinearHead, PathObjective
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Replica
from raysweep.tasks.data.points import points
from raysweep.tasks.sbn.initialisation import whitened_dense
from raysweep.tasks.sbn.measurement import Measurement, Subject
from raysweep.tasks.sbn.quality import Network, expected_losses
from raysweep.tasks.sbn.quality_settings import SbnGradientQualitySettings
from raysweep.tasks.training.batches import BatchSampler
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import Losses, Model


class PointsModel(Model):
    """Layers of stochastic binary units and a linear score of the last, with a logistic loss.

    Args:
        settings: Settings of the task.
        replicas: Replicas in the order of the axis `R`.
        device: Device of parameters and points.
    """

    def __init__(
        self,
        settings: SbnGradientQualitySettings,
        replicas: Sequence[Replica],
        device: torch.device,
    ) -> None:
        super().__init__()
        seeds = [replica.seed for replica in replicas]
        data = points()
        self._x = data.x.to(device, DTYPES[settings.dtype])
        self._label = data.label.to(device, DTYPES[settings.dtype])
        self._order = BatchSampler(seeds, len(self._x), settings.batch_size, device)
        noise = Noise(seeds=seeds, purpose="init")
        sizes = [2, *[settings.units] * settings.layers, 1]
        x = self._x.expand(len(seeds), -1, -1)
        *layers, self.head = whitened_dense(sizes, x, noise)
        self.layers = nn.ModuleList(layers)

    @property
    def dense(self) -> list[Dense]:
        """Layers of stochastic units."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    def losses(self, step: int, estimator: LayeredEstimator, noise: Noise) -> Losses:
        """Return the loss of a batch of points."""
        order = self._order.batch(step)
        x, objective = self._x[order], _objective(self.head, self._label[order])
        baseline = self._baseline(x, objective)
        estimate = estimator.estimate(self.dense, x, objective, noise, context=x, baseline=baseline)
        # NaN parameters still give samples: adding 0 times a parameter makes a diverged loss NaN.
        probe = self.head.bias.detach().sum(1)
        train_loss = torch.add(estimate.value.mean(1), probe, alpha=0)
        return Losses(estimate.surrogate, estimate.tuning_loss, {"train_loss": train_loss})

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return no metrics: measurements are of replicas, which may share a network."""
        return {}

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        self._order.select(keep)

    def _baseline(self, x: Tensor, objective: PathObjective) -> Float[Tensor, "R B"] | None:
        """Return the estimator's baseline for a batch."""
        return None

    def network(self) -> Network:
        """Return the network over all points, at the present parameters."""
        return joined([self], torch.arange(len(self.head.bias), device=self._x.device))

    def over_points(self, layers: Sequence[Dense], head: Dense) -> Network:
        """Return a network with these layers and this head, over all points."""
        weight, bias, label = head.weight.detach(), head.bias.detach(), self._label

        def objective(index: Tensor, dtype: torch.dtype) -> PathObjective:
            copies = Dense(weight[index].to(dtype), bias[index].to(dtype))
            return _objective(copies, label.to(dtype).expand(len(index), -1))

        return Network(layers, self._x.expand(len(weight), -1, -1), objective)


class MeasuredModel(PointsModel):
    """Network that follows the gradient that is measured.

    Args:
        settings: Settings of the task.
        replicas: Replicas in the order of the axis `R`.
        measurement: Measurement of the estimator.
        device: Device of parameters and points.
    """

    def __init__(
        self,
        settings: SbnGradientQualitySettings,
        replicas: Sequence[Replica],
        measurement: Measurement,
        device: torch.device,
    ) -> None:
        super().__init__(settings, replicas, device)
        self.measurement = measurement
        self._exact_baseline = settings.exact_baseline

    def losses(self, step: int, estimator: LayeredEstimator, noise: Noise) -> Losses:
        """Return the loss of a batch of points; first measure, at the first step of an interval."""
        measured = self.measurement.during(step, self._subject)
        losses = super().losses(step, estimator, noise)
        return losses._replace(metrics={**losses.metrics, **measured})

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the measurement after the last update."""
        return self.measurement.last(self._subject())

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        super().select(keep)
        self.measurement.select_noise(keep)

    def _baseline(self, x: Tensor, objective: PathObjective) -> Float[Tensor, "R B"] | None:
        if not self._exact_baseline:
            return None
        return expected_losses(Network(self.dense, x, lambda index, dtype: objective))

    def _subject(self) -> Subject:
        network = self.network()
        return Subject([network], network, torch.arange(len(network.x), device=network.x.device))


def joined(models: Sequence[PointsModel], rows: Int[Tensor, " R"]) -> Network:
    """Return the network of all replicas.

    Args:
        models: Distinct networks, whose parameters lead with R = 1.
        rows: Index of every replica's network among all networks, one after the other.
    """

    def of_replicas(layers: Sequence[Dense]) -> Dense:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        bias = torch.cat([layer.bias.detach() for layer in layers])
        return Dense(weight[rows], bias[rows])

    layers = [of_replicas(same) for same in zip(*(one.dense for one in models), strict=True)]
    return models[0].over_points(layers, of_replicas([one.head for one in models]))


def _objective(head: Dense, label: Float[Tensor, "R B"]) -> LinearHead:
    """Return the logistic loss of the score."""
    return LinearHead(head, lambda scores: functional.softplus(-label * scores.squeeze(-1)))

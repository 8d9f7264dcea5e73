"""Comparison of a layered estimator's gradients with the exact ones, at a point of training."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.layered import Dense, LayeredEstimator, LinearHead, PathObjective
from raysweep.estimators.layered.enumeration import LayeredExact
from raysweep.estimators.layered.score import LayeredReinforce
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Metric, Replica, Task, TrainingSettings, setting
from raysweep.tasks.data.points import points
from raysweep.tasks.sbn.initialisation import whitened_dense
from raysweep.tasks.sbn.quality import (
    LAYERS,
    LayerQuality,
    Network,
    estimates,
    exact_gradients,
    expected_losses,
    measures,
)
from raysweep.tasks.training.batches import BatchSampler
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import (
    GradientTraining,
    Losses,
    Model,
    replica_values,
    training_bytes,
)

MAX_UNITS = 10  # 2 ** 20 transitions for each layer and replica
DRAWS_AT_ONCE = 50  # bounds memory, and the measurement's noise depends on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class SbnGradientQualitySettings(TrainingSettings):
    """Settings of `SbnGradientQuality`.

    Defaults follow Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.1, and their
    code; with the default number of steps, the measurement is after epoch 1.

    Raises:
        ValueError: If a value is out of its range.
    """

    units: int = setting(5, "units of every layer, at most 10 so that states can be enumerated")
    layers: int = setting(3, "layers of stochastic binary units")
    trained_by: Literal["reinforce", "exact", "estimator"] = setting(
        "reinforce",
        "gradient that the run follows: REINFORCE's, so that all methods are measured at the same "
        "parameters; the exact one; or the measured method's",
    )
    estimates: int = setting(
        1, "number of estimates that are averaged before they are compared", per_replica=True
    )
    draws: int = setting(10_000, "number of estimates drawn for a measurement", smoke=20)
    exact_baseline: bool = setting(
        False, "give methods that take a baseline each point's exact expected loss"
    )
    evaluate_every: int | None = setting(
        None,
        "steps between two measurements during training, for the curves; a multiple of "
        "report_every; only at the end if not set",
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("sgd", "update rule")
    lr: float = setting(0.03, "learning rate, > 0", per_replica=True)
    momentum: float = setting(0.9, "momentum of sgd, in [0, 1)", per_replica=True)
    steps: int = setting(20, "parameter updates: 20 are an epoch")
    batch_size: int = setting(10, "points per update")
    report_every: int = setting(20, "steps between two rows of a curve")
    dtype: Literal["float32", "float64"] = setting("float64", "floating point format")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.units <= MAX_UNITS:
            raise ValueError(f"units must be in 1..{MAX_UNITS}, got {self.units}")
        for name in ("layers", "estimates", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        every = self.evaluate_every
        if every is not None and (every < 1 or every % self.report_every):
            raise ValueError(
                f"evaluate_every must be a multiple of report_every, {self.report_every}, "
                f"got {every}"
            )


class SbnGradientQuality(Task[LayeredEstimator]):
    """Minimisation of the expected logistic loss of points in the plane, with gradients measured.

    The network has a few layers of stochastic binary units and a linear score of the last one. At
    the end, and during training if so set, many estimates of the gradient over all points are
    drawn at the present parameters and compared with the exact one, layer by layer.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 3 and appendix C.1.
    """

    name: ClassVar[str] = "sbn_gradient_quality"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = SbnGradientQualitySettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "nats", "loss per point at the states sampled in training"),
        "expected_loss": Metric(
            "min",
            "nats",
            "exact expected loss per point",
            at_end=True,
            early="evaluate_every",
        ),
        **measures(),
    }
    family: ClassVar[str] = "layered"

    def check(
        self, settings: SbnGradientQualitySettings, estimator: LayeredEstimator
    ) -> str | None:
        """Return the reason why this pair cannot run, or None."""
        if settings.exact_baseline and not estimator.takes_baseline:
            return f"{estimator.name} takes no baseline; set exact_baseline to false"
        return estimator.check([settings.units] * settings.layers, head=True, linear=True)

    def replica_bytes(
        self, settings: SbnGradientQualitySettings, estimator: LayeredEstimator
    ) -> int:
        """Return the bytes of parameters, and of the estimates that are drawn at once."""
        units, layers = settings.units, settings.layers
        parameters = 3 * units + (layers - 1) * units * (units + 1) + units + 1
        calls = estimator.evaluations(layers) + units
        states = len(points().label) * units * layers * calls
        return training_bytes(parameters, states, settings) * DRAWS_AT_ONCE

    def start(
        self,
        settings: SbnGradientQualitySettings,
        replicas: list[Replica],
        estimator: LayeredEstimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0."""
        estimator.build(settings.layers, 2, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        model = PointsModel(settings, replicas, estimator, device)
        return GradientTraining(model, estimator, settings, replicas, default_window=20)


class PointsModel(Model):
    """Network over the points, with the last measurement of the estimator on it.

    Args:
        settings: Settings of the task.
        replicas: Replicas in the order of the axis `R`.
        estimator: Estimator to measure, built for the network.
        device: Device of parameters and points.
    """

    def __init__(
        self,
        settings: SbnGradientQualitySettings,
        replicas: Sequence[Replica],
        estimator: LayeredEstimator,
        device: torch.device,
    ) -> None:
        super().__init__()
        self._settings = settings
        seeds = [replica.seed for replica in replicas]
        data = points()
        self._x = data.x.to(device, DTYPES[settings.dtype])
        self._label = data.label.to(device, DTYPES[settings.dtype])
        self._order = BatchSampler(seeds, len(self._x), settings.batch_size, device)
        noise = Noise(seeds=seeds, purpose="init")
        sizes = [2, *[settings.units] * settings.layers, 1]
        *layers, self.head = whitened_dense(sizes, self._all(len(seeds)), noise)
        self.layers = nn.ModuleList(layers)
        counts = replica_values("estimates", settings, replicas)
        self.register_buffer("estimates", torch.tensor(counts, device=device))
        self._estimator = (estimator,)  # in a tuple, so that it is not a submodule
        self._reference = {"reinforce": LayeredReinforce(), "exact": LayeredExact()}.get(
            settings.trained_by
        )
        self._noises = {
            purpose: Noise(seeds=seeds, purpose=purpose) for purpose in ("measure", "measure last")
        }
        self._latest: LastEvaluation | None = None
        if settings.evaluate_every is not None:
            self._latest = LastEvaluation(self._measured(), len(seeds), device)

    estimates: Tensor

    def losses(self, step: int, estimator: LayeredEstimator, noise: Noise) -> Losses:
        """Return the loss of a batch of points; first measure, at the first step of an interval."""
        measured: Mapping[str, Tensor] = {}
        if self._latest is not None and self._settings.evaluate_every is not None:
            index, since = divmod(step, self._settings.evaluate_every)
            if since == 0:
                self._latest.hold(self._measure(self._noises["measure"], index))
            measured = self._latest.metrics()
        order = self._order.batch(step)
        x = self._x[order]
        method = estimator if self._reference is None else self._reference
        objective = self._objective(self.head, self._label[order])
        layers = [layer for layer in self.layers if isinstance(layer, Dense)]
        baseline = None
        if self._reference is None and self._settings.exact_baseline:
            network = Network(layers, x, lambda index, dtype: objective)
            baseline = expected_losses(network)
        estimate = method.estimate(layers, x, objective, noise, context=x, baseline=baseline)
        tuning = estimate.tuning_loss if self._reference is None else None
        # NaN parameters still give samples: adding 0 times a parameter makes a diverged loss NaN.
        probe = self.head.bias.detach().sum(1)
        train_loss = torch.add(estimate.value.mean(1), probe, alpha=0)
        return Losses(estimate.surrogate, tuning, {"train_loss": train_loss, **measured})

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the measurement after the last update."""
        return self._measure(self._noises["measure last"], 0)

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        self._order.select(keep)
        for noise in self._noises.values():
            noise.select(keep)

    def _measure(self, noise: Noise, index: int) -> dict[str, Float[Tensor, " R"]]:
        """Measure estimates at the present parameters; leave the estimator unchanged."""
        network = self._network()
        losses = expected_losses(network)
        metrics = {"expected_loss": losses.mean(1)}
        if self._settings.draws < 2:
            return metrics
        exact = exact_gradients(network)[:LAYERS]
        qualities = [LayerQuality(gradient, self.estimates) for gradient in exact]
        baseline = losses if self._settings.exact_baseline else None
        draws = self._settings.draws
        parts = -(-draws // DRAWS_AT_ONCE)
        for part in range(parts):
            noise.at(index * parts + part)
            # always the same number of draws, as fewer would repeat numbers of an earlier part
            drawn = estimates(network, self._estimator[0], noise, DRAWS_AT_ONCE, baseline)
            for quality, of_layer in zip(qualities, drawn, strict=False):
                quality.add(of_layer[: draws - part * DRAWS_AT_ONCE])
        for number, quality in enumerate(qualities[: self._settings.layers], 1):
            for name, value in quality.metrics().items():
                metrics[f"{name}_layer_{number}"] = value
        return metrics

    def _network(self) -> Network:
        layers = [layer for layer in self.layers if isinstance(layer, Dense)]
        weight, bias = self.head.weight.detach(), self.head.bias.detach()

        def objective(index: Tensor, dtype: torch.dtype) -> PathObjective:
            head = Dense(weight[index].to(dtype), bias[index].to(dtype))
            return self._objective(head, self._label.to(dtype).expand(len(index), -1))

        return Network(layers, self._all(len(self.estimates)), objective)

    def _objective(self, head: Dense, label: Float[Tensor, "R B"]) -> LinearHead:
        """Return the logistic loss of the score."""
        return LinearHead(head, lambda scores: functional.softplus(-label * scores.squeeze(-1)))

    def _all(self, replicas: int) -> Float[Tensor, "R N 2"]:
        return self._x.expand(replicas, -1, -1)

    def _measured(self) -> list[str]:
        """Return the names of the metrics of a measurement."""
        if self._settings.draws < 2:
            return ["expected_loss"]
        layers = range(1, min(LAYERS, self._settings.layers) + 1)
        suffixes = tuple(f"_layer_{number}" for number in layers)
        return ["expected_loss", *(name for name in measures() if name.endswith(suffixes))]

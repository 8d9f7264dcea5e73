"""Comparison of a layered estimator's gradients with the exact ones, at a point of training."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from raysweep.estimators.layered import LayeredEstimator
from raysweep.estimators.layered.enumeration import LayeredExact
from raysweep.estimators.layered.score import LayeredReinforce
from raysweep.tasks.base import DTYPES, Metric, Replica, Task
from raysweep.tasks.data.points import points
from raysweep.tasks.sbn.measurement import DRAWS_AT_ONCE, Measurement
from raysweep.tasks.sbn.points_model import MeasuredModel, PointsModel
from raysweep.tasks.sbn.quality import measures
from raysweep.tasks.sbn.quality_settings import SbnGradientQualitySettings
from raysweep.tasks.sbn.reference_training import PointsTraining, ReferenceTraining
from raysweep.tasks.training.loop import GradientTraining, training_bytes

WINDOW = 20  # steps that final training metrics average over, an epoch


class SbnGradientQuality(Task[LayeredEstimator]):
    """Minimisation of the expected logistic loss of points in the plane, with gradients measured.

    The network has a few layers of stochastic binary units and a linear score of the last one. At
    the end, and during training if so set, many estimates of the gradient over all points are
    drawn at the present parameters and compared with the exact one, layer by layer.

    Unless it follows the measured gradient, a network is trained alone, once for all replicas that
    share it, so that these are measured at the same parameters, to the last bit.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 3 and appendix C.1.
    """

    name: ClassVar[str] = "sbn_gradient_quality"
    version: ClassVar[int] = 2
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
    ) -> GradientTraining | ReferenceTraining:
        """Build the training of a pack at step 0."""
        estimator.build(settings.layers, 2, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        measurement = Measurement(settings, replicas, estimator, device)
        if settings.trained_by == "estimator":
            model = MeasuredModel(settings, replicas, measurement, device)
            return GradientTraining(model, estimator, settings, replicas, default_window=WINDOW)
        method = {"reinforce": LayeredReinforce, "exact": LayeredExact}[settings.trained_by]

        def train(replica: Replica) -> PointsTraining:
            model = PointsModel(settings, [replica], device)
            training = GradientTraining(model, method(), settings, [replica], default_window=WINDOW)
            return PointsTraining(model, training)

        return ReferenceTraining(measurement, settings, replicas, train)

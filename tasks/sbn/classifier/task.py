"""Classification by a network of stochastic binary layers."""

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import torch

from raysweep.estimators.layered import LayeredEstimator
from raysweep.estimators.layered.enumeration import MAX_NUMBERS, LayeredExact
from raysweep.estimators.layered.flips import LARGEST_EXPANDED, orders
from raysweep.estimators.layered.psa import PSA
from raysweep.estimators.layered.score import LayeredReinforce
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Metric, Replica, Task
from raysweep.tasks.sbn.classifier.model import Classifier, evaluated_names
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings
from raysweep.tasks.training.loop import GradientTraining, training_bytes


def _evaluated(part: str, kind: str, needs: Mapping[str, float]) -> dict[str, Metric]:
    """Return the metrics of evaluated examples of one kind, by name."""
    of = f"of {kind} examples"
    metrics = {
        f"{part}_loss": Metric(
            "min",
            "nats",
            f"expected loss {of}: -log p(label | states), mean over 10 samples of the network",
        ),
        f"{part}_accuracy_1": Metric(
            "max", "", f"accuracy {of} by one sample of the network, mean over 10"
        ),
        f"{part}_accuracy_10": Metric(
            "max", "", f"accuracy {of} by the mean probabilities of 10 samples"
        ),
        f"{part}_neg_log_likelihood_10": Metric(
            "min", "nats", f"-log of the label's mean probability of 10 samples, {of}"
        ),
    }
    return {
        name: dataclasses.replace(metric, needs=needs, at_end=True, early="evaluate_every")
        for name, metric in metrics.items()
    }


_OF_TRAINING = _evaluated("train", "training", {"evaluate_training": 1})

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric(
            "min", "nats", "expected loss in training: -log p(label | states) at the drawn states"
        ),
        "train_objective": Metric(
            "min", "nats", "loss that the estimator follows: train_relaxed_loss, or else train_loss"
        ),
        "train_relaxed_loss": Metric(
            "min", "nats", "loss of the relaxed network, of the methods that follow one"
        ),
        "train_accuracy": Metric(
            "max",
            "",
            "accuracy in training at the drawn states, the first ones if samples are several",
        ),
        **{name: _OF_TRAINING[name] for name in evaluated_names("train")},
        **_evaluated("valid", "validation", {"validation_examples": 1}),
        **_evaluated("test", "test", {}),
    }
)


class SbnClassifier(Task[LayeredEstimator]):
    """Minimisation of E[-log p(label | states)] of a network with layers of units in {-1, 1}.

    Unit j of a layer is 1 with probability sigmoid(a_j), a being a dense or convolutional map of
    the states before it; a linear map of the last states gives class scores. The network of the
    paper has 8 convolutional layers. Weights of the units' layers are uniform at first, then scaled
    and shifted once so that pre-activations on some training examples have mean 0 and variance 1.

    Methods that follow a relaxed network report its loss as `train_relaxed_loss`, beside the
    expected loss, which is measured at hard samples for all methods. Evaluations draw 10 samples
    of the network: the loss and the accuracy of one sample are means over them, and those of the
    ensemble use the mean of the 10 predictive probabilities.

    Departures from the published code: validation images are the last training images, not drawn;
    the incomplete last batch of an epoch is left out; gradients are not clamped to ±1,000;
    measured losses are plain means over samples, not averaged over flips of the last layer;
    initial states in the whitening pass are samples, unless `whitening` is tanh; affine shifts are
    not rounded to whole pixels. The points are others of the same distribution, and their first
    moments are those of examples, not analytic.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 3 and appendix C.
    """

    name: ClassVar[str] = "sbn_classifier"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = SbnClassifierSettings
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    family: ClassVar[str] = "layered"

    def check(self, settings: SbnClassifierSettings, estimator: LayeredEstimator) -> str | None:
        """Return the reason why this pair cannot run, or None; read no data."""
        if settings.batch_size > settings.training_examples:
            return (
                f"batch_size must be at most {settings.training_examples}, the training examples "
                f"of {settings.dataset}, got {settings.batch_size}"
            )
        if settings.baseline == "running":
            if not estimator.takes_baseline:
                return (
                    "baseline running needs an estimator that subtracts a baseline from the loss, "
                    f"such as reinforce or muprop, got {estimator.name}; set it to none"
                )
            if isinstance(estimator, LayeredReinforce) and estimator.leave_one_out:
                return "baseline running has no effect with leave_one_out; set one of the two off"
        if isinstance(estimator, LayeredExact) and _states(settings) > MAX_NUMBERS:
            return (
                f"exact enumerates at most {MAX_NUMBERS} states, and layers of "
                f"{max(settings.units[1:])} units have more; use a sampling estimator"
            )
        return None

    def prepare(self, settings: SbnClassifierSettings, folder: Path | None) -> None:
        """Download the data set into a folder, the default one if None, unless it is there."""
        data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: SbnClassifierSettings, estimator: LayeredEstimator) -> int:
        """Return the bytes of weights, optimizer state, layer outputs and flips; read no data."""
        dtype, units = DTYPES[settings.dtype], settings.units
        evaluations = estimator.evaluations(len(units) - 1)
        outputs = units[0] + evaluations * (sum(units[1:]) + settings.scores)
        flips = 0
        if estimator.needs_head:
            flips = estimator.samples * units[-1] * settings.scores
        if isinstance(estimator, PSA):
            flips += estimator.samples * max(units) * orders(LARGEST_EXPANDED, dtype)
        whitened = settings.whitening_examples * 2 * max(units)
        examples = settings.training_examples if settings.baseline == "running" else 0
        return (
            training_bytes(settings.parameters, settings.batch_size * (outputs + flips), settings)
            + (whitened + examples) * dtype.itemsize
        )

    def start(
        self,
        settings: SbnClassifierSettings,
        replicas: list[Replica],
        estimator: LayeredEstimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build a pack's training at step 0; the input is the context of learned baselines."""
        model = Classifier(settings, [replica.seed for replica in replicas], device)
        layers, context = len(model.layers), settings.units[0]
        estimator.build(layers, context=context, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        window = model.examples.steps_per_epoch
        return GradientTraining(model, estimator, settings, replicas, default_window=window)


def _states(settings: SbnClassifierSettings) -> float:
    """Return the numbers that exact enumeration holds at once, for one run."""
    units = [min(count, 500) for count in settings.units[1:]]  # 2 ** 1000 is a float, just about
    pairs = [2.0 ** (before + after) for before, after in pairwise(units)]
    return max(settings.batch_size * 2.0 ** units[0], *pairs, 0.0)

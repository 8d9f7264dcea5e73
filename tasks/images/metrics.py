"""Metrics of the tasks that explain images by codes."""

from collections.abc import Mapping
from types import MappingProxyType

from raysweep.tasks.base import Metric


def _valid(meaning: str) -> Metric:
    return Metric(
        "min",
        "nats",
        meaning,
        needs={"validation_examples": 1},
        at_end=True,
        early="evaluate_every",
    )


def _test(meaning: str) -> Metric:
    return Metric("min", "nats", meaning, at_end=True, early="evaluate_every")


BOUND_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric("min", "nats", "loss that training minimises: train_neg_elbo"),
        "train_neg_elbo": Metric("min", "nats", "negative bound per training image, in training"),
        "valid_neg_elbo": _valid("negative bound per validation image, one sample"),
        "valid_neg_bound": _valid("negative multi-sample bound per validation image"),
        "test_neg_elbo": _test("negative bound per test image, sampled codes"),
        "test_neg_bound": _test("negative multi-sample bound per test image (bound_samples codes)"),
    }
)

PREDICTION_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric(
            "min", "nats", "loss that training minimises: train_neg_log_likelihood"
        ),
        "train_neg_log_likelihood": Metric(
            "min", "nats", "-log p(target | code) per training image, in training"
        ),
        "valid_neg_log_likelihood": _valid(
            "-log p(target | code) per validation image, one sample"
        ),
        "valid_neg_bound": _valid("-log of the mean of p(target | code) per validation image"),
        "test_neg_log_likelihood": _test("-log p(target | code) per test image, sampled codes"),
        "test_neg_bound": _test("-log of the mean of p(target | code) per test image"),
    }
)

ACTIVE_UNITS: Mapping[str, Metric] = MappingProxyType(
    {
        "active_units": Metric(
            "max",
            "",
            "latent variables whose probabilities vary over the test images: half the sum over "
            "categories of their variances is above 0.01",
            at_end=True,
            early="evaluate_every",
        )
    }
)

GRADIENT_VARIANCE: Mapping[str, Metric] = MappingProxyType(
    {
        "gradient_variance": Metric(
            "min",
            "",
            "running variance of the encoder's gradient, mean over its weights; only with setting "
            "gradient_variance",
            needs={"gradient_variance": 1},
        )
    }
)

FITTED_BOUND: Mapping[str, Metric] = MappingProxyType(
    {
        "test_neg_bound_fitted": Metric(
            "min",
            "nats",
            "test_neg_bound by an inference network that was trained on the test images; only with "
            "setting fit_test_inference",
            needs={"fit_test_inference": 1},
            at_end=True,
            early="evaluate_every",
        )
    }
)

RELAXED_LOSS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_relaxed_loss": Metric(
            "min",
            "nats",
            "loss of the relaxed network that is followed, in training; only with estimators that "
            "replace the expected loss by it",
        )
    }
)

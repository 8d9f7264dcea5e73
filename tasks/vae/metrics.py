"""Metrics of the tasks with codes."""

from collections.abc import Mapping
from types import MappingProxyType

from raysweep.tasks.base import Metric

SHARED: Mapping[str, Metric] = MappingProxyType(
    {
        "active_units": Metric(
            "max",
            "",
            "latent variables whose probabilities vary over the test images: half the sum over "
            "categories of their variances is above 0.01",
        ),
        "gradient_variance": Metric(
            "min",
            "",
            "running variance of the encoder's gradient, mean over its weights; only with setting "
            "gradient_variance",
        ),
    }
)

VAE_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "train_loss": Metric("min", "nats", "loss that training minimises: train_neg_elbo"),
        "train_neg_elbo": Metric("min", "nats", "negative bound per training image, in training"),
        "valid_neg_elbo": Metric("min", "nats", "negative bound per validation image, one sample"),
        "valid_neg_bound": Metric(
            "min", "nats", "negative multi-sample bound per validation image"
        ),
        "test_neg_elbo": Metric("min", "nats", "negative bound per test image, sampled codes"),
        "test_neg_bound": Metric(
            "min", "nats", "negative multi-sample bound per test image (bound_samples codes)"
        ),
        **SHARED,
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
        "valid_neg_log_likelihood": Metric(
            "min", "nats", "-log p(target | code) per validation image, one sample"
        ),
        "valid_neg_bound": Metric(
            "min", "nats", "-log of the mean of p(target | code) per validation image"
        ),
        "test_neg_log_likelihood": Metric(
            "min", "nats", "-log p(target | code) per test image, sampled codes"
        ),
        "test_neg_bound": Metric(
            "min", "nats", "-log of the mean of p(target | code) per test image"
        ),
        **SHARED,
    }
)

"""Metrics of the tasks with an encoder, a discrete code and a decoder."""

from collections.abc import Mapping
from types import MappingProxyType

from raysweep.tasks.base import Metric
from raysweep.tasks.images import metrics

_SHARED = {**metrics.ACTIVE_UNITS, **metrics.GRADIENT_VARIANCE}


def _train_loss(mean: str) -> dict[str, Metric]:
    meaning = f"loss that training minimises: {mean}, or the bound of samples, as with vimco"
    return {"train_loss": Metric("min", "nats", meaning)}


VAE_METRICS: Mapping[str, Metric] = MappingProxyType(
    {**metrics.BOUND_METRICS, **_train_loss("train_neg_elbo"), **_SHARED}
)

PREDICTION_METRICS: Mapping[str, Metric] = MappingProxyType(
    {**metrics.PREDICTION_METRICS, **_train_loss("train_neg_log_likelihood"), **_SHARED}
)

"""Metrics of the tasks with an encoder, a discrete code and a decoder."""

from collections.abc import Mapping
from types import MappingProxyType

from raysweep.tasks.base import Metric
from raysweep.tasks.images import metrics

_SHARED = {**metrics.ACTIVE_UNITS, **metrics.GRADIENT_VARIANCE}

VAE_METRICS: Mapping[str, Metric] = MappingProxyType({**metrics.BOUND_METRICS, **_SHARED})

PREDICTION_METRICS: Mapping[str, Metric] = MappingProxyType(
    {**metrics.PREDICTION_METRICS, **_SHARED}
)

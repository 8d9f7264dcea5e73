"""Prediction of the lower half of an image from the upper half, by layers of ±1 units."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.layered import Dense, Head, LinearHead
from raysweep.tasks import data
from raysweep.tasks.base import Metric
from raysweep.tasks.images.batches import upper_half
from raysweep.tasks.images.bounds import cross_entropy
from raysweep.tasks.images.metrics import GRADIENT_VARIANCE, PREDICTION_METRICS, RELAXED_LOSS
from raysweep.tasks.sbn.base import BeliefTask
from raysweep.tasks.sbn.belief import BeliefNetwork, Widths
from raysweep.tasks.sbn.settings import BeliefSettings


class SbnStructured(BeliefTask[BeliefSettings]):
    """Minimisation of E[-log p(lower half | bL)] over paths of units drawn from the upper half.

    Units are ±1, drawn as p(b1 | upper half) p(b2 | b1) ...; the lower half is predicted from the
    last layer alone, as in the paper's code (where more layers were intended, its errata say), so
    that every layered estimator fits. Learned baselines read the whole centred image, as there:
    they may, as they do not depend on the units.

    It is the problem of `structured_prediction` for the layered family. A task has one family of
    estimators: that one has a single layer, for the estimators of categorical variables.

    References:
        Raiko, Berglund, Alain, Dinh (2015), arXiv:1406.2989.
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370, section 5 and
        appendix G.
    """

    name: ClassVar[str] = "sbn_structured"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = BeliefSettings
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {**PREDICTION_METRICS, **RELAXED_LOSS, **GRADIENT_VARIANCE}
    )
    reads_last_layer: ClassVar[bool] = True

    def widths(self, settings: BeliefSettings) -> Widths:
        """Return the widths of all maps; read no data."""
        pixels = data.get(settings.dataset).features
        upper = upper_half(settings.dataset)
        return Widths(
            list(pairwise([upper, *settings.latents])), [(settings.latents[-1], pixels - upper)]
        )

    def model(
        self, settings: BeliefSettings, seeds: list[int], device: torch.device
    ) -> "StructuredNetwork":
        """Build the networks and the images of replicas with these seeds."""
        return StructuredNetwork(settings, self.widths(settings), seeds, device)


class StructuredNetwork(BeliefNetwork):
    """Network from the upper half of images through layers of units to the lower half.

    Args:
        settings: Settings of the task.
        widths: Widths of all maps.
        seeds: Seed of each replica.
        device: Device of parameters and images.
    """

    def __init__(
        self, settings: BeliefSettings, widths: Widths, seeds: Sequence[int], device: torch.device
    ) -> None:
        upper, _ = widths.inference[0]
        super().__init__(settings, widths, seeds, device, loss="neg_log_likelihood", encoded=upper)
        self._mean = self.images.mean() if settings.center_input else None

    def objective(self, target: Float[Tensor, "R B T"]) -> Head:
        """Return -log p(lower half | last units) of the last layer's states.

        Args:
            target: Lower halves of the images.
        """
        pixels = self.onto_target
        if isinstance(pixels, Dense):
            return LinearHead(pixels, lambda logits: cross_entropy(logits, target))
        return Head(lambda state: cross_entropy(pixels(state), target))

    def context(self, images: Float[Tensor, "R B D"]) -> Float[Tensor, "R B F"]:
        """Return the whole images, centred if so set."""
        return images if self._mean is None else images - self._mean

"""Unsupervised parsing: the value of an expression, by a tree that nobody gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from raysweep.estimators.base import Estimator
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Metric, Replica, Task
from raysweep.tasks.data import listops
from raysweep.tasks.listops.examples import files
from raysweep.tasks.listops.expressions import TOKENS
from raysweep.tasks.listops.metrics import METRICS
from raysweep.tasks.listops.model import CLASSES, EVALUATION_TOKENS, ListOpsModel
from raysweep.tasks.listops.settings import MAX_TOKENS, ListOpsSettings
from raysweep.tasks.training.loop import GradientTraining, training_bytes
from raysweep.tasks.training.sampled import refusal

MERGES = MAX_TOKENS - 1
"""Most merges that a step chooses from."""


class ListOps(Task[Estimator]):
    """Minimisation of -log p(value | tree) of an expression, whose tree is built by hard choices.

    An LSTM reads the tokens from left to right. Then a binary tree-LSTM composes all pairs of
    neighbours, a categorical variable chooses the one that is merged, and so on until one state is
    left, from which a classifier predicts the expression's value, 0 to 9. Only estimators whose
    samples carry the gradient can train it. Validations and tests use the greedy tree.

    Also reported is how well greedy trees agree with the true ones, which training never sees.

    Departures from the published code: there are 10 classes, where it has an 11th for unknown
    words; the LSTM has one bias, not two; batches come from fixed groups of similar length, and
    the incomplete last one of a group is left out of an epoch; the gradient of masked merges is
    exactly 0, where it adds 1e-20 to every weight.

    References:
        Liu et al. (2023), arXiv:2304.08612, section 6.2; Fan et al. (2022), arXiv:2206.07235.
        Choi, Yoo, Lee (2018), arXiv:1707.02786; Nangia, Bowman (2018), arXiv:1804.06028.
    """

    name: ClassVar[str] = "listops"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = ListOpsSettings
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    family: ClassVar[str] = "categorical"

    def check(self, settings: ListOpsSettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None."""
        if settings.training_examples is not None and (
            settings.batch_size > settings.training_examples
        ):
            return (
                f"batch_size must be at most {settings.training_examples}, training_examples, "
                f"got {settings.batch_size}"
            )
        return refusal("listops", "tree per expression", estimator, 1, MERGES)

    def prepare(self, settings: ListOpsSettings, folder: Path | None) -> None:
        """Download the sets into a folder, the default one if None, unless they are there."""
        for name in files(settings):
            listops.fetch(name, folder or data.folder())

    def replica_bytes(self, settings: ListOpsSettings, estimator: Estimator) -> int:
        """Return the bytes of weights, optimizer state, and compositions.

        These are the longest batch's or, where batches are small, those of an evaluation.
        """
        inputs, units, hidden = (
            settings.embedding_units,
            settings.hidden_units,
            settings.classifier_units,
        )
        weights = (
            len(TOKENS) * inputs
            + 4 * units * (inputs + units + 1)
            + 5 * units * (2 * units + 1)
            + units
            + hidden * (units + 1)
            + CLASSES * (hidden + 1)
        )
        trained = settings.batch_size * settings.max_tokens * (settings.max_tokens - 1) // 2
        compositions = max(trained, EVALUATION_TOKENS)
        return training_bytes(weights, compositions * 8 * units, settings)

    def start(
        self,
        settings: ListOpsSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0."""
        model = ListOpsModel(settings, [replica.seed for replica in replicas], device)
        estimator.build(1, MERGES, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        window = model.steps_per_epoch
        return GradientTraining(model, estimator, settings, replicas, default_window=window)

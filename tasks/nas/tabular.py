"""Search of the cell with the best tabulated accuracy, without training a network."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link, softmax_logits
from raysweep.estimators.exact import Exact
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Metric, Replica, Task, setting
from raysweep.tasks.data import nats_bench
from raysweep.tasks.nas.cells import LOOKED_UP, by_code, initial_logits, look_up
from raysweep.tasks.nas.space import EDGES, OPERATIONS
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import (
    GradientTraining,
    Losses,
    Model,
    beside_expectation,
    training_bytes,
)
from raysweep.tasks.training.schedules import ScheduledSettings

HALF = len(EDGES) // 2
STATES = len(OPERATIONS) ** HALF  # of half of a cell


@dataclasses.dataclass(frozen=True, kw_only=True)
class NasTabularSettings(ScheduledSettings):
    """Settings of `NasTabular`.

    The start is that of GDAS: logits of normal numbers times 0.001.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: Literal["cifar10", "cifar100", "imagenet16"] = setting(
        "cifar10", "images that the cells were trained on"
    )
    searched: Literal["val_12", "test_12", "val_200", "test_200"] = setting(
        "val_12", "accuracy that is searched: validation or test, after 12 or 200 epochs"
    )
    full: bool = setting(
        False, "read the benchmark itself, which also has val_200, instead of the accuracy table"
    )
    lr: float = setting(0.03, "learning rate, > 0", per_replica=True)
    steps: int = setting(1000, "parameter updates", smoke=20)
    batch_size: int = setting(16, "cells drawn per update")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.searched == "val_200" and not self.full:
            raise ValueError("searched val_200 is not in the accuracy table; set full to true")


class NasTabular(Task[Estimator]):
    """Maximisation of a cell's tabulated accuracy over the logits of its six operations.

    Each edge of a NATS-Bench cell is a categorical variable with five operations; the loss of a
    cell is its error, from the benchmark's table. Between cells the loss is multilinear in the
    edges, so its gradient at a cell has the true difference of each operation, and the expectation
    over all 15,625 cells is a closed form. So every estimator, those of the score function too, is
    compared on a real space in seconds, with `exact` as the reference: it follows the closed
    form's gradient, that of its enumeration to rounding, and its `train_loss` is the expectation.

    References:
        Dong, Liu, Musial, Gabrys (2021), arXiv:2009.00437, for the space and its accuracies.
        Liu et al. (2023), arXiv:2304.08612, section 6.4, searches it with a supernet instead.
    """

    name: ClassVar[str] = "nas_tabular"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = NasTabularSettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "", "error of the cells drawn in training, as a fraction"),
        "expected_loss": Metric("min", "", "exact expectation of that error in training"),
        "final_expected_loss": Metric(
            "min", "", "exact expectation of the error after the last update", at_end=True
        ),
        "final_regret": Metric(
            "min",
            "percentage points",
            "searched accuracy of the best cell, less that of the most probable one",
            at_end=True,
        ),
        **LOOKED_UP,
    }
    family: ClassVar[str] = "categorical"

    def check(self, settings: NasTabularSettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None."""
        if estimator.needs_context:
            return estimator.context_is_missing
        return estimator.check(len(EDGES), len(OPERATIONS))

    def prepare(self, settings: NasTabularSettings, folder: Path | None) -> None:
        """Check that the accuracies are there; for the errors see `Task.prepare`."""
        nats_bench.fetch(folder, full=settings.full)

    def replica_bytes(self, settings: NasTabularSettings, estimator: Estimator) -> int:
        """Return the bytes of the logits, their optimizer's state and the cells' halves."""
        cells = settings.batch_size * estimator.evaluations(len(EDGES), len(OPERATIONS))
        if isinstance(estimator, Exact):
            cells = 1
        return training_bytes(len(EDGES) * len(OPERATIONS), 3 * STATES * cells, settings)

    def start(
        self,
        settings: NasTabularSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0."""
        seeds = [replica.seed for replica in replicas]
        model = NasTabularModel(settings, seeds, device, estimator.link)
        estimator.build(len(EDGES), len(OPERATIONS), replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        return GradientTraining(model, estimator, settings, replicas, default_window=100)


class NasTabularModel(Model):
    """Logits theta, `R 6 5`, and the error of cells."""

    theta: Float[Tensor, "R 6 5"]

    def __init__(
        self,
        settings: NasTabularSettings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        self.theta = nn.Parameter(initial_logits(seeds, dtype, device))
        self.link = link
        self._batch_size = settings.batch_size
        self._searched = settings.searched
        self._accuracies = by_code(settings.dataset, settings.full, device)
        searched = self._accuracies[settings.searched]
        self._errors = (1 - searched / 100).view(STATES, STATES).to(dtype)

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return losses of samples and the exact expectation, both before the update."""
        expected = self.expected_loss()
        known = expected.detach()
        if isinstance(estimator, Exact):
            metrics = {"train_loss": known, "expected_loss": known}
            return Losses(expected.unsqueeze(1), None, metrics)
        logits = self.theta.unsqueeze(1).expand(-1, self._batch_size, -1, -1)
        estimate = estimator.estimate(logits, self.objective, noise)
        return beside_expectation(estimate, known)

    def objective(self, sample: Float[Tensor, "*batch 6 5"]) -> Float[Tensor, "*batch"]:
        """Return the error of cells, multilinear in the edges where they are relaxed."""
        first, second = _states(sample[..., :HALF, :]), _states(sample[..., HALF:, :])
        return ((first @ self._errors) * second).sum(-1)

    def expected_loss(self) -> Float[Tensor, " R"]:
        """Return the expectation of the error, that of independent edges being multilinear."""
        return self.objective(softmax_logits(self.theta, self.link).softmax(-1))

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the expectation, and the accuracies of the most probable cell."""
        expected = self.expected_loss()
        looked_up = look_up(self.theta, self._accuracies)
        regret = looked_up[f"final_regret_{self._searched}"]
        return {"final_expected_loss": expected, "final_regret": regret, **looked_up}

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)


def _states(edges: Float[Tensor, "*batch 3 5"]) -> Float[Tensor, "*batch 125"]:
    """Return the product of weights for every state of half of a cell."""
    first, second, third = edges.unbind(-2)
    pairs = (first.unsqueeze(-1) * second.unsqueeze(-2)).flatten(-2)
    return (pairs.unsqueeze(-1) * third.unsqueeze(-2)).flatten(-2)

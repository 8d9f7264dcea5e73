"""Polynomial programming: binary variables close to given targets."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link, softmax_logits
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Metric, Replica, Task, setting
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import (
    GradientTraining,
    Losses,
    Model,
    beside_expectation,
    training_bytes,
)
from raysweep.tasks.training.schedules import ScheduledSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolynomialSettings(ScheduledSettings):
    """Settings of `Polynomial`.

    Defaults follow Liu et al. (2023), arXiv:2304.08612, section 6.1, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    p: float = setting(2.0, "exponent of the objective, >= 1; the paper has 1.5, 2 and 3")
    latents: int = setting(128, "binary variables, L")
    targets: Literal["constant", "linear"] = setting(
        "constant", "c_i: 0.45 for every i (the paper's setting A), or (i - 0.5) / L (setting B)"
    )
    steps: int = setting(8000, "parameter updates: 40 epochs of 200")
    batch_size: int = setting(256, "samples per update")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.p >= 1:
            raise ValueError(f"p must be at least 1, got {self.p}")
        if self.latents < 1:
            raise ValueError(f"latents must be at least 1, got {self.latents}")


class Polynomial(Task[Estimator]):
    """Minimisation of E[mean_i |X_i - c_i|^p] over the logits of independent X_i in {0, 1}.

    The expectation has a closed form, so methods are compared without sampling error.

    References:
        Liu et al. (2023), arXiv:2304.08612, sections 6.1 and F.6.
    """

    name: ClassVar[str] = "polynomial"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = PolynomialSettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "", "objective at the samples drawn in training"),
        "expected_loss": Metric("min", "", "exact expectation of the objective in training"),
        "final_expected_loss": Metric(
            "min", "", "exact expectation after the last update", at_end=True
        ),
    }
    family: ClassVar[str] = "categorical"

    def check(self, settings: PolynomialSettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None."""
        if estimator.needs_context:
            return estimator.context_is_missing
        return estimator.check(settings.latents, 2)

    def replica_bytes(self, settings: PolynomialSettings, estimator: Estimator) -> int:
        """Return the bytes of the logits, their optimizer's state and the samples."""
        samples = settings.batch_size * estimator.evaluations(settings.latents, 2)
        return training_bytes(2 * settings.latents, 2 * settings.latents * samples, settings)

    def start(
        self,
        settings: PolynomialSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0."""
        seeds = [replica.seed for replica in replicas]
        model = PolynomialModel(settings, seeds, device, estimator.link)
        estimator.build(settings.latents, 2, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        return GradientTraining(model, estimator, settings, replicas, default_window=100)


class PolynomialModel(Model):
    """Logits theta, `R L 2`, and the objective; X_i is the first entry of the one-hot D_i."""

    theta: Float[Tensor, "R L 2"]

    def __init__(
        self,
        settings: PolynomialSettings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        uniform = Noise(seeds=seeds, purpose="init").uniform(
            len(seeds), settings.latents, 2, dtype=dtype, device=device
        )
        self.theta = nn.Parameter(uniform.mul(0.02).sub(0.01))
        self.link = link
        self._batch_size = settings.batch_size
        self._p = settings.p
        self._targets = targets(settings).to(device, dtype)
        self._if_zero = self._targets.abs().pow(self._p)
        self._if_one = (1 - self._targets).abs().pow(self._p)

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return losses of samples and the exact expectation, both before the update."""
        logits = self.theta.unsqueeze(1).expand(-1, self._batch_size, -1, -1)
        estimate = estimator.estimate(logits, self.objective, noise)
        return beside_expectation(estimate, self.expected_loss())

    def objective(self, sample: Float[Tensor, "*batch L 2"]) -> Float[Tensor, "*batch"]:
        """Return mean_i |X_i - c_i|^p, of relaxed samples too."""
        distance = sample[..., 0] - self._targets
        if self._p == 2:
            return distance.square().mean(-1)
        return distance.abs().pow(self._p).mean(-1)

    @torch.no_grad()
    def expected_loss(self) -> Float[Tensor, " R"]:
        """Return mean_i P(X_i = 1) |1 - c_i|^p + P(X_i = 0) |c_i|^p."""
        logits = softmax_logits(self.theta, self.link)
        ones = torch.sigmoid(logits[..., 0] - logits[..., 1])
        return torch.lerp(self._if_zero, self._if_one, ones).mean(-1)

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the exact expectation at the current parameters."""
        return {"final_expected_loss": self.expected_loss()}

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)


def targets(settings: PolynomialSettings) -> Float[Tensor, " L"]:
    """Return the constants c_i, in float64."""
    if settings.targets == "constant":
        return torch.full((settings.latents,), 0.45, dtype=torch.float64)
    return (torch.arange(settings.latents, dtype=torch.float64) + 0.5) / settings.latents


def optimum(settings: PolynomialSettings) -> float:
    """Return the smallest expected loss: every X_i is always the value nearer to c_i."""
    c = targets(settings)
    return torch.minimum(c, 1 - c).pow(settings.p).mean().item()

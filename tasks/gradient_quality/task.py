"""Comparison of a method's gradient with the exact one, along a training run."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.estimate import Estimate
from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Metric, Replica, Task, setting
from raysweep.tasks.gradient_quality.measures import METRICS, Quality, measured
from raysweep.tasks.gradient_quality.problems import (
    Batch,
    Problem,
    SyntheticProblem,
    VaeProblem,
    coupled,
    exact_gradient,
    expectation,
)
from raysweep.tasks.pauses import pause
from raysweep.tasks.polynomial import PolynomialModel, PolynomialSettings
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import GradientTraining, Losses, Model, training_bytes
from raysweep.tasks.vae.categorical import CategoricalVae, CategoricalVaeSettings

MAX_STATES = 16_384  # Liu et al. (2023) enumerate below this number
DRAWS = 10  # estimates at a time: bounds memory, and the measurement's noise depends on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientQualitySettings(CategoricalVaeSettings):
    """Settings of `GradientQuality`; defaults follow Liu et al. (2023), arXiv:2304.08612, figure 4.

    Raises:
        ValueError: If a value is out of its range.
    """

    problem: Literal["vae", "polynomial", "coupled"] = setting(
        "vae",
        "categorical_vae with its settings; polynomial with constant targets, for two categories; "
        "or a random network over the code",
    )
    p: float = setting(
        2.0, "exponent of the polynomial, >= 1", only_if={"problem": ("polynomial",)}
    )
    problem_seed: int = setting(
        0, "seed of the coupled problem's weights", only_if={"problem": ("coupled",)}
    )
    trained_by: Literal["estimator", "exact"] = setting(
        "estimator", "gradient that the run follows: the estimates, or the exact one"
    )
    evaluation_examples: int | None = setting(
        100,
        "number of images that gradients are measured on, the first of the training set",
        smoke=200,
    )
    evaluation_samples: int = setting(1000, "number of estimates drawn for a measurement", smoke=2)
    report_every: int = setting(
        600, "steps between two rows of a curve, measured at the first of them"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.p >= 1:
            raise ValueError(f"p must be at least 1, got {self.p}")
        if self.categories**self.latents > MAX_STATES:
            raise ValueError(
                f"latents must be so few that categories ** latents <= {MAX_STATES}, "
                f"got {self.categories} ** {self.latents}"
            )
        if self.problem == "polynomial" and self.categories != 2:
            raise ValueError(f"categories must be 2 for the polynomial, got {self.categories}")
        if self.gradient_variance or self.evaluate_every is not None:
            raise ValueError(
                "gradient_variance and evaluate_every must not be set, as every row of the curve "
                f"is measured, got {self.gradient_variance} and {self.evaluate_every}"
            )


class GradientQuality(Task[Estimator]):
    """Training with a comparison of estimates and exact gradient at every row of the curve.

    Gradients are those of the estimated part of the loss with respect to the logits, flat over
    examples, latent variables and categories. Rows of a curve hold the measurement at the first
    step of their interval, before its update; final metrics are measured after the last one.

    References:
        Liu et al. (2023), arXiv:2304.08612, section 6.3 and figure 4; in spirit Shekhovtsov,
        Yanush, Flach (2020), arXiv:2006.03143, figures 2 and 3.
    """

    name: ClassVar[str] = "gradient_quality"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = GradientQualitySettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "", "loss that training minimises, in training"),
        "expected_loss": Metric("min", "", "exact loss of the examples measured on"),
        **METRICS,
    }
    family: ClassVar[str] = "categorical"

    def check(self, settings: GradientQualitySettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None; read no data."""
        if settings.problem == "vae":
            return CategoricalVae().check(settings, estimator)
        if estimator.needs_context:
            return estimator.context_is_missing
        return estimator.check(settings.latents, settings.categories)

    def prepare(self, settings: GradientQualitySettings, folder: Path | None) -> None:
        """Download the data set into a folder, the default one if None, unless it is there."""
        if settings.problem == "vae":
            data.fetch(settings.dataset, folder)

    def replica_bytes(self, settings: GradientQualitySettings, estimator: Estimator) -> int:
        """Return the bytes of the problem in training and of all states' losses; read no data."""
        states = settings.categories**settings.latents
        if settings.problem != "vae":
            return training_bytes(settings.latents * settings.categories, 8 * states, settings)
        examples = settings.evaluation_examples or settings.training_examples
        decoded = sum(settings.hidden) + data.get(settings.dataset).features
        evaluations = estimator.evaluations(settings.latents, settings.categories)
        numbers = 2 * decoded * (states + DRAWS * examples * evaluations)
        base = CategoricalVae().replica_bytes(settings, estimator)
        enumerated = 8 * 4 * states * max(examples, settings.batch_size)
        return base + enumerated + DTYPES[settings.dtype].itemsize * numbers

    def start(
        self,
        settings: GradientQualitySettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Build the training of a pack at step 0."""
        seeds = [replica.seed for replica in replicas]
        problem = _problem(settings, seeds, estimator, device)
        context = problem.measured().context
        estimator.build(
            settings.latents,
            settings.categories,
            context=None if context is None else context.shape[-1],
            replicas=len(replicas),
        )
        estimator.to(device, DTYPES[settings.dtype])
        model = MeasuredModel(problem, estimator, settings, seeds)
        return GradientTraining(model, estimator, settings, replicas, default_window=100)


class MeasuredModel(Model):
    """Model of a problem, with the last measurement on it.

    Args:
        problem: Problem to train and to measure on.
        estimator: Estimator built for the problem.
        settings: Settings of the task.
        seeds: Seed of each replica.
    """

    def __init__(
        self,
        problem: Problem,
        estimator: Estimator,
        settings: GradientQualitySettings,
        seeds: list[int],
    ) -> None:
        super().__init__()
        self.problem = problem
        self.estimator = (estimator,)  # in a tuple, so that it is not a submodule
        self._settings = settings
        self._training_noise = Noise(seeds=seeds, purpose="measure")
        self._final_noise = Noise(seeds=seeds, purpose="measure last")
        names = ["expected_loss", *measured(settings.evaluation_samples)]
        self.latest = LastEvaluation(names, len(seeds), next(problem.parameters()).device)
        if settings.prior_lr is not None:
            self.rates = {"problem.model.prior.logits": "prior_lr"}

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return the problem's losses; first measure, at the first step of an interval."""
        index, since = divmod(step, self._settings.report_every)
        if since == 0:
            self.latest.hold(self._measure(self._training_noise, index))
        batch = self.problem.batch(step)
        estimate = self._estimate(batch, estimator, noise)
        surrogate, value = estimate.surrogate, estimate.value
        if batch.direct is not None:
            surrogate, value = surrogate + batch.direct, value + batch.direct.detach()
        # NaN logits still give samples: adding 0 times the logits makes a diverged loss NaN.
        train_loss = torch.add(value.mean(1), batch.logits.detach().sum((1, 2, 3)), alpha=0)
        metrics = {"train_loss": train_loss, **self.latest.metrics()}
        return Losses(surrogate, estimate.tuning_loss, metrics)

    def _estimate(self, batch: Batch, estimator: Estimator, noise: Noise) -> Estimate:
        """Return the estimate, or one with the exact expectation as its surrogate."""
        estimate = estimator.estimate(batch.logits, batch.objective, noise, context=batch.context)
        if self._settings.trained_by == "estimator":
            return estimate
        exact = expectation(batch, estimator.link).to(batch.logits.dtype)
        return estimate._replace(surrogate=exact, value=exact.detach())

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the measurement after the last update."""
        return self._measure(self._final_noise, 0)

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self.latest, keep)
        self.problem.select(keep)
        self._training_noise.select(keep)
        self._final_noise.select(keep)

    def _measure(self, noise: Noise, index: int) -> dict[str, Float[Tensor, " R"]]:
        """Measure estimates at the current parameters; leave the estimator unchanged."""
        estimator = self.estimator[0]
        training = estimator.training
        before = {name: value.clone() for name, value in estimator.state_dict().items()}
        estimator.eval()  # freezes running moments: all estimates are of the same estimator
        with torch.no_grad():
            batch = self.problem.measured()
            expected = expectation(batch, estimator.link)
            if batch.direct is not None:
                expected = expected + batch.direct
        quality = Quality(exact_gradient(batch, estimator.link).flatten(1))
        draws = self._settings.evaluation_samples
        parts = -(-draws // DRAWS)
        for part in range(parts):
            pause()
            noise.at(index * parts + part)
            # always the same number of draws, as fewer would repeat numbers of an earlier part
            drawn = estimates(batch, estimator, noise, DRAWS)
            quality.add(drawn[: draws - part * DRAWS])
        estimator.load_state_dict(before)
        estimator.train(training)
        return {"expected_loss": expected.mean(1), **quality.metrics()}


def estimates(
    batch: Batch, estimator: Estimator, noise: Noise, count: int
) -> Float[Tensor, "n R M"]:
    """Draw independent gradient estimates at the same logits, flat over examples and logits."""
    replicas, examples = batch.logits.shape[:2]

    def repeated(x: Float[Tensor, "R B ..."]) -> Float[Tensor, "R rows ..."]:
        return x.detach().unsqueeze(1).expand(-1, count, *x.shape[1:]).flatten(1, 2)

    def objective(code: Float[Tensor, "K R rows L C"]) -> Float[Tensor, "K R rows"]:
        # copies become samples, so that the batch keeps the size that the objective knows
        copies = code.unflatten(2, (count, examples)).movedim(2, 1).flatten(0, 1)
        values = batch.objective(copies).unflatten(0, (len(code), count))
        return values.movedim(1, 2).flatten(2, 3)

    with torch.enable_grad():
        logits = repeated(batch.logits).requires_grad_()
        context = None if batch.context is None else repeated(batch.context)
        estimate = estimator.estimate(logits, objective, noise, context=context)
        gradient = torch.autograd.grad(estimate.surrogate.sum(), logits)[0]
    return gradient.view(replicas, count, -1).transpose(0, 1)


def _problem(
    settings: GradientQualitySettings,
    seeds: list[int],
    estimator: Estimator,
    device: torch.device,
) -> Problem:
    if settings.problem == "vae":
        model = CategoricalVae().model(settings, seeds, device, estimator.link)
        return VaeProblem(model, settings.evaluation_examples)
    sizes = settings.latents, settings.categories
    dtype = DTYPES[settings.dtype]
    function: Callable[[Tensor], Tensor]
    if settings.problem == "polynomial":
        polynomial = PolynomialSettings(
            p=settings.p, latents=settings.latents, dtype=settings.dtype
        )
        function = PolynomialModel(polynomial, seeds, device).objective
    else:
        function = coupled(*sizes, settings.problem_seed, dtype=dtype, device=device)
    return SyntheticProblem(function, sizes, settings.batch_size, seeds, dtype=dtype, device=device)

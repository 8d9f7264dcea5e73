"""The base classes of gradient estimators: declared properties, checked inputs, one result."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from raysweep.estimators.carrying import is_traced
from raysweep.estimators.categorical import MASKED, Link, compact
from raysweep.estimators.estimate import Estimate, Objective, estimate_at
from raysweep.estimators.method import Method, text_of_sizes
from raysweep.estimators.noise import Noise

HALF = (torch.float16, torch.bfloat16)
"""Formats of logits that are computed with in float32."""


class Sizes(NamedTuple):
    """The sizes that learned parts are built for; `context` is its number of features."""

    latents: int
    categories: int
    context: int | None
    replicas: int | None

    def __str__(self) -> str:
        main = f"L = {self.latents}, C = {self.categories}"
        return text_of_sizes(main, self.context, self.replicas)


class Estimator(Method[Sizes]):
    """A gradient estimator for the expectation of an objective over independent categoricals.

    A subclass declares its class attributes, takes its settings as keyword-only arguments of
    `__init__`, and computes in `_estimate`, which may rely on checked logits.

    Attributes:
        binary_only: Whether it needs C = 2.
        link: The function from logits to probabilities.
        validate: Whether to check that every variable has a category that is not masked, for which
            the device must be waited for.
    """

    binary_only: ClassVar[bool] = False
    link: Link = "softmax"
    validate: bool = True

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the objective's evaluations per example and estimate: one per sample."""
        return self.samples

    @abstractmethod
    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        """Compute the estimate, for logits that passed the checks of `estimate`."""

    def estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        *,
        context: Shaped[Tensor, "..."] | None = None,
    ) -> Estimate:
        """Estimate the gradient of the target, `E[objective(D)]` for most, D one-hot.

        Args:
            logits: Unnormalised log-probabilities of L independent variables with C categories.
                Categories at -inf, or at the least number of the format, are masked: they have the
                probability 0, and a gradient of 0.
            objective: Function from one-hot `K *B L C` to per-example losses `K *B`. It may close
                over parameters and over the logits.
            noise: The source of every random number.
            context: `*B F`, of any dtype: the input that learned baselines may read.

        Raises:
            ValueError: If this estimator cannot handle such logits or such a context, the
                objective returns another shape, or a variable has no category that is not masked.
            TypeError: If the logits are not floating point, or the noise is none.
        """
        check_noise(noise)
        self._validate(logits)
        if logits.dtype in HALF:
            return self._in_single_precision(logits, objective, noise, context)
        if self.validate:
            check_masks(logits)
        if context is not None:
            if context.ndim != logits.ndim - 1 or context.shape[:-1] != logits.shape[:-2]:
                raise ValueError(
                    f"context must be `*B F` with the logits' batch {tuple(logits.shape[:-2])}, "
                    f"got shape {tuple(context.shape)}; expand it to every example"
                )
            context = context.detach().to(logits.dtype)
        if self._built is None:
            features = None if context is None else context.shape[-1]
            self.build(logits.shape[-2], logits.shape[-1], features)
            if self._learns or self._buffers:
                self.to(logits.device, logits.dtype)
        if self._learns:
            self._match(logits, context)
        return self._estimate(logits, objective, noise, context)

    def _in_single_precision(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Shaped[Tensor, "..."] | None,
    ) -> Estimate:
        """Return the estimate for logits of half precision, computed with those of float32.

        Samples have the format of the logits, as the objective's network has it; one-hot ones are
        the same in every format.
        """

        def in_half(sample: Float[Tensor, "K *B L C"]) -> Float[Tensor, " K *B"]:
            return objective(sample.to(logits.dtype)).float()

        estimate = self.estimate(logits.float(), in_half, noise, context=context)
        return estimate._replace(sample=estimate.sample.to(logits.dtype))

    def check(self, latents: int, categories: int) -> str | None:
        """Return the reason this estimator cannot handle logits of that size, or None."""
        if categories < 2:
            return f"logits need at least 2 categories, got {categories}"
        if self.binary_only and categories != 2:
            return f"{self.name} needs 2 categories, got {categories}; use an estimator for any C"
        return self._check(latents, categories)

    def _check(self, latents: int, categories: int) -> str | None:
        """Return a subclass's own reason to refuse a size, or None."""
        return None

    def build(
        self,
        latents: int,
        categories: int,
        context: int | None = None,
        replicas: int | None = None,
    ) -> None:
        """Create the learned parts, once; the first `estimate` does it if nobody did.

        Args:
            latents: L, the number of variables.
            categories: C, the number of categories.
            context: Number of features of the context, if there will be one.
            replicas: R, if every parameter, buffer and running moment must lead with it. A
                setting that is a tensor `R` asks for it as well.

        Raises:
            ValueError: If it was built for other sizes, a size is refused by `check`, or a
                setting has another number of replicas.
        """
        replicas = self._replicas_of_settings() if replicas is None else replicas
        self._build_once(Sizes(latents, categories, context, replicas))

    def _refusal(self, sizes: Sizes) -> str | None:
        if sizes.latents < 1:
            return f"latents must be at least 1, got {sizes.latents}"
        return self.check(sizes.latents, sizes.categories)

    def _create(self, sizes: Sizes) -> None:
        self._build(*sizes)

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        """Create a subclass's learned parts."""

    def _match(
        self, logits: Float[Tensor, "*B L C"], context: Float[Tensor, "*B F"] | None
    ) -> None:
        """Check that logits and context have the sizes that the learned parts were built for.

        Raises:
            ValueError: If a size is another.
        """
        built = self._built_for
        if built is None:
            return
        latents, categories = logits.shape[-2:]
        features = None if context is None else context.shape[-1]
        sizes = built._replace(latents=latents, categories=categories)
        if self.reads_context:
            sizes = sizes._replace(context=features)
        if sizes != built:
            raise self._other_sizes(sizes)
        self._check_first_axis(logits)

    def _validate(self, logits: Float[Tensor, "*B L C"]) -> None:
        if logits.ndim < 2:
            raise ValueError(f"logits must be `*B L C`, got shape {tuple(logits.shape)}")
        if not logits.is_floating_point():
            raise TypeError(f"logits must be floating point, got {logits.dtype}")
        if (reason := self.check(logits.shape[-2], logits.shape[-1])) is not None:
            raise ValueError(reason)


class PathwiseEstimator(Estimator):
    """An estimator whose sample carries the gradient, through the objective's own gradient.

    Attributes:
        temperature: tau, which divides the logits of the relaxation.
        least_temperature: The least valid temperature; None for any positive one.
    """

    unbiased = False
    needs_gradient = True
    per_replica = frozenset({"temperature"})
    temperature: float | Tensor
    least_temperature: ClassVar[float | None] = None

    def __init__(self, *, temperature: float | Tensor = 1.0, samples: int = 1) -> None:
        super().__init__(samples=samples)
        self.set_temperature(temperature)

    def set_temperature(self, temperature: float | Tensor) -> None:
        """Change the temperature, for example along a schedule.

        Args:
            temperature: tau, or a tensor `R` of one for each replica.

        Raises:
            ValueError: If a temperature is out of range.
            TypeError: If it is neither a number nor a tensor.
        """
        if (reason := self._misfit(temperature)) is not None:
            raise ValueError(reason)
        self._keep("temperature", temperature, minimum=self.least_temperature)

    def _misfit(self, temperature: float | Tensor) -> str | None:
        """Return a subclass's reason to refuse a temperature, besides its range, or None."""
        return None

    @abstractmethod
    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int | None
    ) -> Float[Tensor, "K *B L C"]:
        """Draw hard one-hot samples that carry the gradient to the logits.

        Args:
            logits: Logits that passed the checks of `sample` or `estimate`.
            noise: Source of the numbers.
            samples: K, or None for one sample without the axis.
        """

    def sample(self, logits: Float[Tensor, "*B L C"], noise: Noise) -> Float[Tensor, "*B L C"]:
        """Draw one hard one-hot sample that carries the gradient, to use inside any graph.

        Raises:
            ValueError: If this estimator cannot handle such logits, or a variable has no category
                that is not masked.
            TypeError: If the logits are not floating point, or the noise is none.
        """
        check_noise(noise)
        self._validate(logits)
        if logits.dtype in HALF:
            return self.sample(logits.float(), noise).to(logits.dtype)
        if self.validate:
            check_masks(logits)
        return self._draw(logits, noise, None)


class HardForwardEstimator(PathwiseEstimator):
    """A pathwise estimator that evaluates the objective at hard samples only, once at each."""

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        return estimate_at(self._draw(logits, noise, self.samples), objective)


def check_masks(logits: Float[Tensor, "*B L C"]) -> None:
    """Check that every variable has a category that is not masked, and no undefined logit.

    Inside transformations and compiled functions, whose values are not known, nothing is checked.

    Raises:
        ValueError: If one has none.
    """
    if is_traced() or logits.numel() == 0:
        return
    largest = compact(logits).amax(-1)
    is_right = (largest > MASKED) & (largest < torch.inf)  # no number is neither
    if is_right.all():
        return
    where = (~is_right).nonzero()[0].tolist()
    value = largest[tuple(where)].item()
    if not value <= MASKED:
        raise ValueError(f"logits{where} must be numbers, or -inf to mask a category, got {value}")
    raise ValueError(
        f"logits{where} has no category that is not masked; leave at least one logit of every "
        "variable above -1e30 (a mask is True where a category may be drawn)"
    )


def check_noise(noise: Any) -> None:
    """Check that a source of random numbers is one.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(noise, Noise):
        raise TypeError(
            f"noise must be a raysweep.estimators.Noise, got {type(noise).__name__}; for example "
            "Noise(seed=0), made once, before the loop"
        )

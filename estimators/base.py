"""What every gradient estimator is: declared properties, checked inputs, one result."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from raysweep.estimators.categorical import Link
from raysweep.estimators.estimate import Estimate, Objective, estimate_at
from raysweep.estimators.learned import Scalar, replica_view
from raysweep.estimators.noise import Noise


class Sizes(NamedTuple):
    """What learned parts are built for; `context` is its number of features."""

    latents: int
    categories: int
    context: int | None
    replicas: int | None

    def __str__(self) -> str:
        context = "no context" if self.context is None else f"a context of {self.context} features"
        replicas = "no replicas" if self.replicas is None else f"{self.replicas} replicas"
        return f"L = {self.latents}, C = {self.categories}, {context}, {replicas}"


class Estimator(nn.Module, ABC):
    """A gradient estimator for the expectation of an objective over independent categoricals.

    A subclass declares its class attributes, takes its settings as keyword-only arguments of
    `__init__`, and computes in `_estimate`, which may rely on checked logits.

    Attributes:
        name: The registry's key.
        version: Raised when the meaning of a result changes.
        unbiased: Whether the surrogate's expected gradient is the exact one, for any objective.
            An instance whose settings change this says so itself, as for `needs_gradient`.
        binary_only: Whether it needs C = 2.
        needs_gradient: Whether it differentiates the objective with respect to the sample.
        per_replica: Settings that may be a tensor `R`, broadcast over the logits' first axis.
        reads_context: Whether what it learns looks at the context, where there is one.
        needs_context: Whether there has to be one.
        link: How probabilities come from logits.
        reference: Where it was published.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    unbiased: bool
    binary_only: ClassVar[bool] = False
    needs_gradient: bool
    per_replica: ClassVar[frozenset[str]] = frozenset()
    reads_context: bool = False
    needs_context: bool = False
    link: Link = "softmax"
    reference: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._built: Sizes | None = None
        self._learns = False

    @abstractmethod
    def evaluations(self, latents: int, categories: int) -> int:
        """Forward evaluations of the objective per example and estimate."""

    @abstractmethod
    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        """The estimate, for logits that passed the checks of `estimate`."""

    def estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        *,
        context: Shaped[Tensor, "..."] | None = None,
    ) -> Estimate:
        """Estimates the gradient of `E[objective(D)]`, D one-hot with these logits.

        Args:
            logits: Unnormalised log-probabilities of L independent variables with C categories.
            objective: Maps one-hot `K *B L C` to per-example losses `K *B`. It may close over
                parameters and over the logits.
            noise: Gives every random number that is used.
            context: `*B F`, of any format: the input that learned baselines may look at.

        Raises:
            ValueError: If this estimator cannot handle such logits or such a context, or the
                objective returns another shape.
            TypeError: If the logits are not floating point.
        """
        self._validate(logits)
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
            self.to(logits.device, logits.dtype)
        if self._learns:
            self._match(logits, context)
        return self._estimate(logits, objective, noise, context)

    def check(self, latents: int, categories: int) -> str | None:
        """Why this estimator cannot handle logits of that size, or None."""
        if categories < 2:
            return f"logits need at least 2 categories, got {categories}"
        if self.binary_only and categories != 2:
            return f"{self.name} needs 2 categories, got {categories}; use an estimator for any C"
        return self._check(latents, categories)

    @property
    def context_is_missing(self) -> str:
        """What to say where there is no context, and it needs one."""
        return f"{self.name} needs a context for its baseline, got none; set baseline to false"

    def _check(self, latents: int, categories: int) -> str | None:
        """A subclass's own reasons to refuse a size."""
        return None

    def build(
        self,
        latents: int,
        categories: int,
        context: int | None = None,
        replicas: int | None = None,
    ) -> None:
        """Creates the learned parts, once; the first `estimate` does where nobody did.

        Args:
            latents: L.
            categories: C.
            context: Features of the context, if there will be one.
            replicas: R, if every parameter, buffer and running moment is to lead with it. A
                setting that is a tensor `R` asks for it as well.

        Raises:
            ValueError: If it was built for other sizes, a size is refused by `check`, or a
                setting has another number of replicas.
        """
        settings = (getattr(self, name) for name in sorted(self.per_replica))
        held = [len(value) for value in settings if isinstance(value, Tensor)]
        replicas = held[0] if replicas is None and held else replicas
        sizes = Sizes(latents, categories, context, replicas)
        if self._built == sizes:
            return
        if self._learns:
            raise self._other_sizes(sizes)
        if (reason := self.check(latents, categories)) is not None:
            raise ValueError(reason)
        if context is None and self.needs_context:
            raise ValueError(self.context_is_missing)
        for name in ("latents", "context", "replicas"):
            if (size := getattr(sizes, name)) is not None and size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        for name in sorted(self.per_replica):
            value = getattr(self, name)
            if replicas is not None and isinstance(value, Tensor) and len(value) != replicas:
                raise ValueError(f"{name} must hold {replicas} replicas, got {len(value)}")
        self._build(latents, categories, context, replicas)
        self._built = sizes
        self._learns = bool(self.state_dict())

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        """Creates a subclass's learned parts."""

    def select(self, keep: Tensor) -> None:
        """Drops replicas: `keep` is a boolean mask or a tensor of indices over the present ones.

        Parameters keep their identity, so an optimizer that holds them goes on with the rest; its
        own state is for its owner to select.
        """
        for name in self.per_replica:
            value = getattr(self, name)
            if isinstance(value, Tensor):
                setattr(self, name, value[keep])
        if self._built is None or self._built.replicas is None:
            return
        for module in self.modules():
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data[keep]
                parameter.grad = None
            for name, buffer in list(module.named_buffers(recurse=False)):
                if module is not self or name not in self.per_replica:
                    setattr(module, name, buffer[keep])
        kept = int(keep.sum()) if keep.dtype == torch.bool else len(keep)
        self._built = self._built._replace(replicas=kept)

    def _keep(
        self,
        name: str,
        value: Any,
        *,
        minimum: float | None = None,
        between: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        """Stores a per-replica setting: a float, or a tensor `R` as a buffer that `.to` moves.

        Args:
            name: The setting.
            value: Must be finite.
            minimum: The least valid value, if there is one.
            between: Otherwise, the open interval of valid values.

        Raises:
            ValueError: If a value is out of range, or a tensor is not `R`.
            TypeError: If it is neither a number nor a tensor.
        """
        if not isinstance(value, Tensor):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number or a tensor `R`, got {value!r}")
        elif value.ndim != 1 or not value.is_floating_point():
            shape = tuple(value.shape)
            raise ValueError(
                f"{name} must be a floating point tensor `R`, got {value.dtype} of shape {shape}"
            )
        values = value.tolist() if isinstance(value, Tensor) else [value]
        low, high = between
        for one in values:
            valid = low < one < high if minimum is None else one >= minimum
            if not (math.isfinite(one) and valid):
                raise ValueError(f"{name} must be finite{_bound(minimum, low, high)}, got {one}")
        if isinstance(value, Tensor):
            self.register_buffer(name, value.detach().clone(), persistent=False)
        else:
            setattr(self, name, float(value))

    def _broadcast(self, name: str, logits: Float[Tensor, "*B L C"]) -> float | Tensor:
        """A per-replica setting, ready to be combined with the logits.

        Raises:
            ValueError: If the logits' first axis does not have one entry per replica.
        """
        value = getattr(self, name)
        if isinstance(value, float):
            return value
        if logits.ndim < 3 or logits.shape[0] != len(value):
            raise ValueError(
                f"{name} holds {len(value)} replicas, so logits must lead with that many, "
                f"got shape {tuple(logits.shape)}"
            )
        return replica_view(value.to(logits.dtype), logits)

    def _keep_eta(self, eta: float | Tensor, learned: bool) -> None:
        """Stores a control variate's weight: what is learned stays between 0 and 2."""
        self._keep("eta", eta, between=(0.0, 2.0) if learned else (-math.inf, math.inf))

    def _value(
        self, name: str, learned: Scalar | None, logits: Float[Tensor, "*B L C"]
    ) -> float | Tensor:
        """What is learned in a per-replica setting's place, or else the setting."""
        return self._broadcast(name, logits) if learned is None else learned(logits)

    def _other_sizes(self, sizes: Sizes) -> ValueError:
        return ValueError(f"{self.name} was built for {self._built}; got {sizes}; make a new one")

    def _match(
        self, logits: Float[Tensor, "*B L C"], context: Float[Tensor, "*B F"] | None
    ) -> None:
        """Refuses what the learned parts were not built for."""
        built = self._built
        if built is None:
            return
        latents, categories = logits.shape[-2:]
        features = None if context is None else context.shape[-1]
        sizes = built._replace(latents=latents, categories=categories)
        if self.reads_context:
            sizes = sizes._replace(context=features)
        if sizes != built:
            raise self._other_sizes(sizes)
        if built.replicas is not None and (logits.ndim < 3 or len(logits) != built.replicas):
            raise ValueError(
                f"{self.name} was built for {built.replicas} replicas, so logits must lead with "
                f"that many, got shape {tuple(logits.shape)}"
            )

    def _validate(self, logits: Float[Tensor, "*B L C"]) -> None:
        if logits.ndim < 2:
            raise ValueError(f"logits must be `*B L C`, got shape {tuple(logits.shape)}")
        if not logits.is_floating_point():
            raise TypeError(f"logits must be floating point, got {logits.dtype}")
        if (reason := self.check(logits.shape[-2], logits.shape[-1])) is not None:
            raise ValueError(reason)


def _bound(minimum: float | None, low: float, high: float) -> str:
    """The rest of "must be finite"."""
    if minimum is not None:
        return f" and >= {minimum:g}"
    if math.isfinite(low):
        return f" and > {low:g}" + (f" and < {high:g}" if math.isfinite(high) else "")
    return ""


class PathwiseEstimator(Estimator):
    """An estimator whose sample carries the gradient, through the objective's own gradient."""

    needs_gradient = True
    samples: int

    @abstractmethod
    def _draw(
        self, logits: Float[Tensor, "*B L C"], noise: Noise, samples: int
    ) -> Float[Tensor, "K *B L C"]:
        """Hard one-hot samples that carry the gradient to the logits."""

    def sample(self, logits: Float[Tensor, "*B L C"], noise: Noise) -> Float[Tensor, "*B L C"]:
        """One hard one-hot sample that carries the gradient, to use inside any graph.

        Raises:
            ValueError: If this estimator cannot handle such logits.
            TypeError: If the logits are not floating point.
        """
        self._validate(logits)
        return self._draw(logits, noise, 1).squeeze(0)


class HardForwardEstimator(PathwiseEstimator):
    """A pathwise estimator that shows the objective hard samples only, one evaluation each."""

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        return estimate_at(self._draw(logits, noise, self.samples), objective)

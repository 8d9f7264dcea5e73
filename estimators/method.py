"""The base of all estimators, of any kind of latent variables: declarations, learned parts."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Literal, TypeVar

from raysweep.estimators.estimate import sample_count
from raysweep.estimators.replicated import Replicated

Sizes = TypeVar("Sizes", bound=Any)
"""A named tuple of a family's sizes, with those of the context and of the replicas."""

Target = Literal["mean", "bound"]
"""What an estimate is of: the expectation of the objective f at one sample, or that of the bound
`-log 1/K sum_k exp(-f_k)` of K samples, for which f must be the negative log of a weight."""


class Method(Replicated, ABC, Generic[Sizes]):
    """A gradient estimator, with settings and parts that it may learn.

    Attributes:
        name: Key in the registry.
        version: Number that is raised when the meaning of a result changes.
        target: Whether estimates are of the objective's mean, or of the bound of K samples.
        unbiased: Whether the surrogate's expected gradient is the target's, for any objective.
            Where settings change this, the instance says so itself, as for `needs_gradient`.
        needs_gradient: Whether it differentiates the objective with respect to the sample.
        per_replica: Settings that may be a tensor `R`, one number for each replica.
        python_only: Arguments that are no settings of sweep files, such as modules.
        reads_context: Whether its learned parts read the context, where there is one.
        needs_context: Whether it needs a context.
        reference: Publication of the method.
        samples: K, hard samples that the estimate averages over.
    """

    version: ClassVar[int] = 1
    target: ClassVar[Target] = "mean"
    unbiased: bool
    needs_gradient: bool
    python_only: ClassVar[frozenset[str]] = frozenset()
    reads_context: bool = False
    needs_context: bool = False
    reference: ClassVar[str]

    def __init__(self, *, samples: int = 1) -> None:
        super().__init__()
        self.samples = sample_count(samples)
        self._built: Sizes | None = None
        self._learns = False

    @property
    def context_is_missing(self) -> str:
        """The message for an estimator that needs a context and has none."""
        return f"{self.name} needs a context for its baseline, got none; set baseline to false"

    @abstractmethod
    def _refusal(self, sizes: Sizes) -> str | None:
        """Return the reason this estimator cannot handle these sizes, or None."""

    @abstractmethod
    def _create(self, sizes: Sizes) -> None:
        """Create the learned parts for sizes that were checked."""

    def _build_once(self, sizes: Sizes) -> None:
        """Create the learned parts, unless they are there for the same sizes.

        Raises:
            ValueError: If it was built for other sizes, these are refused, or a setting has
                another number of replicas.
        """
        if self._built_for == sizes:
            return
        if self._learns:
            raise self._other_sizes(sizes)
        if (reason := self._refusal(sizes)) is not None:
            raise ValueError(reason)
        if sizes.context is None and self.needs_context:
            raise ValueError(self.context_is_missing)
        for name in ("context", "replicas"):
            if (size := getattr(sizes, name)) is not None and size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self._check_settings(sizes.replicas)
        self._create(sizes)
        self._built, self.replicas = sizes, sizes.replicas
        self._learns = bool(self.state_dict())

    @property
    def _built_for(self) -> Any:
        """The sizes of the learned parts, with the replicas that `select` has left, or None."""
        return None if self._built is None else self._built._replace(replicas=self.replicas)

    def _other_sizes(self, sizes: Sizes) -> ValueError:
        return ValueError(
            f"{self.name} was built for {self._built_for}; got {sizes}; make a new one"
        )


def text_of_sizes(main: str, context: int | None, replicas: int | None) -> str:
    """Return the words for sizes, after those that are a family's own."""
    features = "no context" if context is None else f"a context of {context} features"
    copies = "no replicas" if replicas is None else f"{replicas} replicas"
    return f"{main}, {features}, {copies}"

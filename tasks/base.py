"""Base of every task: declared settings, declared metrics, replicas, the interfaces."""

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from raysweep.estimators.method import Method, Target

AnyEstimator = TypeVar("AnyEstimator", bound=Method[Any])
"""The base class of a family's estimators."""

NO_FAMILY = "none"
"""Family of a task that takes no estimator."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}
_WITH_SGD = {"optimizer": ("sgd",)}
_WITH_ADAM = {"optimizer": ("adam", "radam")}


@dataclasses.dataclass(frozen=True)
class Metric:
    """Meaning of a reported number.

    Args:
        direction: Better values: `"min"` if smaller ones, `"max"` if larger ones.
        unit: Unit, for example `"nats"`; `""` for a plain number.
        meaning: Description in one line.
        needs: Smallest values of settings, by name, with which the metric has a value: 1 for a
            setting that must be on.
        at_end: Whether the metric is measured at the end of a run only.
        early: Name of a setting that adds measurements before the end, if it is set.
    """

    direction: Literal["min", "max"]
    unit: str
    meaning: str
    needs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    at_end: bool = False
    early: str | None = None


@dataclasses.dataclass(frozen=True)
class Replica:
    """Run inside a pack.

    Args:
        run_id: Identity of the run.
        seed: Seed of the run's initialisation, data order and noise.
        settings: Values of those settings that may differ between the replicas of a pack.
    """

    run_id: str
    seed: int
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Open:
    """Values of a setting of text that its type does not list.

    Args:
        names: Function that returns the names that are known.
        forms: Functions by key: `{key: text}` in a sweep file means what the function returns for
            the text; a ValueError is the user's mistake.
    """

    names: Callable[[], Collection[str]]
    forms: Mapping[str, Callable[[str], str]]


def setting(
    default: Any,
    meaning: str,
    *,
    per_replica: bool = False,
    smoke: float | None = None,
    only_if: Mapping[str, Collection[Any]] = MappingProxyType({}),
    known: Open | None = None,
) -> Any:
    """Declare one setting of a task.

    Args:
        default: Value if the sweep file does not set it; the paper's where there is one.
        meaning: Description in one line, with the unit and the reference of the default.
        per_replica: True if the runs of one pack may hold different values.
        smoke: Largest value in a trial run (`--smoke`); no limit if None.
        only_if: Values of other settings, by name, without which this one has no effect.
        known: Known names, and further forms, of a setting of text; None for any other.
    """
    metadata = {
        "meaning": meaning,
        "per_replica": per_replica,
        "smoke": smoke,
        "only_if": only_if,
        "known": known,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of every gradient-trained task: section `training` of a run.

    Raises:
        ValueError: If a value is out of its range.
    """

    optimizer: Literal["adam", "radam", "sgd"] = setting("adam", "update rule")
    lr: float = setting(1e-3, "learning rate, > 0", per_replica=True)
    weight_decay: float = setting(0.0, "L2 penalty added to the gradient, >= 0", per_replica=True)
    momentum: float = setting(
        0.0, "momentum of sgd, in [0, 1)", per_replica=True, only_if=_WITH_SGD
    )
    nesterov: bool = setting(False, "Nesterov's form of sgd's momentum", only_if=_WITH_SGD)
    beta1: float = setting(
        0.9, "decay of the first moment (adam, radam)", per_replica=True, only_if=_WITH_ADAM
    )
    beta2: float = setting(
        0.999, "decay of the second moment (adam, radam)", per_replica=True, only_if=_WITH_ADAM
    )
    epsilon: float = setting(
        1e-8, "added to the root of the second moment", per_replica=True, only_if=_WITH_ADAM
    )
    tuning_lr: float | None = setting(
        None,
        "learning rate of the estimator's parameters, by adam; ten times lr if not set",
        per_replica=True,
    )
    tuning_beta2: float = setting(
        0.999, "decay of the second moment of the estimator's parameters", per_replica=True
    )
    steps: int = setting(1000, "parameter updates")
    batch_size: int = setting(100, "examples, or samples, per update")
    window: int | None = setting(
        None, "steps that final training metrics average over; one epoch, or 100 steps, if not set"
    )
    report_every: int = setting(100, "steps between two rows of a curve")
    dtype: Literal["float32", "float64"] = setting("float32", "floating point format")

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "report_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        for name in ("lr", "epsilon", "tuning_lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        for name in ("momentum", "beta1", "beta2", "tuning_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.nesterov and not self.momentum > 0:
            raise ValueError("nesterov needs momentum > 0, got momentum 0")


def check_interval(interval: int | None, report_every: int, name: str = "evaluate_every") -> None:
    """Check that evaluations during training, if there are any, fall on rows of the curves.

    Args:
        interval: Steps between two evaluations, or None.
        report_every: Steps between two rows.
        name: Name of the setting that holds the interval.

    Raises:
        ValueError: If their interval is no multiple of that of the rows.
    """
    if interval is not None and (interval < 1 or interval % report_every):
        raise ValueError(
            f"{name} must be a multiple of report_every, {report_every}, got {interval}"
        )


def resolve_window(settings: TrainingSettings, default: int) -> int:
    """Return the steps that final training metrics average over, at most all of the run."""
    return min(settings.window or default, settings.steps)


def replica_values(name: str, settings: TrainingSettings, replicas: Sequence[Replica]) -> list[Any]:
    """Return a setting's value for each replica: its own, else the pack's."""
    return [replica.settings.get(name, getattr(settings, name)) for replica in replicas]


@runtime_checkable
class Training(Protocol):
    """Pack in training; every metric is a tensor `R`, in the current order of replicas."""

    step: int
    window: int

    def advance(self, steps: int) -> Mapping[str, Tensor]:
        """Train for some steps; return the metrics' means over them, detached, on the device."""

    def evaluate(self) -> Mapping[str, Tensor]:
        """Return final metrics of the current parameters, without an effect on training."""

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state that resumes training bit for bit: tensors, numbers, lists, dicts.

        None if there is none, so that an interrupted training starts over.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training with the same settings and replicas."""


@runtime_checkable
class DecidesOnSteps(Protocol):
    """Training that decides itself on its number of steps, and may end before."""

    def length(self) -> int:
        """Return the number of steps, as far as it is known."""


@runtime_checkable
class Closeable(Protocol):
    """Training that holds something to release."""

    def close(self) -> None:
        """Release it; called when the training is no longer used."""


class Task(ABC, Generic[AnyEstimator]):
    """Training problem, as the engine sees it; every task is a subclass.

    Attributes:
        name: Name in the registry and in sweep files.
        version: Number that is raised when the meaning of a result, or a default, changes.
        settings: Frozen dataclass whose fields are declared by `setting`.
        metrics: Meaning of every metric that a training reports, by name.
        family: Family of the estimators that the task accepts; `NO_FAMILY` if it takes none.
        targets: Targets of the estimators that the task accepts: "bound" as well where the
            objective is the negative log of a weight, so that a bound of K samples has a meaning.
        source: Text of the task's code, where no module holds it: that of a notebook or a script.
        max_replicas: Most runs that one training can hold; None for no limit.
        is_function: Whether training calls a function of the user, whose errors are the run's.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    settings: ClassVar[type]
    metrics: ClassVar[Mapping[str, Metric]]
    family: ClassVar[str]
    targets: ClassVar[frozenset[Target]] = frozenset({"mean"})
    source: str = ""
    max_replicas: int | None = None
    is_function: bool = False

    @property
    def module(self) -> str:
        """Name of the module that defines the task."""
        return type(self).__module__

    @property
    def file(self) -> str:
        """File of the task's code.

        Raises:
            TypeError: If it is in none.
        """
        return inspect.getfile(type(self))

    @abstractmethod
    def check(self, settings: Any, estimator: AnyEstimator) -> str | None:
        """Return the reason why this pair cannot run, or None; read no data."""

    def refusal(self, settings: Any, estimator: AnyEstimator) -> str | None:
        """Return the reason why this pair cannot run, by the estimator's target or by `check`."""
        if estimator.target not in self.targets:
            return (
                f"{estimator.name} estimates the {estimator.target} of K samples, for losses that "
                f"are -log of a weight, and those of {self.name} are not; use an estimator of the "
                f"{' or '.join(sorted(self.targets))}"
            )
        return self.check(settings, estimator)

    def prepare(self, settings: Any, folder: Path | None) -> None:
        """Make the files that a training reads available; do nothing unless overridden.

        The driver calls this before anything starts.

        Args:
            settings: Settings of the runs to come.
            folder: Data folder; the default one if None.

        Raises:
            OSError: If files are missing and cannot be downloaded; the message is one line.
            ValueError: If a file has unexpected content; the message is one line.
        """

    @abstractmethod
    def replica_bytes(self, settings: Any, estimator: AnyEstimator) -> int:
        """Return the bytes one replica needs: weights, optimizer state, an update's evaluations.

        Read no data.
        """

    @abstractmethod
    def start(
        self,
        settings: Any,
        replicas: list[Replica],
        estimator: AnyEstimator,
        device: torch.device,
    ) -> Training:
        """Build the training of a pack at step 0."""

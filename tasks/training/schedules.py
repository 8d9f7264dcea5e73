"""Schedules: an estimator's temperature, and its weight eta, that change with the step."""

import copy
import dataclasses
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from raysweep.estimators.method import Method
from raysweep.tasks.base import Replica, TrainingSettings, replica_values, setting

NAMES = ("temperature", "eta")
"""Settings of estimators that can change."""

Shape = Literal["linear", "exponential", "cosine"]
_END = "the estimator's {} at the end of its schedule; constant if not set"
_STEPS = "updates over which {} changes, from its first value to its last; all if not set"
_SHAPE = "course of {} between the two: a line, a geometric sequence, or a half cosine"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduledSettings(TrainingSettings):
    """Settings of a task during which settings of its estimator can change.

    In a sweep file, `temperature: {from: 1, to: 0.1, over: steps}` of an estimator sets them.

    Raises:
        ValueError: If a value is out of its range, or describes a schedule that is not there.
    """

    final_temperature: float | None = setting(None, _END.format("temperature"), per_replica=True)
    temperature_steps: int | None = setting(
        None, _STEPS.format("the temperature"), per_replica=True
    )
    temperature_shape: Literal["linear", "exponential", "cosine"] = setting(
        "linear", _SHAPE.format("the temperature")
    )
    final_eta: float | None = setting(None, _END.format("eta"), per_replica=True)
    eta_steps: int | None = setting(None, _STEPS.format("eta"), per_replica=True)
    eta_shape: Literal["linear", "exponential", "cosine"] = setting("linear", _SHAPE.format("eta"))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in NAMES:
            steps, shape = getattr(self, f"{name}_steps"), getattr(self, f"{name}_shape")
            if getattr(self, f"final_{name}") is None and (steps is not None or shape != "linear"):
                extra = f"{name}_shape {shape}" if steps is None else f"{name}_steps {steps}"
                raise ValueError(f"{extra} needs final_{name}, which is not set; set it, or remove")
            if steps is not None and steps < 2:
                raise ValueError(f"{name}_steps must be at least 2, got {steps}")
        if self.final_temperature is not None and not self.final_temperature > 0:
            raise ValueError(f"final_temperature must be positive, got {self.final_temperature}")


class Ramp(NamedTuple):
    """Values of a replica's setting by step.

    Args:
        start: Value at the first update.
        end: Value at the last of its updates, and afterwards; None if it is constant.
        last: Index of the last of its updates, at least 1.
        shape: Course between the two.
    """

    start: float
    end: float | None
    last: int
    shape: Shape

    def at(self, step: int) -> float:
        """Return the value at an update, counted from 0."""
        if self.end is None or step >= self.last:
            return self.start if self.end is None else self.end
        return _COURSES[self.shape](self.start, self.end, step / self.last)


def _line(start: float, end: float, share: float) -> float:
    first, last = (torch.tensor(one, dtype=torch.float64) for one in (start, end))
    return torch.lerp(first, last, share).item()


def _geometric(start: float, end: float, share: float) -> float:
    return float(start * (end / start) ** share)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_COURSES: Mapping[Shape, Callable[[float, float, float], float]] = {
    "linear": _line,
    "exponential": _geometric,
    "cosine": _half_cosine,
}


def check(settings: Any, estimator: Method[Any]) -> None:
    """Check that an estimator can follow the schedules of a task's settings.

    Raises:
        ValueError: If it cannot, with the setting, its value and the estimator.
    """
    if not isinstance(settings, ScheduledSettings):
        return
    for name in NAMES:
        end, shape = getattr(settings, f"final_{name}"), getattr(settings, f"{name}_shape")
        if end is None:
            continue
        _set(copy.deepcopy(estimator), name, end)
        start = torch.as_tensor(getattr(estimator, name)).min().item()
        if shape == "exponential" and not min(start, end) > 0:
            raise ValueError(
                f"{name}_shape exponential needs values above 0, got {name} from {start:g} to "
                f"{end:g}; use linear"
            )


def _set(estimator: Method[Any], name: str, value: float | Tensor) -> None:
    """Change a setting of an estimator.

    Raises:
        ValueError: If it cannot have the value, or any other than its first one.
    """
    change = getattr(estimator, f"set_{name}", None)
    if change is None:
        raise ValueError(
            f"final_{name} needs an estimator whose {name} can be set, got {value} with "
            f"{estimator.name}; remove it"
        )
    try:
        change(value)
    except ValueError as error:
        raise ValueError(f"final_{name} with {estimator.name}: {error}") from error


class Schedules:
    """Settings of an estimator that change with the step, as tensors `R` that are written anew.

    A value depends on the step and the replica's settings alone, so that a run resumes, and trains
    in any pack, to the last bit. Without a schedule, the estimator is left as it is.

    Args:
        estimator: Estimator in training, with the first values.
        settings: Settings of the pack; a replica's own values take precedence.
        replicas: Replicas in the order of the axis `R`.
        like: Tensor with the format and the device of the training.
        always: Settings that are tensors even where none changes.

    Raises:
        ValueError: If the estimator cannot follow a schedule.
    """

    def __init__(
        self,
        estimator: Method[Any],
        settings: TrainingSettings,
        replicas: Sequence[Replica],
        like: Tensor,
        *,
        always: Collection[str] = (),
    ) -> None:
        self._estimator, self._always = estimator, always
        self._dtype, self._device = like.dtype, like.device
        self._step = 0
        self._ramps: dict[str, list[Ramp]] = {}
        if isinstance(settings, ScheduledSettings):
            check(settings, estimator)
            self._ramps = {
                name: self._ramps_of(name, settings, replicas)
                for name in NAMES
                if name in estimator.per_replica
            }
        self._install(sys.maxsize)  # as the last values of all replicas must be valid
        self._install(0)

    def apply(self, step: int) -> None:
        """Give the estimator its values at an update, counted from 0; no device is waited for."""
        self._step = step
        for name in self._ramps:
            getattr(self._estimator, name).copy_(self._values(name, step), non_blocking=True)

    def select(self, keep: Tensor) -> None:
        """Drop replicas, after the estimator has; `keep` is a mask or indices."""
        indices = torch.arange(len(keep))[keep.cpu()] if keep.dtype == torch.bool else keep
        for name, ramps in self._ramps.items():
            self._ramps[name] = [ramps[index] for index in indices.tolist()]
        self._install(self._step)

    def _ramps_of(
        self, name: str, settings: ScheduledSettings, replicas: Sequence[Replica]
    ) -> list[Ramp]:
        """Return each replica's values; the first ones are those of the estimator, as rounded."""
        first = torch.as_tensor(getattr(self._estimator, name), dtype=self._dtype, device="cpu")
        starts = first.expand(len(replicas)).tolist()
        ends = replica_values(f"final_{name}", settings, replicas)
        updates = replica_values(f"{name}_steps", settings, replicas)
        shape = getattr(settings, f"{name}_shape")
        return [
            Ramp(start, end, max((count or settings.steps) - 1, 1), shape)
            for start, end, count in zip(starts, ends, updates, strict=True)
        ]

    def _install(self, step: int) -> None:
        """Make the settings that change tensors of the estimator, with their values at a step.

        The others stay as they are: one number, if it is the same for all replicas.
        """
        self._ramps = {
            name: ramps
            for name, ramps in self._ramps.items()
            if name in self._always or any(ramp.end is not None for ramp in ramps)
        }
        for name in self._ramps:
            _set(self._estimator, name, self._values(name, step).to(self._device))

    def _values(self, name: str, step: int) -> Tensor:
        ramps = self._ramps[name]
        values = {ramp: ramp.at(step) for ramp in set(ramps)}  # runs of all seeds have the same
        return torch.tensor([values[ramp] for ramp in ramps], dtype=self._dtype)

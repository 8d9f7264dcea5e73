"""Checks of what a task's training returns, in words for those who write tasks."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from raysweep.tasks.base import Metric


class BrokenContract(TypeError):
    """Training that does not do what `raysweep.tasks.base.Training` asks for."""


class RestoreError(Exception):
    """Saved state that does not fit the training any more."""


def check_metrics(metrics: Any, declared: Mapping[str, Metric], replicas: int, method: str) -> None:
    """Check that reported metrics are declared, with one number for each run.

    Args:
        metrics: Return value of the training's method.
        declared: Metrics that the task declares, by name.
        replicas: Number of runs in the training.
        method: Name of the method, for messages.

    Raises:
        BrokenContract: If something else was returned.
    """
    if not isinstance(metrics, Mapping):
        raise BrokenContract(
            f"{method} must return a mapping of metrics, got {type(metrics).__name__}"
        )
    for name, value in metrics.items():
        if name not in declared:
            raise BrokenContract(
                f"{method} returned the metric {name!r}, which the task does not declare; add it "
                f"to the task's metrics (declared: {', '.join(declared) or 'none'})"
            )
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != (replicas,):
            raise BrokenContract(
                f"{method} returned {name!r} with {_described(shape)}; expected a tensor with one "
                f"number for each of the {replicas} runs, the shape [{replicas}]"
            )


def check_step(before: int, steps: int, after: int) -> None:
    """Check that a training has moved on by as many steps as asked for.

    Raises:
        BrokenContract: If it has not.
    """
    if after != before + steps:
        raise BrokenContract(
            f"advance({steps}) must raise step from {before} to {before + steps}, got step {after}"
        )


def _described(shape: tuple[int, ...] | str) -> str:
    return f"the type {shape}" if isinstance(shape, str) else f"the shape {list(shape)}"

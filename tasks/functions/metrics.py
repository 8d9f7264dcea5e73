"""Metrics of a task of the user's own, as declared and as reported."""

import numbers
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor

from raysweep.tasks.base import Metric
from raysweep.tasks.contract import BrokenContract
from raysweep.tasks.functions.signature import TaskMistake

Declared = Mapping[str, Literal["min", "max"] | Metric]
_FORM = 'metrics={"train_loss": "min"}'


def declared_metrics(given: Any, owner: str) -> Mapping[str, Metric]:
    """Return the metrics that a task declares.

    Args:
        given: `min`, `max` or a `Metric`, by name.
        owner: Name of the task with its position, for messages.

    Raises:
        TaskMistake: If this is something else.
    """
    if not isinstance(given, Mapping) or not given:
        raise TaskMistake(f"{owner}: expected {_FORM}, got metrics={given!r}")
    mistakes, metrics = [], {}
    for name, metric in given.items():
        if not isinstance(name, str) or not name.isidentifier():
            mistakes.append(f"expected the name of a metric such as train_loss, got {name!r}")
        elif isinstance(metric, Metric):
            metrics[name] = metric
        elif metric in ("min", "max"):
            metrics[name] = Metric(cast("Literal['min', 'max']", metric), "", "")
        else:
            mistakes.append(f"expected 'min' or 'max' for the metric {name!r}, got {metric!r}")
    if mistakes:
        raise TaskMistake("\n".join(f"{owner}: {mistake}" for mistake in mistakes))
    return metrics


def number(name: str, value: Any, declared: Mapping[str, Metric], call: str) -> Tensor:
    """Return a reported value as a detached scalar in float64, without waiting for a GPU.

    Args:
        name: Name of the metric.
        value: Value that the user's code gives.
        declared: Metrics that the task declares.
        call: What gave the value, for messages.

    Raises:
        BrokenContract: If the metric is not declared, or the value is no number.
    """
    if name not in declared:
        raise BrokenContract(
            f"{call}: the task declares no metric {name!r} (declared: {', '.join(declared)}); add "
            "it to the metrics of the task"
        )
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return value.detach().reshape(()).to(torch.float64, copy=True)
    if getattr(value, "ndim", 0) and getattr(value, "size", 0) == 1 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, numbers.Real) or (
        hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 and not isinstance(value, Tensor)
    ):
        return torch.tensor(float(value), dtype=torch.float64)
    shape = f" of the shape {list(value.shape)}" if hasattr(value, "shape") else ""
    raise BrokenContract(
        f"{call}: expected one number for {name!r}, got {type(value).__name__}{shape}"
    )


class Reports:
    """Values that a run reports, turn by turn.

    Args:
        window: Steps that final values average over; the last report counts if None.
        device: Device of the values.
    """

    def __init__(self, window: int | None, device: torch.device) -> None:
        self.window, self.device = window, device
        self._present: dict[str, list[Tensor]] = {}  # of this turn
        self._past: dict[str, list[tuple[int, Tensor]]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a value of the present turn."""
        self._present.setdefault(name, []).append(value.to(self.device))

    def end_turn(self, step: int) -> dict[str, Tensor]:
        """Return the means of the turn that ends at a step."""
        means = {name: torch.stack(values).mean() for name, values in self._present.items()}
        self._present = {}
        for name, mean in means.items():
            first = step - (self.window or 1)
            kept = [one for one in self._past.get(name, ()) if one[0] > first]
            self._past[name] = [*kept, (step, mean)] if self.window else [(step, mean)]
        return means

    def final(self) -> dict[str, Tensor]:
        """Return the final value of each metric that was reported."""
        return {
            name: torch.stack([value for _, value in past]).mean()
            for name, past in self._past.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` loads."""
        return {
            "present": {name: list(values) for name, values in self._present.items()},
            "past": {name: [list(one) for one in past] for name, past in self._past.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self._present = {name: list(values) for name, values in state["present"].items()}
        self._past = {
            name: [(step, value) for step, value in past] for name, past in state["past"].items()
        }

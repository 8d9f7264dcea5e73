"""Metrics of a task of the user's own, as declared and as reported."""

import collections
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor

from raysweep.tasks.base import Metric
from raysweep.tasks.contract import BrokenContract
from raysweep.tasks.functions.signature import TaskMistake

Number = float | Tensor
"""Number, or scalar on a GPU."""

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


def number(name: str, value: Any, declared: Mapping[str, Metric], call: str) -> Number:
    """Return a reported value as a number; of a GPU as a scalar there, without waiting for it.

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
    if isinstance(value, Tensor):
        if value.numel() == 1 and not value.is_complex():
            on_cpu = value.device.type == "cpu"
            return float(value.item()) if on_cpu else value.detach().reshape(()).to(torch.float64)
    elif getattr(value, "size", 1) == 1 and hasattr(value, "item"):
        value = value.item()  # of NumPy, or of another library of arrays
    if isinstance(value, numbers.Real):
        return float(value)
    shape = f" of the shape {list(value.shape)}" if hasattr(value, "shape") else ""
    raise BrokenContract(
        f"{call}: expected one number for {name!r}, got {type(value).__name__}{shape}"
    )


class Reports:
    """Values that a run reports, turn by turn.

    Args:
        window: Steps that final values average over; the last report counts if None.
    """

    def __init__(self, window: int | None) -> None:
        self.window = window
        self._present: dict[str, list[Number]] = {}  # of this turn
        self._past: dict[str, collections.deque[tuple[int, Number]]] = {}

    def add(self, name: str, value: Number) -> None:
        """Add a value of the present turn."""
        self._present.setdefault(name, []).append(value)

    def end_turn(self, step: int, *, last: bool = False) -> dict[str, Number]:
        """Return the means of the turn that ends at a step, or the last values in it."""
        means = {
            name: values[-1] if last else mean(values) for name, values in self._present.items()
        }
        self._present = {}
        for name, value in means.items():
            past = self._past.setdefault(name, collections.deque())
            past.append((step, value))
            while len(past) > 1 and (self.window is None or past[0][0] <= step - self.window):
                past.popleft()
        return means

    def final(self) -> dict[str, Number]:
        """Return the final value of each metric that was reported."""
        return {name: mean([value for _, value in past]) for name, past in self._past.items()}

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
            name: collections.deque((step, value) for step, value in past)
            for name, past in state["past"].items()
        }


def mean(values: Sequence[Number]) -> Number:
    """Return the mean of at least one number."""
    return values[0] if len(values) == 1 else sum(values) / len(values)


def as_column(value: Number, device: torch.device) -> Tensor:
    """Return a number as the column of the only run, `R` = 1, in float64 on a device."""
    if isinstance(value, Tensor):
        return value.reshape(1).to(device)
    return torch.tensor([value], dtype=torch.float64, device=device)

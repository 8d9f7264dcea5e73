"""Training of one run by the user's function, step by step."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from raysweep.tasks.contract import BrokenContract, RestoreError
from raysweep.tasks.functions.metrics import Number, as_column, mean, number
from raysweep.tasks.functions.run import Loop, Run
from raysweep.tasks.turns import Turns


class FunctionTraining:
    """Training of a run, in which the user's function makes one turn of its loop for each step.

    The function is called when its number of steps is asked for, or at the first step, so that a
    saved state can be loaded before.

    Args:
        function: Function that gets the run, with its settings.
        owner: Name of the task with its position, for messages.
        loop: Function that makes the loop of the run from the thread of the function.
    """

    window = 1  # final values of metrics come from `evaluate`

    def __init__(
        self, function: Callable[[Run], Any], owner: str, loop: Callable[[Turns], Loop]
    ) -> None:
        self.owner = owner
        self.turns = Turns(lambda: self._call(function))
        self.loop = loop(self.turns)
        self.step = self.loop.run.step
        self._default_dtype = torch.get_default_dtype()  # which the function may change

    def length(self) -> int:
        """Return the number of steps: that of `run.steps`, fewer if the loop was left, else 1."""
        self._begin()
        if self.turns.is_done:
            return max(1, self.loop.run.step)
        return self.loop.total or 1

    def advance(self, steps: int) -> Mapping[str, Tensor]:
        """Make the function take some steps, fewer if it leaves its loop; return mean metrics."""
        self._begin()
        values: dict[str, list[Number]] = {}
        for _ in range(steps):
            if self.turns.is_done and self.step >= self.length():
                break
            for name, value in self._advance_once().items():
                values.setdefault(name, []).append(value)
        device = self.loop.run.device
        return {name: as_column(mean(several), device) for name, several in values.items()}

    def _advance_once(self) -> dict[str, Number]:
        before = self.loop.run.step
        self.loop.ended = {}
        self._resume()
        if self.turns.is_done and self.loop.run.step == before:
            self.loop.end_turn()  # the function has left its loop, or has none
        self.step = self.loop.run.step
        return self.loop.ended

    def evaluate(self) -> Mapping[str, Tensor]:
        """Return the final metrics: those that the function returns, and those it reported.

        Raises:
            BrokenContract: If a declared metric has no value, or the function returned something
                else than metrics.
        """
        self._resume()
        if not self.turns.is_done:
            raise BrokenContract(f"{self.owner}: the loop over run.steps does not end")
        self.loop.reports.end_turn(self.step)  # reports after the loop
        final = {**self.loop.reports.final(), **self._metrics_returned()}
        missing = [name for name in self.loop.metrics if name not in final]
        if missing:
            raise BrokenContract(
                f"{self.owner}: the metric {missing[0]!r} is declared, but neither reported nor "
                "returned; report it, or remove it from metrics"
            )
        device = self.loop.run.device
        return {name: as_column(value, device) for name, value in final.items()}

    def _metrics_returned(self) -> dict[str, Number]:
        returned = self.turns.result
        if returned is None:
            return {}
        if not isinstance(returned, Mapping):
            raise BrokenContract(
                f"{self.owner}: expected the function to return metrics by name, or nothing, got "
                f"{type(returned).__name__}"
            )
        call = f"{self.owner} returned"
        return {
            str(name): number(str(name), value, self.loop.metrics, call)
            for name, value in returned.items()
        }

    def select(self, keep: Tensor) -> None:
        """End the run unless it is kept."""
        kept = int(keep.sum()) if keep.dtype == torch.bool else len(keep)
        if kept == 0:
            self.close()

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state between two steps; None if the function tracks nothing.

        Raises:
            TypeError: If it holds an object that a checkpoint cannot hold.
        """
        try:
            return self.loop.state_dict()
        except TypeError as error:
            raise TypeError(f"{self.owner}: {error}") from error

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state, before the function has been called."""
        self.loop.load_state_dict(state)
        self.step = state["step"]

    def close(self) -> None:
        """End the function where it is, and give the process its generators back."""
        self.turns.close()
        self.loop.generators.close()
        torch.set_default_dtype(self._default_dtype)

    def _begin(self) -> None:
        """Call the function, up to its loop, unless it has been called."""
        if self.loop.total is None and not self.turns.is_done:
            self._resume()

    def _resume(self) -> None:
        self.loop.generators.activate()
        try:
            self.turns.resume()
        except RestoreError as error:
            raise RestoreError(f"{self.owner}: {error}") from error

    def _call(self, function: Callable[[Run], Any]) -> Any:
        torch.set_flush_denormal(False)  # as in a script of the user
        device = self.loop.run.device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        return function(self.loop.run)

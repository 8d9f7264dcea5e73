"""Pauses in long evaluations, at which the trainer of a pack can save it and stop."""

import threading
import time
from collections.abc import Callable, Mapping

from torch import Tensor

from raysweep.tasks.turns import Turns

_thread = threading.local()


def pause() -> None:
    """Let the trainer of the pack do something else, if it is time.

    `evaluate` of a task calls it between parts that take less than a second each, so that a session
    stops at once. Elsewhere it does nothing.
    """
    evaluation = getattr(_thread, "evaluation", None)
    if isinstance(evaluation, Evaluation):
        evaluation.pause()


class Evaluation:
    """Evaluation that is made in slices of time, in a thread that never runs beside its caller.

    Args:
        evaluate: Function that returns the metrics, and calls `pause` now and then.
    """

    def __init__(self, evaluate: Callable[[], Mapping[str, Tensor]]) -> None:
        self._evaluate = evaluate
        self._turns = Turns(self._run)
        self._until = 0.0

    def continued(self, until: float) -> Mapping[str, Tensor] | None:
        """Continue; return the metrics, or None if a pause comes before the end.

        Args:
            until: Time of `time.monotonic` from which the next pause is taken.

        Raises:
            BaseException: What the evaluation raises.
        """
        self._until = until
        self._turns.resume()
        return self._turns.result if self._turns.is_done else None

    def pause(self) -> None:
        """Return to the caller, if it is time; called by the evaluation."""
        if time.monotonic() >= self._until:
            self._turns.pause()

    def close(self) -> None:
        """End the evaluation at its pause."""
        self._turns.close()

    def _run(self) -> Mapping[str, Tensor]:
        _thread.evaluation = self
        return self._evaluate()

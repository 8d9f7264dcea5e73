"""Pauses between the steps of a pack, and which of them are so long that it may hang."""

FACTOR = 10.0  # times the longest pause before
LEAST_S = 30.0
START_S = 300.0  # before the second step is known: a task may load data, or compile


def is_long(silent_s: float, longest_s: float | None) -> bool:
    """Whether a pack without a step for so long may hang.

    Args:
        silent_s: Seconds since its last step.
        longest_s: Longest pause between two of its steps; None if there was none yet.
    """
    return silent_s > (START_S if longest_s is None else max(LEAST_S, FACTOR * longest_s))


class Pauses:
    """Pauses between the steps of one pack.

    Args:
        now: Time at which it began, in seconds of any clock.
    """

    def __init__(self, now: float) -> None:
        self.since = now  # time of the last step
        self.longest_s: float | None = None
        self._step: int | None = None

    def note(self, step: int, now: float) -> None:
        """A step that was reported, which may be the one before."""
        if step == self._step:
            return
        if self._step is not None:
            self.longest_s = max(self.longest_s or 0.0, now - self.since)
        self._step, self.since = step, now

    def silent_s(self, now: float) -> float | None:
        """Seconds since the last step, where the pack may hang; else None."""
        silent = now - self.since
        return silent if is_long(silent, self.longest_s) else None

"""Pauses between the steps of a pack, and detection of packs that may hang."""

FACTOR = 10.0  # times the longest earlier pause
LEAST_S = 30.0
START_S = 300.0  # before the second step, as a task may load data or compile


def is_long(silent_s: float, longest_s: float | None) -> bool:
    """Return whether a pack may hang.

    Args:
        silent_s: Seconds since the pack's last step.
        longest_s: Longest pause between two of its steps; None before its second step.
    """
    return silent_s > (START_S if longest_s is None else max(LEAST_S, FACTOR * longest_s))


class Pauses:
    """Pauses between the steps of one pack.

    Args:
        now: Time at which the pack started, in seconds of any clock.
    """

    def __init__(self, now: float) -> None:
        self.since = now  # time of the last step
        self.longest_s: float | None = None
        self._step: int | None = None

    def note(self, step: int, now: float) -> None:
        """Record a reported step; the same step may be reported several times."""
        if step == self._step:
            return
        if self._step is not None:
            self.longest_s = max(self.longest_s or 0.0, now - self.since)
        self._step, self.since = step, now

    def silent_s(self, now: float) -> float | None:
        """Return the seconds since the last step if the pack may hang, else None."""
        silent = now - self.since
        return silent if is_long(silent, self.longest_s) else None

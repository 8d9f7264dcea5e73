"""Times of the lease's protocol."""

import time
from collections.abc import Callable
from dataclasses import dataclass

RENEW_S = 5.0
SILENCE_S = 30.0
SETTLE_S = 0.3


def elapsed_clock() -> float:
    """Return monotonic seconds, which include time asleep where the system counts it."""
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if number is None else time.clock_gettime(number)


@dataclass(frozen=True)
class Timing:
    """Times of the lease's protocol.

    Args:
        renew_s: Seconds between two renewals.
        silence_s: Seconds without a renewal after which a lease has expired.
        settle_s: Seconds after a take-over until the lease is read, as another driver may have
            written it later.
        clock: Function that returns monotonic seconds.
        sleep: Function that pauses for a number of seconds.
    """

    renew_s: float = RENEW_S
    silence_s: float = SILENCE_S
    settle_s: float = SETTLE_S
    clock: Callable[[], float] = elapsed_clock
    sleep: Callable[[float], None] = time.sleep

    @property
    def look_s(self) -> float:
        """Seconds between two reads of another driver's lease."""
        return min(1.0, self.silence_s / 10)

"""Times of the lease's protocol."""

import time
from collections.abc import Callable
from dataclasses import dataclass

RENEW_S = 5.0
SILENCE_S = 30.0
SETTLE_S = 0.3


def elapsed_clock() -> float:
    """Seconds that only grow; those for which the machine slept count, too, where it tells."""
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if number is None else time.clock_gettime(number)


@dataclass(frozen=True)
class Timing:
    """Times of the lease's protocol.

    Args:
        renew_s: Between two renewals.
        silence_s: Without a renewal, after which a lease has expired.
        settle_s: After a take-over, until it is read whether another driver came later.
        clock: Monotonic seconds.
        sleep: Pause of so many seconds.
    """

    renew_s: float = RENEW_S
    silence_s: float = SILENCE_S
    settle_s: float = SETTLE_S
    clock: Callable[[], float] = elapsed_clock
    sleep: Callable[[float], None] = time.sleep

    @property
    def look_s(self) -> float:
        """Time between two looks at another's lease."""
        return min(1.0, self.silence_s / 10)

"""Hung packs: workers without a step for too long are killed."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

LONGEST_GAP_S = (
    5.0  # between two checks; after a longer one the driver has not read its workers' reports
)


@dataclasses.dataclass
class _Pack:
    """A pack in training.

    Args:
        process: Process of its worker: `pid`, `started` and `node`.
        step: Last step that the worker reported.
        since: Time of that step, on the clock of the watch.
        ended: Whether its worker was killed because it hung.
        slack_s: Seconds that a step may take longer, as its worker reports only some steps.
    """

    process: Mapping[str, Any]
    step: int
    since: float
    ended: bool = False
    slack_s: float = 0.0


class HangWatch:
    """Watch over the workers, which kills those whose packs make no step for too long.

    Args:
        patience_s: Seconds without a step after which a worker is killed; None for never.
        end: Function that kills a worker, given its `pid`, `started` and `node`.
        excused: Function that returns whether workers may be waiting for the store now.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        patience_s: float | None,
        end: Callable[[Mapping[str, Any]], None],
        excused: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience_s, self.end, self.excused, self.clock = patience_s, end, excused, clock
        self._packs: dict[str, _Pack] = {}
        self._checked = clock()

    def began(self, pack_id: str, process: Mapping[str, Any], slack_s: float = 0.0) -> None:
        """Note that a worker starts to train a pack.

        Args:
            pack_id: Identity of the pack.
            process: The worker's `pid`, `started` and `node`.
            slack_s: Seconds that the pack has besides the patience.
        """
        self._packs[pack_id] = _Pack(process, -1, self.clock(), slack_s=slack_s)

    def stepped(self, pack_id: str, step: int) -> None:
        """Note the step that a worker reported, which may be the same as before."""
        pack = self._packs.get(pack_id)
        if pack is not None and step != pack.step:
            pack.step, pack.since = step, self.clock()

    def process(self, pack_id: str) -> tuple[int | None, str | None]:
        """Return process id and node of the worker that trains a pack, as far as they are known."""
        pack = self._packs.get(pack_id)
        if pack is None:
            return None, None
        return int(pack.process["pid"]), pack.process.get("node")

    def left(self, pack_id: str) -> bool:
        """Forget a pack that no longer trains; return whether its worker was killed here."""
        pack = self._packs.pop(pack_id, None)
        return pack is not None and pack.ended

    def check(self) -> None:
        """Kill the workers of packs without a step for too long."""
        now = self.clock()
        gap, self._checked = now - self._checked, now
        # After a long gap, the reports that came in during it are not read yet.
        not_counted = gap > LONGEST_GAP_S or self.excused()
        for pack in self._packs.values():
            if not_counted:
                pack.since += gap
            silent_s = now - pack.since - pack.slack_s
            if self.patience_s is not None and silent_s > self.patience_s:
                pack.ended, pack.since = True, now  # killed again later if it survives
                self.end(pack.process)

"""Packs that make no step for too long, and the end of their workers."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

LONGEST_GAP_S = 5.0  # between two checks; a longer one means that the driver did not listen


@dataclasses.dataclass
class _Pack:
    """A pack in training.

    Args:
        process: Where its worker runs: `pid`, `started` and `node`.
        step: The last one reported.
        since: Time of that step, on the clock of the watch.
        ended: Whether its worker was ended for its silence.
    """

    process: Mapping[str, Any]
    step: int
    since: float
    ended: bool = False


class HangWatch:
    """Ends workers whose packs make no step for so many seconds.

    Args:
        patience_s: The seconds; None never ends a worker.
        end: Ends the process of a worker, given its `pid`, `started` and `node`.
        excused: Whether workers may be waiting for the store now, which is not their runs' fault.
        clock: Seconds that only grow.
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

    def began(self, pack_id: str, process: Mapping[str, Any]) -> None:
        """A worker begins to train a pack."""
        self._packs[pack_id] = _Pack(process, -1, self.clock())

    def stepped(self, pack_id: str, step: int) -> None:
        """A worker reported a step of a pack, which may be the one before."""
        pack = self._packs.get(pack_id)
        if pack is not None and step != pack.step:
            pack.step, pack.since = step, self.clock()

    def pid(self, pack_id: str) -> int | None:
        """Process id of the worker that trains a pack, if it is known."""
        pack = self._packs.get(pack_id)
        return int(pack.process["pid"]) if pack is not None else None

    def left(self, pack_id: str) -> bool:
        """A pack is no longer in training; whether its worker was ended here."""
        pack = self._packs.pop(pack_id, None)
        return pack is not None and pack.ended

    def check(self) -> None:
        """End the workers of packs that are silent for too long."""
        now = self.clock()
        gap, self._checked = now - self._checked, now
        # After a long gap, reports of meanwhile are not read yet.
        passed_over = gap > LONGEST_GAP_S or self.excused()
        for pack in self._packs.values():
            if passed_over:
                pack.since += gap
            if self.patience_s is not None and now - pack.since > self.patience_s:
                pack.ended, pack.since = True, now  # and once more if it survives that
                self.end(pack.process)

"""Packs that wait to train."""

import collections
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping

from raysweep.sweep.packs import Pack


class PackQueue:
    """Queue of packs, from which arms take turns; a pack can be delayed by some seconds.

    Among arms with equally many packs in training, tasks take turns too, so that the time that
    each of them takes is soon known.

    Args:
        in_flight: Packs that train now, by id; the arm that has the fewest of them comes next.
    """

    def __init__(self, in_flight: Mapping[str, Pack]) -> None:
        self.in_flight = in_flight
        self._by_arm: dict[tuple[str, str], collections.deque[Pack]] = {}
        self._taken: collections.Counter[str] = collections.Counter()  # packs, by task
        self._paused: list[tuple[float, Pack]] = []  # with the monotonic time of its next try

    def __len__(self) -> int:
        return len(self._paused) + sum(len(packs) for packs in self._by_arm.values())

    def __iter__(self) -> Iterator[Pack]:
        paused = (pack for _, pack in self._paused)
        return itertools.chain(paused, *self._by_arm.values())

    def put(self, packs: Iterable[Pack]) -> None:
        """Add packs after the others of their arm."""
        for pack in packs:
            self._by_arm.setdefault(pack.arm, collections.deque()).append(pack)

    def put_first(self, packs: Iterable[Pack], pause_s: float = 0.0) -> None:
        """Add packs before the others of their arm, after some seconds if asked."""
        if pause_s > 0:
            self._paused += [(time.monotonic() + pause_s, pack) for pack in packs]
            return
        for pack in reversed(list(packs)):
            self._by_arm.setdefault(pack.arm, collections.deque()).appendleft(pack)

    def take(self) -> Pack | None:
        """Remove and return the next pack; None if no pack may be tried now."""
        now = time.monotonic()
        ready = [pack for due, pack in self._paused if due <= now]
        self._paused = [(due, pack) for due, pack in self._paused if due > now]
        self.put_first(ready)
        waiting = [arm for arm, packs in self._by_arm.items() if packs]
        if not waiting:
            return None
        busy = collections.Counter(pack.arm for pack in self.in_flight.values())
        arm = min(waiting, key=lambda arm: (busy[arm], self._taken[arm[0]]))
        self._taken[arm[0]] += 1
        return self._by_arm[arm].popleft()

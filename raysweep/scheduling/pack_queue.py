"""Packs that wait to train."""

import collections
import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from raysweep.sweep.packs import Pack


class PacksInFlight(dict[str, Pack]):
    """Packs that train now, by id, with the number of packs of each arm."""

    def __init__(self) -> None:
        super().__init__()
        self.by_arm: collections.Counter[tuple[str, str]] = collections.Counter()

    def __setitem__(self, pack_id: str, pack: Pack) -> None:
        self.discard(pack_id)
        super().__setitem__(pack_id, pack)
        self.by_arm[pack.arm] += 1

    def __delitem__(self, pack_id: str) -> None:
        self.by_arm[self[pack_id].arm] -= 1
        super().__delitem__(pack_id)

    def take(self, pack_id: str) -> Pack:
        """Remove and return a pack."""
        pack = self[pack_id]
        del self[pack_id]
        return pack

    def discard(self, pack_id: str) -> None:
        """Remove a pack, if it is there."""
        if pack_id in self:
            del self[pack_id]


class PackQueue:
    """Queue of packs, from which arms take turns; a pack can be delayed by some seconds.

    Among arms with equally many packs in training, tasks take turns too, so that the time that
    each of them takes is soon known.

    Args:
        in_flight: Packs that train now, by id; the arm that has the fewest of them comes next.
    """

    def __init__(self, in_flight: PacksInFlight) -> None:
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

    def take(self, accepts: Callable[[Pack], bool] = lambda pack: True) -> Pack | None:
        """Remove and return the next pack; None if no pack may be tried now.

        Args:
            accepts: Function that returns whether the caller takes the pack that comes next.
        """
        now = time.monotonic()
        ready = [pack for due, pack in self._paused if due <= now]
        self._paused = [(due, pack) for due, pack in self._paused if due > now]
        self.put_first(ready)
        waiting = [arm for arm, packs in self._by_arm.items() if packs]
        if not waiting:
            return None
        busy = self.in_flight.by_arm
        arm = min(waiting, key=lambda arm: (busy[arm], self._taken[arm[0]]))
        if not accepts(self._by_arm[arm][0]):
            return None
        self._taken[arm[0]] += 1
        return self._by_arm[arm].popleft()

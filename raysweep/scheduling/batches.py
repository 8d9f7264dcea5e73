"""Batches of packs that train one after another in one worker, as each of them is short."""

import math
from collections.abc import Callable, Iterable, Sequence

from raysweep.scheduling.scheduler import Schedule
from raysweep.sweep.packs import Pack

BATCH_S = 1.0  # of training in a batch
SHORT_S = BATCH_S / 2  # of training in a pack that has company
SHARES = 2  # parts into which what is queued is divided, for each worker
NEW_SHARE = 0.5  # of the last batch in the mean time of a pack


class Batches:
    """Batches of packs from a schedule.

    A batch has one pack until others of its arm have ended, and then as many as train in about a
    second, but never more than a worker's share of what is queued. As a batch holds packs that its
    worker begins later, there are none where results decide which packs train: with adaptive
    samplers, early stopping, budgets, and limits on the configurations in flight.

    Args:
        schedule: Schedule of the packs.
        workers: Function that returns the number of workers.
        accepts: Function that returns whether a pack may train on any node.
    """

    def __init__(
        self,
        schedule: Schedule,
        workers: Callable[[], int],
        accepts: Callable[[Pack], bool] = lambda pack: True,
    ) -> None:
        self.schedule, self.workers, self.accepts = schedule, workers, accepts
        self._seconds: dict[tuple[str, str], float] = {}  # mean time of a pack, by arm
        self._alone: set[str] = set()
        spec = schedule.spec
        self._allowed = (
            spec.early_stopping is None
            and spec.search.batch is None
            and not schedule.budget_tracker.limited
            and not any(search.study.adapts for search in schedule.arms)
        )

    def next(self) -> list[Pack]:
        """Return the packs of the next batch, and mark them as in flight; none if none is ready."""
        first = self.schedule.next_pack()
        if first is None or not self._is_short(first):
            return [] if first is None else [first]
        packs, left_s = [first], BATCH_S - self._seconds[first.arm]

        def fits(pack: Pack) -> bool:
            return self._is_short(pack) and self._seconds[pack.arm] <= left_s

        share = math.ceil(len(self.schedule.queue) / (SHARES * max(1, self.workers())))
        while len(packs) < share and (pack := self.schedule.another_pack(fits)) is not None:
            packs.append(pack)
            left_s -= self._seconds[pack.arm]
        return packs

    def ended(self, packs: Sequence[Pack], seconds: Sequence[float]) -> None:
        """Note the time that a worker took for each of some packs."""
        by_arm: dict[tuple[str, str], list[float]] = {}
        for pack, taken in zip(packs, seconds, strict=True):
            by_arm.setdefault(pack.arm, []).append(taken)
        for arm, several in by_arm.items():
            mean = sum(several) / len(several)
            before = self._seconds.get(arm, mean)
            self._seconds[arm] = NEW_SHARE * mean + (1 - NEW_SHARE) * before

    def put_back(self, packs: Iterable[Pack], *, alone: bool = False) -> None:
        """Queue packs in flight again, before all others; none of their attempts counts.

        Args:
            packs: Packs of a batch that its worker did not begin, or whose begin is not known.
            alone: Whether each is a batch of its own from now on.
        """
        kept = [self.schedule.in_flight.take(pack.pack_id) for pack in packs]
        begun = self.schedule.runs.begun
        begun.difference_update(run.run_id for pack in kept for run in pack.runs)
        self.schedule.queue.put_first(kept)
        if alone:
            self._alone.update(pack.pack_id for pack in kept)

    def _is_short(self, pack: Pack) -> bool:
        if not self._allowed or pack.pack_id in self._alone:
            return False
        has_failed = any(run.failures for run in pack.runs)
        is_short = self._seconds.get(pack.arm, math.inf) <= SHORT_S
        return is_short and not has_failed and self.accepts(pack)

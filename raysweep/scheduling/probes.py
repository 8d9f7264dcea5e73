"""Runs that failed before: one of a program is tried alone, and then the others together."""

from collections.abc import Mapping, Sequence

from raysweep.sweep.packs import ArmRun, Pack, PackSize, joined


class Probes:
    """Packs of one run each that wait until another one of their program has been tried.

    If the one that is tried ends well, the cause of the failures is gone, and the others train
    together again; if it fails, each is tried alone.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[list[Pack], int]] = {}  # by the run that is tried

    def hold(
        self, packs: Sequence[Pack], planned: Mapping[str, ArmRun], size: PackSize
    ) -> list[Pack]:
        """Return the packs to queue now; the others wait.

        Args:
            packs: Packs to queue, those of runs that failed before among them.
            planned: Planned runs by id.
            size: Limit on the number of runs in a pack.
        """
        now: list[Pack] = []
        retries: dict[str, list[Pack]] = {}
        for pack in packs:
            if len(pack.runs) == 1 and pack.runs[0].failures:
                retries.setdefault(planned[pack.runs[0].run_id].program, []).append(pack)
            else:
                now.append(pack)
        for first, *others in retries.values():
            now.append(first)
            if others:
                limit = size.limit([planned[pack.runs[0].run_id] for pack in others])
                self._waiting[first.runs[0].run_id] = others, limit
        return now

    def ended_well(self, pack: Pack) -> list[Pack]:
        """Return the packs to queue after a pack ended: the runs that waited for it, together."""
        waiting, limit = self._waiting.pop(pack.runs[0].run_id, ([], 1))
        return joined(waiting, limit) if waiting else []

    def failed(self, pack: Pack) -> list[Pack]:
        """Return the packs to queue after a pack failed: each run that waited for it, alone."""
        return self._waiting.pop(pack.runs[0].run_id, ([], 1))[0]

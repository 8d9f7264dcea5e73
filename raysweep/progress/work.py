"""Steps of a sweep: those done, and all of them."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysweep.scheduling.scheduler import Schedule


@dataclasses.dataclass(frozen=True)
class Tally:
    """Counts of a schedule's planned runs.

    Args:
        ended: Number of runs that ended.
        failed: Number of those that failed.
        steps_ended: Number of steps of the runs that ended; all steps of one that was stopped
            early count, as none of them is left to do.
        steps: Number of steps of all runs, with those that searches have yet to add.
    """

    ended: int
    failed: int
    steps_ended: int
    steps: int


class Work:
    """Counts of a schedule, made anew only when runs were planned or ended.

    Args:
        schedule: The schedule to count.
    """

    def __init__(self, schedule: "Schedule") -> None:
        self.schedule = schedule
        self._known: tuple[tuple[int, ...], Tally] | None = None

    @functools.cached_property
    def knows_steps(self) -> bool:
        """Whether the file says how long all runs are; otherwise each counts as one step."""
        return all(search.arm.length[0] is not None for search in self.schedule.arms)

    @property
    def tally(self) -> Tally:
        """The present counts."""
        schedule = self.schedule
        key = len(schedule.planned), len(schedule.ended), schedule.to_come
        if self._known is None or self._known[0] != key:
            self._known = key, self._counted()
        return self._known[1]

    def _counted(self) -> Tally:
        ended = failed = steps_ended = steps = 0
        for run_id, member in self.schedule.planned.copy().items():
            of_run = 1
            if self.knows_steps:
                of_run = int(member.run.configuration.settings["training.steps"])
            steps += of_run
            if (result := self.schedule.ended.get(run_id)) is not None:
                ended += 1
                failed += result.status == "failed"
                steps_ended += of_run
        for search in self.schedule.arms:
            longest = search.arm.length[0] if self.knows_steps else 1
            steps += (longest or 1) * (self.schedule.budget_tracker.to_come(search) or 0)
        return Tally(ended, failed, steps_ended, steps)

    def share(self, packs: Mapping[str, Mapping[str, Any]]) -> float:
        """Return the share of all steps that is done.

        Args:
            packs: Last progress of each pack, by its id.
        """
        tally = self.tally
        reached = 0.0
        for pack in list(self.schedule.in_flight.values()):
            if pack.pack_id in packs:
                progress = packs[pack.pack_id]
                whole = 1 if self.knows_steps else max(1, progress["steps"])
                reached += progress["step"] / whole * len(pack.runs)
        return min(1.0, (tally.steps_ended + reached) / max(1, tally.steps))

"""What is known of a sweep's runs in this session: planned, ended, and whose they are."""

import dataclasses
from collections.abc import Sequence

from raysweep.sweep.outcomes import RunResult
from raysweep.sweep.packs import ArmRun


@dataclasses.dataclass
class RunRegistry:
    """Every run of a session.

    Args:
        planned: Runs that the sweep consists of so far, by id.
        ended: Those that ended, and others that the store has.
        begun: Ids of runs in flight, or that an earlier session began and did not end.
        unwritten: Runs that were stopped before their first step and have no row yet.
    """

    planned: dict[str, ArmRun] = dataclasses.field(default_factory=dict)
    ended: dict[str, RunResult] = dataclasses.field(default_factory=dict)
    begun: set[str] = dataclasses.field(default_factory=set)
    unwritten: list[ArmRun] = dataclasses.field(default_factory=list)

    def of(self, members: Sequence[ArmRun]) -> list[RunResult]:
        """How those of the members ended that did."""
        found = (self.ended.get(member.run.run_id) for member in members)
        return [each for each in found if each is not None]

    def in_flight(self, members: Sequence[ArmRun]) -> int:
        """How many of the members have begun and not ended."""
        ids = {member.run.run_id for member in members}
        return sum(1 for run_id in ids if run_id in self.begun and run_id not in self.ended)

    def plan(self, members: Sequence[ArmRun]) -> list[ArmRun]:
        """Takes members into the plan; those that were not in it."""
        fresh = [member for member in members if member.run.run_id not in self.planned]
        self.planned.update({member.run.run_id: member for member in fresh})
        return fresh

    def drop(self, members: Sequence[ArmRun]) -> None:
        """Takes members that have not ended out of the plan."""
        for member in members:
            if member.run.run_id not in self.ended:
                self.planned.pop(member.run.run_id, None)

    def stop(self, members: Sequence[ArmRun]) -> None:
        """Ends members that never ran."""
        for member in members:
            if member.run.run_id not in self.ended:
                self.ended[member.run.run_id] = RunResult("stopped", (None,))
                self.unwritten.append(member)
        self.plan(members)

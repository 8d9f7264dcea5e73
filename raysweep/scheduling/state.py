"""State of this session's runs: planned, in flight, ended."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from raysweep.sweep.outcomes import RunResult
from raysweep.sweep.packs import ArmRun, Pack, make_pack

Search = TypeVar("Search")


class Owners(Generic[Search]):
    """Searches that runs belong to, each with the id of the run's configuration there."""

    def __init__(self) -> None:
        self._by_run: dict[str, tuple[tuple[Search, str], ...]] = {}

    def add(self, owner: tuple[Search, str], members: Iterable[ArmRun]) -> None:
        """Add the runs of a configuration of a search; a run may belong to several."""
        alone = (owner,)
        for member in members:
            others = self._by_run.setdefault(member.run.run_id, alone)
            if others is not alone:
                self._by_run[member.run.run_id] = others + alone

    def of(self, run_ids: Iterable[str]) -> list[tuple[Search, str]]:
        """Return the searches of the runs with their configurations, each once."""
        owners = (owner for run_id in run_ids for owner in self._by_run.get(run_id, ()))
        return list({(id(search), key): (search, key) for search, key in owners}.values())


@dataclasses.dataclass
class RunRegistry:
    """Every run of a session.

    Args:
        planned: Runs of the sweep so far, by id.
        ended: Results of the runs that ended, by id; those of the store included.
        begun: Ids of runs in flight, or that an earlier session began and did not end.
        unwritten: Runs that were stopped before their first step and have no row yet.
        failures: Number of failed attempts of runs that failed, by id.
        on_fresh_seeds: Ids of the configurations that have an ended run on a fresh seed.
    """

    planned: dict[str, ArmRun] = dataclasses.field(default_factory=dict)
    ended: dict[str, RunResult] = dataclasses.field(default_factory=dict)
    begun: set[str] = dataclasses.field(default_factory=set)
    unwritten: list[ArmRun] = dataclasses.field(default_factory=list)
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    on_fresh_seeds: set[str] = dataclasses.field(default_factory=set)

    def of(self, members: Sequence[ArmRun]) -> list[RunResult]:
        """Return the results of those of the runs that have ended."""
        results = (self.ended.get(member.run.run_id) for member in members)
        return [result for result in results if result is not None]

    def in_flight(self, members: Sequence[ArmRun]) -> int:
        """Return how many of the runs have begun and not ended."""
        ids = {member.run.run_id for member in members}
        return sum(1 for run_id in ids if run_id in self.begun and run_id not in self.ended)

    def plan(self, members: Sequence[ArmRun]) -> list[ArmRun]:
        """Add runs to the plan; return those that are new to it."""
        fresh = [member for member in members if member.run.run_id not in self.planned]
        self.planned.update({member.run.run_id: member for member in fresh})
        return fresh

    def drop(self, members: Sequence[ArmRun]) -> None:
        """Remove runs that have not ended from the plan."""
        for member in members:
            if member.run.run_id not in self.ended:
                self.planned.pop(member.run.run_id, None)

    def leave_out(self, members: Sequence[ArmRun]) -> None:
        """Remove runs from the plan, ended ones included."""
        for member in members:
            self.planned.pop(member.run.run_id, None)

    def stop(self, members: Sequence[ArmRun]) -> None:
        """Mark runs that have not ended as stopped before their first step."""
        for member in members:
            if member.run.run_id not in self.ended:
                self.ended[member.run.run_id] = RunResult("stopped", (None,))
                self.unwritten.append(member)
        self.plan(members)

    def take_unwritten(self) -> list[Pack]:
        """Return the runs that were stopped before their first step, a pack for each file of rows.

        From then on they are written.
        """
        unwritten, self.unwritten = self.unwritten, []
        files: dict[str, list[ArmRun]] = {}
        for member in unwritten:
            # A run that failed has a file of its own, which its new row replaces.
            failed = member.run.run_id in self.failures
            key = member.run.run_id if failed else member.run.configuration.configuration_id
            files.setdefault(key, []).append(member)
        return [self._pack(members) for members in files.values()]

    def _pack(self, members: Sequence[ArmRun]) -> Pack:
        first = members[0].run.configuration
        runs = [member.planned(self.failures.get(member.run.run_id, 0)) for member in members]
        return make_pack(first.task, first.estimator, runs, members[0].arm.code)

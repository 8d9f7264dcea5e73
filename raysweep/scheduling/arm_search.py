"""The search of one arm in a session: which configurations are open, closed, and reported."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raysweep.scheduling.racing import Values, clearly_worse, rounds
from raysweep.scheduling.state import RunRegistry
from raysweep.search.sampler_state import SamplerState
from raysweep.search.study import ArmStudy, Proposal
from raysweep.sweep.outcomes import FAILED, RunResult, TrialResult, trial_result
from raysweep.sweep.packs import ArmRun
from raysweep.sweep.runs import Configuration, Run
from raysweep.sweep.spec import Arm, Spec

Began = tuple[str, Mapping[str, Any]]  # a configuration's id and settings


@dataclasses.dataclass
class Open:
    """A configuration that the search waits for.

    Args:
        proposal: The study's.
        members: Its runs, one for each seed.
        count: How many of them have been planned; under racing not all at once.
    """

    proposal: Proposal
    members: list[ArmRun]
    count: int

    @property
    def planned(self) -> list[ArmRun]:
        """The runs planned so far."""
        return self.members[: self.count]


@dataclasses.dataclass
class Spent:
    """What closed configurations took.

    Args:
        runs: Those that trained.
        seconds: Their time.
    """

    runs: int = 0
    seconds: float = 0.0

    def add(self, ended: Iterable[RunResult]) -> None:
        """Takes runs in."""
        for each in ended:
            self.runs += not each.never_ran
            self.seconds += each.seconds


class ArmSearch:
    """The search of one arm.

    Args:
        arm: The arm.
        spec: Its sweep.
        runs: Every run of the session, shared between the arms.
        sampler_state: What the sampler noted at its proposals.
    """

    def __init__(
        self, arm: Arm, spec: Spec, runs: RunRegistry, sampler_state: SamplerState
    ) -> None:
        self.arm, self.spec, self.runs, self.sampler_state = arm, spec, runs, sampler_state
        self.study = ArmStudy(arm, spec.search, spec.select)
        self.open: dict[str, Open] = {}
        self.closed: dict[str, TrialResult] = {}
        self.members: dict[str, list[ArmRun]] = {}
        self.opened: list[str] = []  # for whoever keeps the owners of runs; it takes them out
        self.reported: list[ArmRun] = []
        self.exhausted = False
        self.siblings: Sequence[ArmSearch] = ()
        self.spent = Spent()
        self._late: list[ArmRun] = []  # of closed configurations, in flight when those closed
        self._former: dict[str, list[ArmRun]] = {}  # on fresh seeds, by configuration
        self.bound = 0  # runs of open configurations, ended or not

    @property
    def run_ids(self) -> set[str]:
        """Its planned runs, ended ones included."""
        ids = {member.run.run_id for members in self.members.values() for member in members}
        ids |= {member.run.run_id for member in self.reported}
        return ids & self.runs.planned.keys()

    def take_over(self, began: Iterable[Began]) -> None:
        """Tells the study what earlier sessions did: closed configurations first, then open."""
        seen: dict[str, dict[str, Any]] = {}
        for configuration_id, settings in began:
            if configuration_id not in seen:
                assignment = self.arm.locate(configuration_id, settings)
                if assignment is not None:
                    seen[configuration_id] = assignment
        ids = self.sampler_state.in_order(seen)
        # All of them before any is judged: under racing they are compared with each other.
        self.members.update({each: self._members(seen[each]) for each in ids})
        for configuration_id in ids:
            members = self.members[configuration_id]
            found = self._outcome(members, len(members))
            if found is not None:
                attributes = self.sampler_state.of(configuration_id)
                self.study.add(seen[configuration_id], self._told(members, found), attributes)
                self._close(configuration_id, members, found)
        for configuration_id in ids:
            if configuration_id not in self.closed:
                attributes = self.sampler_state.of(configuration_id)
                self._open(self.study.adopt(seen[configuration_id], attributes))

    def open_next(self) -> list[ArmRun] | None:
        """Opens the next configuration; its newly planned runs, or None if there is no other."""
        proposal = None if self.exhausted else self.study.propose()
        if proposal is None:
            self.exhausted = True
            return None
        if self.study.adapts:
            configuration = self.arm.configuration(proposal.assignment)
            self.sampler_state.note(configuration.configuration_id, proposal.attributes or {})
        return self._open(proposal)

    def settle(self, configuration_id: str) -> list[ArmRun]:
        """Closes a configuration if it has ended, or gives it more seeds; newly planned runs."""
        self._count_late()
        fresh: list[ArmRun] = []
        while (waiting := self.open.get(configuration_id)) is not None:
            found = self._outcome(waiting.planned, waiting.count)
            if found is None:
                break
            if found.values and waiting.count < len(waiting.members):
                if not (self._loses(configuration_id, waiting) and self._others_agree(waiting)):
                    waiting.count = self._next_count(waiting.count, len(waiting.members))
                    fresh += self.runs.plan(waiting.planned)
                    continue
                self.runs.stop(waiting.members[waiting.count :])
                found = TrialResult((), waiting.count, found.values[0])
            self.study.tell(waiting.proposal, self._told(waiting.members, found))
            del self.open[configuration_id]
            self.bound -= len(waiting.members)
            self._close(configuration_id, waiting.members, found)
            self._late += [each for each in waiting.planned if not self.runs.of([each])]
        return fresh

    def report(self) -> list[ArmRun]:
        """The runs of the selected configuration on fresh seeds, once the search is over."""
        if not self.spec.report_seeds or self.open:
            return []
        best = self.selected()
        if best is None:
            return []
        configuration = self.members[best][0].run.configuration
        if self.reported and self.reported[0].run.configuration.configuration_id == best:
            return []
        self.runs.drop(self.reported)
        self._note_former(self.reported)
        self.reported = self._with_seeds(configuration, self.spec.report_seeds)
        self._former.pop(best, None)
        return self.runs.plan(self.reported)

    @property
    def former(self) -> Spent:
        """What fresh seeds took of configurations that were selected before."""
        found = Spent()
        for members in self._former.values():
            found.add(self.runs.of(members))
        return found

    @property
    def in_flight(self) -> int:
        """Runs that train although nothing waits for them any more."""
        gone = [*self._late, *(each for members in self._former.values() for each in members)]
        return self.runs.in_flight(gone)

    def _note_former(self, members: Sequence[ArmRun]) -> None:
        if self.runs.of(members) or self.runs.in_flight(members):
            self._former[members[0].run.configuration.configuration_id] = list(members)

    def _count_late(self) -> None:
        """Counts the runs that ended after their configuration had closed."""
        self.spent.add(self.runs.of(self._late))
        self._late = [each for each in self._late if each.run.run_id not in self.runs.ended]

    def selected(self) -> str | None:
        """The configuration with the best mean; ties go to the smaller id, as in the table."""
        sign = 1 if self.spec.select.mode == "min" else -1
        values = {key: each.values[0] for key, each in self.closed.items() if each.values}
        return min(values, key=lambda key: (sign * values[key], key), default=None)

    def _open(self, proposal: Proposal) -> list[ArmRun]:
        members = self._members(proposal.assignment)
        configuration_id = members[0].run.configuration.configuration_id
        waiting = Open(proposal, members, self._first_count(members))
        self.open[configuration_id] = waiting
        self.bound += len(members)
        self.opened.append(configuration_id)
        self.members[configuration_id] = members
        fresh = self.runs.plan(waiting.planned)
        return fresh + self.settle(configuration_id)

    def _close(self, configuration_id: str, members: list[ArmRun], found: TrialResult) -> None:
        self.members[configuration_id] = members
        self.closed[configuration_id] = found
        self.spent.add(self.runs.of(members))
        if self.spec.report_seeds and (self.spec.budget or self.spec.arm_budget):
            configuration = members[0].run.configuration
            self._note_former(self._with_seeds(configuration, self.spec.report_seeds))
        self.runs.drop(members)
        self.runs.plan([each for each in members if each.run.run_id in self.runs.ended])

    def _outcome(self, members: Sequence[ArmRun], count: int) -> TrialResult | None:
        """How the configuration ended; None if it has not.

        A stopped seed ends it, as all leave together; under racing a bad one does too.
        """
        ended = self.runs.of(members)
        statuses = {each.status for each in ended}
        if "stopped" in statuses:
            return trial_result(ended)
        if self._races and statuses & {"diverged", "failed"}:
            return FAILED
        return trial_result(ended) if len(ended) == count else None

    def _told(self, members: Sequence[ArmRun], found: TrialResult) -> TrialResult:
        """What the sampler learns of an outcome.

        Runs of a configuration that lost a race are whole, so their mean is a value like others;
        `gp` and `cmaes` would learn nothing from a pruned trial.
        """
        whole = all(each.status == "done" or each.never_ran for each in self.runs.of(members))
        if found.stopped_at is None or found.value_then is None or not whole:
            return found
        return TrialResult((found.value_then,))

    def _loses(self, configuration_id: str, waiting: Open) -> bool:
        others = (
            self._values(members)
            for other, members in self.members.items()
            if other != configuration_id and not self._lost_a_seed(members)
        )
        return clearly_worse(
            self._values(waiting.planned),
            others,
            self.spec.select.mode,
            self._racing["p_threshold"],
        )

    def _others_agree(self, waiting: Open) -> bool:
        """Whether no other arm still needs the configuration, which would lose its runs, too."""
        configuration = waiting.members[0].run.configuration
        key = configuration.configuration_id
        for other in self.siblings:
            if other is self or key in other.closed:
                continue
            if key in other.open:
                if not other._loses(key, other.open[key]):
                    return False
            elif not other.study.adapts and other.arm.holds(configuration):
                return False  # it will come to it
        return True

    def _values(self, members: Sequence[ArmRun]) -> Values:
        found = {}
        for member in members:
            ended = self.runs.ended.get(member.run.run_id)
            if ended is not None and ended.values and ended.values[0] is not None:
                found[member.run.seed] = ended.values[0]
        return found

    def _lost_a_seed(self, members: Sequence[ArmRun]) -> bool:
        return any(each.status != "done" for each in self.runs.of(members))

    @property
    def _races(self) -> bool:
        stopping = self.spec.early_stopping
        return stopping is not None and not stopping.by_steps

    @property
    def _racing(self) -> Mapping[str, Any]:
        return self.spec.early_stopping.settings if self.spec.early_stopping else {}

    def _first_count(self, members: Sequence[ArmRun]) -> int:
        """Seeds to begin with: all, or under racing those of the rounds that have begun."""
        if not self._races:
            return len(members)
        used = [
            place
            for place, member in enumerate(members, start=1)
            if member.run.run_id in self.runs.ended or member.run.run_id in self.runs.begun
        ]
        counts = rounds(self._racing["start"], len(members))
        return next(each for each in counts if each >= max(used, default=0))

    def _next_count(self, count: int, seeds: int) -> int:
        return next(each for each in rounds(self._racing["start"], seeds) if each > count)

    def _members(self, assignment: Mapping[str, Any]) -> list[ArmRun]:
        return self._with_seeds(self.arm.configuration(assignment), self.spec.seeds)

    def _with_seeds(self, configuration: Configuration, seeds: Sequence[int]) -> list[ArmRun]:
        return [ArmRun(self.arm, Run(configuration, seed)) for seed in seeds]

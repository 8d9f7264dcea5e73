"""Search of one arm in a session: its open, closed and reported configurations."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raysweep.scheduling.racing import Values, clearly_worse, rounds
from raysweep.scheduling.state import RunRegistry
from raysweep.search.sampler_state import SamplerState
from raysweep.search.study import ArmStudy, Proposal
from raysweep.sweep.outcomes import FAILED, RunResult, TrialResult, trial_result
from raysweep.sweep.packs import ArmRun
from raysweep.sweep.runs import Configuration, runs_of
from raysweep.sweep.spec import Arm, Spec

StartedConfiguration = tuple[str, Mapping[str, Any]]  # id and settings


@dataclasses.dataclass(slots=True)
class Open:
    """A configuration that has started and not ended.

    Args:
        proposal: Proposal of the study.
        members: Runs of the configuration, one for each seed.
        count: Number of runs planned so far; racing does not plan all at once.
    """

    proposal: Proposal
    members: list[ArmRun]
    count: int

    @property
    def planned(self) -> list[ArmRun]:
        """Runs planned so far."""
        return self.members[: self.count]


@dataclasses.dataclass
class Spent:
    """Cost of finished configurations.

    Args:
        runs: Number of runs that trained.
        seconds: Sum of their training times.
    """

    runs: int = 0
    seconds: float = 0.0

    def add(self, ended: Iterable[RunResult]) -> None:
        """Add the cost of runs that ended."""
        for result in ended:
            self.runs += not result.never_ran
            self.seconds += result.seconds


class ArmSearch:
    """Search of one arm.

    Args:
        arm: Arm whose space is searched.
        spec: Spec of the sweep.
        runs: Every run of the session, shared between the arms.
        sampler_state: Stored attributes of the sampler's proposals.
    """

    def __init__(
        self, arm: Arm, spec: Spec, runs: RunRegistry, sampler_state: SamplerState
    ) -> None:
        self.arm, self.spec, self.runs, self.sampler_state = arm, spec, runs, sampler_state
        self.study = ArmStudy(arm, spec.search, spec.select)
        self.open: dict[str, Open] = {}
        self.closed: dict[str, TrialResult] = {}
        self.members: dict[str, list[ArmRun]] = {}
        self.opened: list[str] = []  # newly opened ids, which the scheduler clears
        self.reported: list[ArmRun] = []
        self.exhausted = False
        self.siblings: Sequence[ArmSearch] = ()
        self.spent = Spent()
        self._orphaned_runs: list[ArmRun] = []  # in flight when their configuration closed
        self.reported_before: list[ArmRun] = []  # fresh seeds that ended in earlier sessions
        self._previously_selected: dict[str, list[ArmRun]] = {}  # fresh seeds by configuration
        self.committed_runs = 0  # of open configurations, ended or not

    @property
    def run_ids(self) -> set[str]:
        """Ids of the planned runs of the arm, ended ones included."""
        ids = {member.run.run_id for members in self.members.values() for member in members}
        ids |= {member.run.run_id for member in (*self.reported, *self.reported_before)}
        return ids & self.runs.planned.keys()

    def take_over(self, started: Iterable[StartedConfiguration]) -> None:
        """Add the configurations of earlier sessions to the study: closed ones, then open ones."""
        assignments: dict[str, dict[str, Any]] = {}
        for configuration_id, settings in started:
            if configuration_id not in assignments:
                assignment = self.arm.locate(configuration_id, settings)
                if assignment is not None:
                    assignments[configuration_id] = assignment
        ids = self.sampler_state.in_order(assignments)
        # All are needed before any is closed, as racing compares them with each other.
        self.members.update({key: self._members(assignments[key]) for key in ids})
        for configuration_id in ids:
            members = self.members[configuration_id]
            result = self._result(members, len(members))
            if result is not None:
                attributes = self.sampler_state.of(configuration_id)
                reported = self._for_study(members, result)
                self.study.add(assignments[configuration_id], reported, attributes)
                self._close(configuration_id, members, result)
        for configuration_id in ids:
            if configuration_id not in self.closed:
                attributes = self.sampler_state.of(configuration_id)
                self._open(self.study.adopt(assignments[configuration_id], attributes))

    def open_next(self) -> list[ArmRun] | None:
        """Open the next configuration; return its new runs, or None if there is no other."""
        proposal = None if self.exhausted else self.study.propose()
        if proposal is None:
            self.exhausted = True
            return None
        if self.study.adapts:
            configuration = self.arm.configuration(proposal.assignment)
            self.sampler_state.note(configuration.configuration_id, proposal.attributes or {})
        return self._open(proposal)

    def settle(self, configuration_id: str) -> list[ArmRun]:
        """Close a configuration that has ended, or give it more seeds; return its new runs."""
        self._count_orphaned_runs()
        fresh: list[ArmRun] = []
        while (waiting := self.open.get(configuration_id)) is not None:
            result = self._result(waiting.planned, waiting.count)
            if result is None:
                break
            if result.values and waiting.count < len(waiting.members):
                if not (self._loses(configuration_id, waiting) and self._others_agree(waiting)):
                    waiting.count = self._next_count(waiting.count, len(waiting.members))
                    fresh += self.runs.plan(waiting.planned)
                    continue
                self.runs.stop(waiting.members[waiting.count :])
                result = TrialResult((), waiting.count, result.values[0])
            self.study.tell(waiting.proposal, self._for_study(waiting.members, result))
            del self.open[configuration_id]
            self.committed_runs -= len(waiting.members)
            self._close(configuration_id, waiting.members, result)
            self._orphaned_runs += [run for run in waiting.planned if not self.runs.of([run])]
        return fresh

    def report(self) -> list[ArmRun]:
        """Plan the selected configuration on fresh seeds, once the search is over; return runs."""
        if not self.spec.report_seeds or self.open:
            return []
        best = self.selected()
        if best is None:
            return []
        configuration = self.members[best][0].run.configuration
        if self.reported and self.reported[0].run.configuration.configuration_id == best:
            return []
        self._unplan_fresh()
        self._note_previously_selected(self.reported)
        self.reported_before = []
        self.reported = self._with_seeds(configuration, self.spec.report_seeds)
        self._previously_selected.pop(best, None)
        return self.runs.plan(self.reported)

    def plan_reported_before(self) -> None:
        """Plan the ended runs on fresh seeds of the shown configuration, while the search lasts.

        The table shows them; those of other configurations are not planned any more.
        """
        known = self.runs.on_fresh_seeds & self.members.keys()
        if not known or self.reported:
            return
        shown, before = self.shown(), []
        if shown in known:
            configuration = self.members[shown][0].run.configuration
            fresh = self._with_seeds(configuration, self.spec.report_seeds)
            before = [run for run in fresh if run.run.run_id in self.runs.ended]
        if [run.run.run_id for run in before] != [r.run.run_id for r in self.reported_before]:
            self._unplan_fresh()
            self.reported_before = before
            self.runs.plan(before)

    def _unplan_fresh(self) -> None:
        """Remove the arm's runs on fresh seeds from the plan, unless another arm has them."""
        others = (other for other in self.siblings if other is not self)
        shared = {
            run.run.run_id for other in others for run in (*other.reported, *other.reported_before)
        }
        runs = [*self.reported, *self.reported_before]
        self.runs.leave_out([run for run in runs if run.run.run_id not in shared])

    @property
    def previously_selected(self) -> Spent:
        """Cost of fresh seeds of configurations that were selected before."""
        spent = Spent()
        for members in self._previously_selected.values():
            spent.add(self.runs.of(members))
        return spent

    @property
    def in_flight(self) -> int:
        """Number of runs that still train although their result is no longer needed."""
        fresh = [run for members in self._previously_selected.values() for run in members]
        return self.runs.in_flight([*self._orphaned_runs, *fresh])

    def _note_previously_selected(self, members: Sequence[ArmRun]) -> None:
        if self.runs.of(members) or self.runs.in_flight(members):
            configuration_id = members[0].run.configuration.configuration_id
            self._previously_selected[configuration_id] = list(members)

    def _count_orphaned_runs(self) -> None:
        """Count the runs that ended after their configuration had closed; plan them again."""
        orphaned, ended = self._orphaned_runs, self.runs.ended
        self.spent.add(self.runs.of(orphaned))
        self.runs.plan([member for member in orphaned if member.run.run_id in ended])
        self._orphaned_runs = [member for member in orphaned if member.run.run_id not in ended]

    def selected(self) -> str | None:
        """Return the configuration with the best mean; of equal ones, that with the lower id."""
        sign = 1 if self.spec.select.mode == "min" else -1
        values = {key: result.values[0] for key, result in self.closed.items() if result.values}
        return min(values, key=lambda key: (sign * values[key], key), default=None)

    def shown(self) -> str | None:
        """Return the configuration that the table shows: the selected one, or a provisional one.

        As long as no configuration has all its seeds, it is the best of those without a bad one.
        """
        if (best := self.selected()) is not None:
            return best
        sign = 1 if self.spec.select.mode == "min" else -1
        means = {}
        for key, members in self.members.items():
            values = self._values(members).values()
            if values and not self._lost_a_seed(members) and not self._retries(members):
                means[key] = statistics.fmean(values)
        return min(means, key=lambda key: (sign * means[key], key), default=None)

    def _retries(self, members: Sequence[ArmRun]) -> bool:
        """Return whether a run failed before and is tried again."""
        failed = self.runs.failures.keys() - self.runs.ended.keys()
        return any(member.run.run_id in failed for member in members)

    def _open(self, proposal: Proposal) -> list[ArmRun]:
        members = self._members(proposal.assignment)
        configuration_id = members[0].run.configuration.configuration_id
        waiting = Open(proposal.pending, members, self._first_count(members))
        self.open[configuration_id] = waiting
        self.committed_runs += len(members)
        self.opened.append(configuration_id)
        self.members[configuration_id] = members
        fresh = self.runs.plan(waiting.planned)
        return fresh + self.settle(configuration_id)

    def _close(self, configuration_id: str, members: list[ArmRun], result: TrialResult) -> None:
        self.members[configuration_id] = members
        self.closed[configuration_id] = result
        self.spent.add(self.runs.of(members))
        if self.spec.report_seeds and (self.spec.budget or self.spec.arm_budget):
            configuration = members[0].run.configuration
            fresh_seeds = self._with_seeds(configuration, self.spec.report_seeds)
            self._note_previously_selected(fresh_seeds)
        self.runs.drop(members)
        self.runs.plan([member for member in members if member.run.run_id in self.runs.ended])

    def _result(self, members: Sequence[ArmRun], count: int) -> TrialResult | None:
        """Return the result of a configuration; None if it has not ended.

        A stopped seed ends it, as all seeds stop together; under racing, a bad seed does, too.
        """
        ended = self.runs.of(members)
        statuses = {result.status for result in ended}
        if "stopped" in statuses:
            return trial_result(ended)
        if self._races and statuses & {"diverged", "failed"}:
            return FAILED
        return trial_result(ended) if len(ended) == count else None

    def _for_study(self, members: Sequence[ArmRun], result: TrialResult) -> TrialResult:
        """Return the result as the study gets it.

        Runs of a configuration that lost a race have finished, so their mean counts like others;
        `gp` and `cmaes` would learn nothing from a pruned trial.
        """
        ended = self.runs.of(members)
        finished = all(run.status == "done" or run.never_ran for run in ended)
        if result.stopped_at is None or result.value_then is None or not finished:
            return result
        return TrialResult((result.value_then,))

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
        """Check whether no other arm still needs the configuration, whose runs would stop."""
        configuration = waiting.members[0].run.configuration
        key = configuration.configuration_id
        for other in self.siblings:
            if other is self or key in other.closed:
                continue
            if key in other.open:
                if not other._loses(key, other.open[key]):
                    return False
            elif not other.study.adapts and other.arm.holds(configuration):
                return False  # that arm has yet to try it
        return True

    def _values(self, members: Sequence[ArmRun]) -> Values:
        values = {}
        for member in members:
            ended = self.runs.ended.get(member.run.run_id)
            if ended is not None and ended.values and ended.values[0] is not None:
                values[member.run.seed] = ended.values[0]
        return values

    def _lost_a_seed(self, members: Sequence[ArmRun]) -> bool:
        return any(result.status != "done" for result in self.runs.of(members))

    @property
    def _races(self) -> bool:
        stopping = self.spec.early_stopping
        return stopping is not None and not stopping.by_steps

    @property
    def _racing(self) -> Mapping[str, Any]:
        return self.spec.early_stopping.settings if self.spec.early_stopping else {}

    def _first_count(self, members: Sequence[ArmRun]) -> int:
        """Return the number of seeds to start with: all; under racing, of the rounds so far."""
        if not self._races:
            return len(members)
        used = [
            count
            for count, member in enumerate(members, start=1)
            if member.run.run_id in self.runs.ended or member.run.run_id in self.runs.begun
        ]
        counts = rounds(self._racing["start"], len(members))
        return next(count for count in counts if count >= max(used, default=0))

    def _next_count(self, count: int, seeds: int) -> int:
        return next(more for more in rounds(self._racing["start"], seeds) if more > count)

    def _members(self, assignment: Mapping[str, Any]) -> list[ArmRun]:
        return self._with_seeds(self.arm.configuration(assignment), self.spec.seeds)

    def _with_seeds(self, configuration: Configuration, seeds: Sequence[int]) -> list[ArmRun]:
        return [ArmRun(self.arm, run) for run in runs_of(configuration, seeds)]

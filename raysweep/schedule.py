"""One session's view of a sweep: what is missing, what trains now, what has ended."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Literal

from raysweep.errors import RaysweepError, SpecError, StoreError
from raysweep.identity import Run
from raysweep.plan import Member, Pack, PackSize, cut
from raysweep.search.study import ArmStudy, Proposal
from raysweep.spec.model import Arm, Spec
from raysweep.store import checkpoints, schema
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.rows import run_row, timed
from raysweep.store.store import SweepStore

Began = tuple[str, Mapping[str, Any]]  # a configuration's id and settings
Failure = Literal["run", "memory", "died", "store", "orphan", "setup"]
BATCH_SHARE = 10  # a model-based search has a tenth of its configurations in flight


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended, its value of the metric that selects, and its error if it failed."""

    status: str
    value: float | None
    error: str | None = None


@dataclasses.dataclass
class Open:
    """A configuration that the search waits for."""

    proposal: Proposal
    members: list[Member]


@dataclasses.dataclass
class ArmState:
    """An arm in this session."""

    arm: Arm
    study: ArmStudy
    open: dict[str, Open] = dataclasses.field(default_factory=dict)
    closed: dict[str, float | None] = dataclasses.field(default_factory=dict)
    runs: set[str] = dataclasses.field(default_factory=set)


class Schedule:
    """Decides what trains next; the executors ask it and tell it what happened.

    Args:
        spec: The sweep.
        store: Its folder.
    """

    def __init__(self, spec: Spec, store: SweepStore) -> None:
        self.spec, self.store = spec, store
        self.size: PackSize | None = None
        self.queue: collections.deque[Pack] = collections.deque()
        self.in_flight: dict[str, Pack] = {}
        self.ended: dict[str, Ended] = {}
        self.fatal: RaysweepError | None = None
        self.stopping = False
        self._deaths: collections.Counter[str] = collections.Counter()
        self._owners: dict[str, list[tuple[ArmState, str]]] = {}
        self.planned: dict[str, Member] = {}
        self._columns = schema.runs_schema(spec)
        self.failures: dict[str, int] = {}
        rows = self._read()
        self._manifests = manifests = checkpoints.in_flight(store.files)
        began = [
            (run.configuration_id, run.settings)
            for manifest in manifests
            for run in manifest.pack.runs
        ]
        self.arms = [
            ArmState(arm, ArmStudy(arm, spec.search, spec.select.mode)) for arm in spec.arms
        ]
        for state in self.arms:
            if state.study.takes_over:
                self._take_over(state, [*rows, *began])
        self._fill()

    def arrange(self, size: PackSize) -> None:
        """Queues the packs that an earlier session began, then those of what else is missing."""
        self.size = size
        adopted = self._adopt(self._manifests)
        self._cut(self.planned.values(), leave_out=adopted)

    @property
    def missing(self) -> int:
        """Planned runs that have not ended."""
        return sum(1 for run_id in self.planned if run_id not in self.ended)

    @property
    def finished(self) -> bool:
        """Whether nothing is missing and nothing is in flight."""
        return not self.queue and not self.in_flight

    def next_pack(self) -> Pack | None:
        """The next pack to train, now in flight; None if none is ready."""
        if self.stopping or self.fatal or not self.queue:
            return None
        pack = self.queue.popleft()
        self.in_flight[pack.pack_id] = pack
        return pack

    def pack_ended(self, pack_id: str) -> None:
        """A pack has put its rows down."""
        self.in_flight.pop(pack_id)
        table = self.store.files.read_table(f"runs/{pack_id}.parquet")
        self._note(table.to_pylist())

    def pack_stopped(self, pack_id: str) -> None:
        """A pack was stopped with its checkpoint; it goes on in another session."""
        self.in_flight.pop(pack_id, None)

    def pack_failed(self, pack_id: str, kind: Failure, error: str) -> None:
        """A pack raised: split it, or note the failure of its only run."""
        pack = self.in_flight.pop(pack_id)
        if kind in ("store", "orphan", "setup"):
            self.fatal = SpecError(error) if kind == "setup" else StoreError(error)
            return
        if kind == "died":
            self._deaths[pack_id] += 1
            if self._deaths[pack_id] == 1:
                self.queue.appendleft(pack)  # perhaps the machine's fault: go on from its state
                return
        checkpoint = Checkpoints(self.store.files, pack_id)
        executed = checkpoint.executed()
        runs = tuple(
            dataclasses.replace(run, executed=max(run.executed, executed)) for run in pack.runs
        )
        pack = dataclasses.replace(pack, runs=runs)
        self._forget(pack_id)
        if len(pack.runs) > 1:
            self.queue.extendleft(reversed(pack.split()))
        else:
            self._note_failure(pack, error, executed)

    def _note_failure(self, pack: Pack, error: str, executed: int) -> None:
        run = pack.runs[0]
        attempt = run.failures + 1
        self.failures[run.run_id] = attempt
        self.store.write_attempt(run.run_id, attempt, error)
        outcome = {
            "status": "failed",
            "steps": 0,
            "steps_executed": executed,
            "attempts": attempt,
            "error": error,
            "started_at": datetime.now(timezone.utc).isoformat(),
        }
        columns = self.store.schema("runs", self._columns)
        row = run_row(self.spec.name, pack, run, columns, outcome)
        self.store.write_runs(pack.pack_id, [timed(row)], columns)
        self.ended[run.run_id] = Ended("failed", None, error)
        self._close(run.run_id)
        self._cut(self._fill(), leave_out=set())

    def _forget(self, pack_id: str) -> None:
        """Removes what a pack leaves behind that will not go on."""
        Checkpoints(self.store.files, pack_id).remove()
        for name in self.store.files.names("curves", ".parquet"):
            if name.startswith(f"curves/{pack_id}-"):
                self.store.files.remove(name)

    def _read(self) -> list[Began]:
        """Notes what ended in earlier sessions; configurations, where the search learns of them."""
        dataset = self.store.dataset("runs", self._columns)
        narrow = ["run_id", "status", "attempts", "error", f"metric.{self.spec.select.metric}"]
        rows = dataset.to_table(columns=narrow).to_pylist()
        self._note_ended(rows)
        for row in rows:
            if row["status"] == "failed":
                self.failures[row["run_id"]] = row["attempts"]
                if row["attempts"] < self.spec.resources.max_failures:
                    del self.ended[row["run_id"]]
        if self.spec.search.sampler == "grid":
            return []
        table = dataset.to_table()
        return [
            (row["configuration_id"], schema.decode_settings(row, table.schema))
            for row in table.sort_by("run_id").to_pylist()
        ]

    def _note_ended(self, rows: Iterable[Mapping[str, Any]]) -> None:
        metric = f"metric.{self.spec.select.metric}"
        for row in rows:
            value = row.get(metric) if row["status"] == "done" else None
            self.ended[row["run_id"]] = Ended(row["status"], value, row["error"])

    def _note(self, rows: list[dict[str, Any]]) -> None:
        self._note_ended(rows)
        for row in rows:
            self._close(row["run_id"])
        self._cut(self._fill(), leave_out=set())

    def _take_over(self, state: ArmState, began: list[Began]) -> None:
        """Tells a study what earlier sessions did: closed first, then open."""
        seen: dict[str, dict[str, Any]] = {}
        for configuration_id, settings in began:
            if configuration_id not in seen:
                assignment = state.arm.locate(configuration_id, settings)
                if assignment is not None:
                    seen[configuration_id] = assignment
        for assignment in seen.values():
            members = self._members_of(state.arm, assignment)
            if all(member.run.run_id in self.ended for member in members):
                value = self._mean(members)
                state.study.add(assignment, value)
                state.closed[members[0].run.configuration.configuration_id] = value
                self._plan(state, members)
        for configuration_id, assignment in seen.items():
            if configuration_id not in state.closed:
                self._open(state, state.study.adopt(assignment))

    def _fill(self) -> list[Member]:
        """Opens as many configurations as each arm may have in flight; their members."""
        fresh: list[Member] = []
        for state in self.arms:
            most = float("inf")
            if state.study.adapts:
                most = max(1, (state.study.wanted or 1) // BATCH_SHARE)
            while len(state.open) < most:
                proposal = state.study.propose()
                if proposal is None:
                    break
                fresh += self._open(state, proposal)
        return fresh

    def _open(self, state: ArmState, proposal: Proposal) -> list[Member]:
        members = self._members_of(state.arm, proposal.assignment)
        configuration_id = members[0].run.configuration.configuration_id
        state.open[configuration_id] = Open(proposal, members)
        fresh = [member for member in members if member.run.run_id not in self.planned]
        self._plan(state, members)
        for member in members:
            self._owners.setdefault(member.run.run_id, []).append((state, configuration_id))
        self._close_if_ended(state, configuration_id)
        return fresh

    def _plan(self, state: ArmState, members: list[Member]) -> None:
        for member in members:
            self.planned.setdefault(member.run.run_id, member)
            state.runs.add(member.run.run_id)

    def _members_of(self, arm: Arm, assignment: Mapping[str, Any]) -> list[Member]:
        configuration = arm.configuration(assignment)
        return [Member(arm, Run(configuration, seed)) for seed in self.spec.seeds]

    def _close(self, run_id: str) -> None:
        for state, configuration_id in self._owners.get(run_id, ()):
            self._close_if_ended(state, configuration_id)

    def _close_if_ended(self, state: ArmState, configuration_id: str) -> None:
        waiting = state.open.get(configuration_id)
        if waiting is None:
            return
        if all(member.run.run_id in self.ended for member in waiting.members):
            value = self._mean(waiting.members)
            state.study.tell(waiting.proposal, value)
            state.closed[configuration_id] = value
            del state.open[configuration_id]

    def _mean(self, members: list[Member]) -> float | None:
        """The configuration's value: the mean over its seeds, or None if one is not done."""
        values = [self.ended[member.run.run_id].value for member in members]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    def _adopt(self, manifests: list[checkpoints.Manifest]) -> set[str]:
        """Queues the packs of an earlier session, less what ended or left the plan."""
        adopted: set[str] = set()
        for manifest in manifests:
            wanted = [
                run.run_id
                for run in manifest.pack.runs
                if run.run_id in self.planned
                and run.run_id not in self.ended
                and run.run_id not in adopted
            ]
            adopted.update(wanted)
            if wanted:
                self.queue.append(manifest.pack.only(wanted))
        return adopted

    def drop_ended_checkpoints(self) -> None:
        """Removes checkpoints that nothing will go on from; for the driver, under its lease."""
        queued = {pack.pack_id for pack in self.queue}
        for pack_id in self.store.files.folders("checkpoints"):
            if pack_id not in queued:
                Checkpoints(self.store.files, pack_id).remove()

    def _cut(self, members: Iterable[Member], leave_out: set[str]) -> None:
        def missing(member: Member) -> bool:
            run_id = member.run.run_id
            return run_id not in self.ended and run_id not in leave_out

        if self.size is None:
            return
        unique = list({member.run.run_id: member for member in members}.values())
        self.queue.extend(cut(unique, missing, self.failures, self.size))

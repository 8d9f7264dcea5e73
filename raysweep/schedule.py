"""One session's view of a sweep: what is missing, what trains now, what has ended."""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from raysweep.errors import RaysweepError, SpecError, StoreError
from raysweep.plan import Member, Pack, PackQueue, PackSize, cut, make_pack
from raysweep.runs import Ended, Runs
from raysweep.search.allowance import Allowance
from raysweep.search.arm_search import ArmSearch, Began
from raysweep.search.kept import Kept
from raysweep.search.prior import learn
from raysweep.spec.model import Spec
from raysweep.store import checkpoints, schema
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.rows import run_row, timed, utc_now
from raysweep.store.store import SweepStore
from raysweep.verdicts import Verdicts

Failure = Literal["run", "memory", "died", "store", "orphan", "setup"]


class Schedule:
    """Decides what trains next; the executors ask it and tell it what happened.

    Making one reads the store and plans; nothing is written before `save` or `next_pack`.

    Args:
        spec: The sweep.
        store: Its folder.
        origin: Columns of the rows that are written here: of runs that no worker could finish.
    """

    def __init__(
        self, spec: Spec, store: SweepStore, origin: Mapping[str, Any] | None = None
    ) -> None:
        self.spec, self.store, self.origin = spec, store, dict(origin or {})
        self.size: PackSize | None = None
        self.in_flight: dict[str, Pack] = {}
        self.queue = PackQueue(self.in_flight)
        self.fatal: RaysweepError | None = None
        self.stopping = False
        self.judge: Verdicts | None = None
        self._deaths: collections.Counter[str] = collections.Counter()
        self._owners: dict[str, list[tuple[ArmSearch, str]]] = {}
        self._columns = schema.runs_schema(spec)
        self.failures: dict[str, int] = {}
        self.runs = Runs()
        self.kept = Kept(store.files)
        rows = self._read()
        self._manifests = manifests = checkpoints.in_flight(store.files)
        flying = [run for manifest in manifests for run in manifest.pack.runs]
        self.runs.begun = {run.run_id for run in flying}
        began = [*rows, *((run.configuration_id, run.settings) for run in flying)]
        self.arms = [ArmSearch(arm, spec, self.runs, self.kept) for arm in spec.arms]
        for search in self.arms:
            search.siblings = self.arms
        self.allowance = Allowance(spec, self.runs, self.arms)
        self.learnt = learn(spec, store, self.arms)
        for search in self.arms:
            if search.study.takes_over:
                search.take_over(began)
                self._own(search)
        self._fill()

    @property
    def planned(self) -> dict[str, Member]:
        """Runs that the sweep consists of so far, by id."""
        return self.runs.planned

    @property
    def ended(self) -> dict[str, Ended]:
        """How runs ended, by id."""
        return self.runs.ended

    def arrange(self, size: PackSize) -> None:
        """Queues the packs that an earlier session began, then those of what else is missing."""
        self.size = size
        adopted = self._adopt(self._manifests)
        self._cut(list(self.planned.values()), leave_out=adopted)

    @property
    def missing(self) -> int:
        """Planned runs that have not ended."""
        return sum(1 for run_id in self.planned if run_id not in self.ended)

    @property
    def to_come(self) -> int:
        """Runs that are not planned yet, as far as their number is known."""
        return sum(self._to_come(search) for search in self.arms)

    def _to_come(self, search: ArmSearch) -> int:
        started = len(search.open) + len(search.closed)
        seeds = len(self.spec.seeds)
        coming = 0
        if self._goes_on(search) and search.study.wanted is not None:
            coming = max(0, search.study.wanted - started) * seeds
        racing = sum(len(each.members) - each.count for each in list(search.open.values()))
        return coming + racing + (0 if search.reported else len(self.spec.report_seeds))

    @property
    def finished(self) -> bool:
        """Whether nothing is missing and nothing is in flight."""
        return not len(self.queue) and not self.in_flight

    def next_pack(self) -> Pack | None:
        """The next pack to train, now in flight; None if none is ready."""
        if self.stopping or self.fatal:
            return None
        pack = self._take()
        self.save()
        return pack

    def _take(self) -> Pack | None:
        while (pack := self.queue.take() or self._pack_for_idle()) is not None:
            wanted = [run.run_id for run in pack.runs if run.run_id in self.planned]
            if wanted:
                pack = pack.only(wanted)
                self.in_flight[pack.pack_id] = pack
                self.runs.begun.update(wanted)
                return pack
        return None

    def _pack_for_idle(self) -> Pack | None:
        """A pack beyond the batch, for a worker that would have nothing to do."""
        if len(self.in_flight) < (self.size.workers if self.size else 1):
            self._cut([*self._open_one_more(), *self._fill()])
        return self.queue.take()

    def save(self) -> None:
        """Puts down what only this session knows: the samplers' notes, runs that never ran."""
        self.kept.save()
        unwritten, self.runs.unwritten = self.runs.unwritten, []
        files: dict[str, list[Member]] = {}
        for member in unwritten:
            # A run that failed has a file of its own, which its new row replaces.
            failed = member.run.run_id in self.failures
            key = member.run.run_id if failed else member.run.configuration.configuration_id
            files.setdefault(key, []).append(member)
        for members in files.values():
            self._write_never_ran(members)

    def attach(self, judge: Verdicts) -> None:
        """Tells the judge of early stopping about every configuration, now and from here on."""
        self.judge = judge
        for search in self.arms:
            for configuration_id in search.members:
                self._tell_judge(search, configuration_id)

    def pack_ended(self, pack_id: str) -> None:
        """A pack has put its rows down."""
        self.in_flight.pop(pack_id)
        rows = self.store.files.read_table(f"runs/{pack_id}.parquet").to_pylist()
        self._note_ended(rows)
        fresh = self._settle([row["run_id"] for row in rows])
        self._cut([*fresh, *self._fill()])

    def pack_stopped(self, pack_id: str) -> None:
        """A pack was stopped with its checkpoint; it goes on in another session."""
        self.in_flight.pop(pack_id, None)

    def pack_failed(
        self, pack_id: str, kind: Failure, error: str, about: Mapping[str, Any] | None = None
    ) -> None:
        """A pack raised: split it, or note the failure of its only run.

        Args:
            pack_id: Which.
            kind: What happened.
            error: The same, told to the user.
            about: What its worker knew of itself, as columns of `runs`; a dead one tells nothing.
        """
        pack = self.in_flight.pop(pack_id)
        self.runs.begun.difference_update(run.run_id for run in pack.runs)
        if kind in ("store", "orphan", "setup"):
            self.fatal = SpecError(error) if kind == "setup" else StoreError(error)
            return
        if kind == "died":
            self._deaths[pack_id] += 1
            if self._deaths[pack_id] == 1:
                self.queue.put_first([pack])  # perhaps the machine's fault: go on from its state
                return
        checkpoint = Checkpoints(self.store.files, pack_id)
        executed = checkpoint.executed()
        runs = tuple(
            dataclasses.replace(run, executed=max(run.executed, executed)) for run in pack.runs
        )
        pack = dataclasses.replace(pack, runs=runs)
        known = {**_told(checkpoint.manifest()), **(about or {})}
        self._forget(pack_id)
        if len(pack.runs) > 1:
            self.queue.put_first(pack.split())
        else:
            self._note_failure(pack, error, executed, known)

    def _note_failure(
        self, pack: Pack, error: str, executed: int, about: Mapping[str, Any]
    ) -> None:
        run = pack.runs[0]
        attempt = run.failures + 1
        self.failures[run.run_id] = attempt
        self.store.write_attempt(run.run_id, attempt, error)
        outcome = {
            **about,
            "status": "failed",
            "steps": 0,
            "steps_executed": executed,
            "attempts": attempt,
            "error": error,
        }
        self._write_ends(pack, outcome)
        seconds = about.get("seconds", 0.0)
        self.ended[run.run_id] = Ended("failed", seconds=seconds, error=error)
        self._tell_lost([run.run_id])
        self._cut([*self._settle([run.run_id]), *self._fill()])

    def _forget(self, pack_id: str) -> None:
        """Removes what a pack leaves behind that will not go on."""
        Checkpoints(self.store.files, pack_id).remove()
        for name in self.store.files.names("curves", ".parquet"):
            if name.startswith(f"curves/{pack_id}-"):
                self.store.files.remove(name)

    def _read(self) -> list[Began]:
        """Notes what ended in earlier sessions; configurations, where the search learns of them."""
        dataset = self.store.dataset("runs", self._columns)
        metrics = [f"metric.{name}" for name in self._metrics]
        narrow = ["run_id", "status", "attempts", "error", "steps", "seconds", *metrics]
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

    @property
    def _metrics(self) -> list[str]:
        return [each.metric for each in self.spec.select.all]

    def _note_ended(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.ended[row["run_id"]] = Ended.from_row(row, self._metrics)

    def _settle(self, run_ids: Iterable[str]) -> list[Member]:
        """Closes configurations whose runs have ended; newly planned runs of the others."""
        concerned = {
            (id(search), configuration_id): (search, configuration_id)
            for run_id in run_ids
            for search, configuration_id in self._owners.get(run_id, ())
        }
        fresh = []
        for search, configuration_id in concerned.values():
            fresh += search.settle(configuration_id)
        return fresh

    def _fill(self) -> list[Member]:
        """Opens as many configurations as may be in flight, arm by arm in turns; new runs."""
        fresh: list[Member] = []
        opened = True
        while opened:
            opened = False
            for search in self.arms:
                if len(search.open) < self.allowance.batch(search):
                    members = self._open_next(search)
                    fresh += members or []
                    opened |= members is not None
        searching = [search for search in self.arms if self._goes_on(search)]
        for search in self.arms:
            # A budget is shared, or an estimate: a search may go on while another one does.
            if search not in searching and not (self.allowance.limited and searching):
                fresh += search.report()
        return fresh

    def _goes_on(self, search: ArmSearch) -> bool:
        return bool(search.open) or not (search.exhausted or not self.allowance.allows(search))

    def _open_one_more(self) -> list[Member]:
        """The runs of a configuration beyond the batch."""
        if self.spec.search.batch is None:
            for search in sorted(self.arms, key=lambda each: len(each.open)):
                while (members := self._open_next(search)) is not None:
                    if members:
                        return members
        return []

    def _open_next(self, search: ArmSearch) -> list[Member] | None:
        if search.exhausted or not self.allowance.allows(search):
            return None
        members = search.open_next()
        if members is not None:
            self._own(search)
        return members

    def _own(self, search: ArmSearch) -> None:
        """Notes whose the runs of an arm's newly opened configurations are."""
        for configuration_id in search.opened:
            for member in search.members[configuration_id]:
                owners = self._owners.setdefault(member.run.run_id, [])
                owners.append((search, configuration_id))
            self._tell_judge(search, configuration_id)
        search.opened.clear()

    def _tell_judge(self, search: ArmSearch, configuration_id: str) -> None:
        if self.judge is not None:
            members = search.members[configuration_id]
            run_ids = [member.run.run_id for member in members]
            self.judge.opened(search.arm.name, search.arm.length, configuration_id, run_ids)
            self._tell_lost(run_ids)

    def _tell_lost(self, run_ids: Sequence[str]) -> None:
        """Tells the judge of runs that failed for good: nothing can come of their siblings."""
        for run_id in run_ids:
            if self.judge and self.failures.get(run_id, 0) >= self.spec.resources.max_failures:
                self.judge.lost(run_id)

    def _write_never_ran(self, members: Sequence[Member]) -> None:
        first = members[0].run.configuration
        pack = make_pack(first.task, first.estimator, [member.planned() for member in members])
        outcome = {
            "status": "stopped",
            "steps": 0,
            "steps_executed": 0,
            "seconds": 0.0,
            "attempts": 0,
        }
        self._write_ends(pack, outcome)

    def _write_ends(self, pack: Pack, outcome: Mapping[str, Any]) -> None:
        """Puts down a row for each run of a pack that ended so, now, without training."""
        columns = self.store.schema("runs", self._columns)
        moment = utc_now()
        known = {**self.origin, "started_at": moment, "ended_at": moment, **outcome}
        rows = [run_row(self.spec.name, pack, run, columns, known) for run in pack.runs]
        self.store.write_runs(pack.pack_id, [timed(row) for row in rows], columns)

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
                self.queue.put([manifest.pack.only(wanted)])
        return adopted

    def drop_ended_checkpoints(self) -> None:
        """Removes checkpoints that nothing will go on from; for the driver, under its lease."""
        queued = {pack.pack_id for pack in self.queue}
        for pack_id in self.store.files.folders("checkpoints"):
            if pack_id not in queued:
                Checkpoints(self.store.files, pack_id).remove()

    def _cut(self, members: Iterable[Member], leave_out: Collection[str] = ()) -> None:
        def missing(member: Member) -> bool:
            run_id = member.run.run_id
            return run_id not in self.ended and run_id not in leave_out

        if self.size is None:
            return
        unique = list({member.run.run_id: member for member in members}.values())
        self.queue.put(cut(unique, missing, self.failures, self.size))


def _told(manifest: checkpoints.Manifest | None) -> dict[str, Any]:
    """What a pack's manifest tells of where it trained, as columns of `runs`."""
    if manifest is None:
        return {}
    times = {"started_at": manifest.started_at, "seconds": manifest.seconds}
    return {**manifest.machine, **times}

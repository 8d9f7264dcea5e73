"""One session's view of a sweep: what is missing, what trains now, what has ended."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError, StoreError, TooManyFailures
from raysweep.scheduling.arm_search import ArmSearch, Began
from raysweep.scheduling.budget import BudgetTracker, is_blocked
from raysweep.scheduling.failures import FATAL, Failure, Recovery, RunFailed
from raysweep.scheduling.pack_queue import PackQueue
from raysweep.scheduling.state import RunRegistry
from raysweep.scheduling.warm_start import PriorResults, learn
from raysweep.search.sampler_state import SamplerState
from raysweep.store import again_file, checkpoints, leftovers, repair, schema
from raysweep.store.sweep_store import SweepStore
from raysweep.store.unfinished import UnfinishedRows
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.outcomes import RunResult, one_row_each
from raysweep.sweep.packs import ArmRun, Pack, PackSize, PlannedRun, cut, make_pack
from raysweep.sweep.spec import Spec
from raysweep.text import counted


class Schedule:
    """Decides what trains next; the executors ask it and tell it what happened.

    Making one reads the store and plans; nothing is written before `save` or `next_pack`.

    Args:
        spec: The sweep.
        store: Its folder.
        origin: Columns of the rows that are written here: of runs that no worker could finish.
        prior: Results of another sweep, which its searches learn from.
        retry_failed: Whether runs that failed as often as they may are tried again.
    """

    def __init__(
        self,
        spec: Spec,
        store: SweepStore,
        origin: Mapping[str, Any] | None = None,
        *,
        prior: PriorResults | None = None,
        retry_failed: bool = False,
    ) -> None:
        self.spec, self.store, self.origin = spec, store, dict(origin or {})
        self.retry_failed = retry_failed
        self.size: PackSize | None = None
        self.in_flight: dict[str, Pack] = {}
        self.queue = PackQueue(self.in_flight)
        self.fatal: Exception | None = None
        self.stopping = False
        self.still_mine: Callable[[], bool] | None = None  # asks the lease; of a driver's session
        self.judge: EarlyStopper | None = None
        self._recovery = Recovery(store.files)
        self._owners: dict[str, list[tuple[ArmSearch, str]]] = {}
        self._columns = schema.runs_schema(spec)
        self._unfinished = UnfinishedRows(store, self._columns, self.origin)
        self.failures: dict[str, int] = {}
        self.executed: dict[str, int] = {}  # steps that failed attempts executed, by run id
        self._packs_of_rows: set[str] = set()
        self._repeated = False  # whether a run has several rows
        self.runs = RunRegistry()
        self.sampler_state = SamplerState(store.files)
        rows = self._read()
        self._manifests = manifests = checkpoints.in_flight(store.files)
        flying = [run for manifest in manifests for run in manifest.pack.runs]
        self.runs.begun = {run.run_id for run in flying}
        began = [*rows, *((run.configuration_id, run.settings) for run in flying)]
        began += again_file.read(store.files).items()
        self.arms = [ArmSearch(arm, spec, self.runs, self.sampler_state) for arm in spec.arms]
        for search in self.arms:
            search.siblings = self.arms
        self.budget_tracker = BudgetTracker(spec, self.runs, self.arms)
        self.learnt = learn(self.arms, prior) if prior is not None else {}
        for search in self.arms:
            if search.study.takes_over:
                search.take_over(began)
                self._own(search)
        self._fill()

    @property
    def planned(self) -> dict[str, ArmRun]:
        """Runs that the sweep consists of so far, by id."""
        return self.runs.planned

    @property
    def ended(self) -> dict[str, RunResult]:
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
        return sum(1 for run_id in list(self.planned) if run_id not in self.ended)

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
        decided = search.reported or is_blocked(self.spec, search, self.budget_tracker)
        return coming + racing + (0 if decided else len(self.spec.report_seeds))

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

    def repair(self) -> None:
        """Mends rows of earlier sessions; for the driver, under its lease."""
        if self._repeated:
            repair.drop_repeated(self.store)
        repair.separate_failed(self.store, self.failures)

    def save(self) -> None:
        """Writes what only this session knows: the samplers' notes, runs that never ran."""
        self.sampler_state.save()
        unwritten, self.runs.unwritten = self.runs.unwritten, []
        files: dict[str, list[ArmRun]] = {}
        for member in unwritten:
            # A run that failed has a file of its own, which its new row replaces.
            failed = member.run.run_id in self.failures
            key = member.run.run_id if failed else member.run.configuration.configuration_id
            files.setdefault(key, []).append(member)
        for members in files.values():
            first = members[0].run.configuration
            runs = [each.planned(self.failures.get(each.run.run_id, 0)) for each in members]
            pack = make_pack(first.task, first.estimator, runs, members[0].arm.code)
            self._unfinished.write_never_ran(pack)

    def attach(self, judge: EarlyStopper) -> None:
        """Tells the judge of early stopping about every configuration, now and from here on."""
        self.judge = judge
        for search in self.arms:
            for configuration_id in search.members:
                self._tell_judge(search, configuration_id)

    def pack_ended(self, pack_id: str) -> None:
        """A pack has put its rows down."""
        name = self.in_flight.pop(pack_id).rows_name
        rows = self.store.written_runs(name)
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
        if kind == "orphan" and self.still_mine is not None:
            if not self.still_mine():
                return  # the lease says why the session ends
            kind = "lost"  # the worker did not see its driver, which was suspended
        if kind in FATAL:
            found_fault = SpecError(error) if kind == "setup" else StoreError(error)
            self.fatal = self.fatal or found_fault
            return
        found = self._recovery.recover(pack, kind, about)
        if isinstance(found, RunFailed):
            self._note_failure(found, error)
        else:
            self.queue.put_first(found.packs, found.pause_s)

    def _note_failure(self, failed: RunFailed, error: str) -> None:
        run = failed.pack.runs[0]
        row = self._unfinished.write_failed(failed.pack, error, failed.executed, failed.about)
        self.failures[run.run_id] = row["attempts"]
        self.executed[run.run_id] = failed.executed
        self._note_ended([row])
        self._tell_lost([run.run_id])
        self._check_share_of_failures()
        self._cut([*self._settle([run.run_id]), *self._fill()])

    def _check_share_of_failures(self) -> None:
        """Ends the session where more runs failed than the sweep file allows."""
        most = self.spec.resources.max_failed_fraction
        total = len(self.planned) + self.to_come
        failed = sum(
            1
            for run_id, ended in self.ended.items()
            if ended.status == "failed" and run_id in self.planned
        )
        if most is not None and failed > most * total:
            self.fatal = self.fatal or TooManyFailures(
                f"stopped: {failed} of {counted(total)} failed, more than "
                f"resources.max_failed_fraction {most:g} allows; find the cause with 'raysweep "
                f"status {self.spec.name} --failed' and run the same command again"
            )

    def _read(self) -> list[Began]:
        """Notes what ended in earlier sessions; configurations, where the search learns of them."""
        dataset = self.store.dataset("runs", self._columns, every_row=True)
        metrics = [f"metric.{name}" for name in self._metrics]
        narrow = [
            *("run_id", "status", "attempts", "error", "steps", "steps_executed", "seconds"),
            *("pack_id", "configuration_id", *metrics),
        ]
        stored = self.store.read(dataset, narrow).to_pylist()
        rows = one_row_each(stored)
        self._repeated = len(rows) < len(stored)
        self._note_ended(rows)
        self._packs_of_rows = {row["pack_id"] for row in rows}
        stopped = {row["configuration_id"] for row in rows if row["status"] == "stopped"}
        for row in rows:
            if row["status"] == "failed":
                self.failures[row["run_id"]] = row["attempts"]
                self.executed[row["run_id"]] = row["steps_executed"] or 0
                # With a seed that was stopped its configuration is closed: nothing would try it.
                retry = self.retry_failed and row["configuration_id"] not in stopped
                if retry or row["attempts"] < self.spec.resources.max_failures:
                    del self.ended[row["run_id"]]
        if self.spec.search.sampler == "grid":
            return []
        table = self.store.read(dataset)
        return [
            (row["configuration_id"], schema.decode_settings(row, table.schema))
            for row in table.sort_by("run_id").to_pylist()
        ]

    @property
    def _metrics(self) -> list[str]:
        return [each.metric for each in self.spec.select.all]

    def _note_ended(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.ended[row["run_id"]] = RunResult.from_row(row, self._metrics)

    def _settle(self, run_ids: Iterable[str]) -> list[ArmRun]:
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

    def _fill(self) -> list[ArmRun]:
        """Opens as many configurations as may be in flight, arm by arm in turns; new runs."""
        fresh: list[ArmRun] = []
        opened = True
        while opened:
            opened = False
            for search in self.arms:
                if len(search.open) < self.budget_tracker.batch(search):
                    members = self._open_next(search)
                    fresh += members or []
                    opened |= members is not None
        searching = [search for search in self.arms if self._goes_on(search)]
        for search in self.arms:
            # A budget is shared, or an estimate: a search may go on while another one does.
            if search not in searching and not (self.budget_tracker.limited and searching):
                fresh += search.report()
        return fresh

    def _goes_on(self, search: ArmSearch) -> bool:
        return bool(search.open) or not (search.exhausted or not self.budget_tracker.allows(search))

    def _open_one_more(self) -> list[ArmRun]:
        """The runs of a configuration beyond the batch."""
        if self.spec.search.batch is None:
            for search in sorted(self.arms, key=lambda each: len(each.open)):
                while (members := self._open_next(search)) is not None:
                    if members:
                        return members
        return []

    def _open_next(self, search: ArmSearch) -> list[ArmRun] | None:
        if search.exhausted or not self.budget_tracker.allows(search):
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
            lost = self.failures.get(run_id, 0) >= self.spec.resources.max_failures
            if self.judge and lost and run_id in self.ended:  # else it is tried again
                self.judge.lost(run_id)

    def _adopt(self, manifests: list[checkpoints.Manifest]) -> set[str]:
        """Queues the packs of an earlier session, less what ended or left the plan."""
        adopted: set[str] = set()
        # A pack that a killed driver was dividing comes after its halves, which have newer files.
        for manifest in sorted(manifests, key=lambda each: len(each.pack.runs)):
            wanted = [
                run.run_id
                for run in manifest.pack.runs
                if run.run_id in self.planned
                and run.run_id not in self.ended
                and run.run_id not in adopted
            ]
            adopted.update(wanted)
            if wanted:
                self.queue.put([self._with_history(manifest.pack.only(wanted))])
        return adopted

    def drop_ended_checkpoints(self) -> None:
        """Removes checkpoints that nothing will resume from; for the driver, under its lease."""
        packs = list(self.queue)
        leftovers.drop(self.store.files, self._manifests, packs, self.ended, self._packs_of_rows)

    def _with_history(self, pack: Pack) -> Pack:
        """The pack as the sweep file has its runs now, which know of their failed attempts."""
        runs = (self._planned_run(run) for run in pack.runs)
        return dataclasses.replace(pack, runs=tuple(runs))

    def _planned_run(self, run: PlannedRun) -> PlannedRun:
        failures = self.failures.get(run.run_id, 0)
        executed = max(run.executed, self.executed.get(run.run_id, 0))
        return self.planned[run.run_id].planned(failures, executed)

    def _cut(self, members: Iterable[ArmRun], leave_out: Collection[str] = ()) -> None:
        def missing(member: ArmRun) -> bool:
            run_id = member.run.run_id
            return run_id not in self.ended and run_id not in leave_out

        if self.size is None:
            return
        unique = list({member.run.run_id: member for member in members}.values())
        packs = cut(unique, missing, self.failures, self.size)
        self.queue.put(self._with_history(pack) for pack in packs)

"""Schedule of one session: the runs that are missing, in flight and ended."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError, StoreError
from raysweep.imports import paused_collection
from raysweep.scheduling.arm_search import ArmSearch, StartedConfiguration
from raysweep.scheduling.budget import BudgetTracker
from raysweep.scheduling.failures import FATAL, Failure, Recovery, RunFailed
from raysweep.scheduling.limits import FailureLimits
from raysweep.scheduling.pack_queue import PackQueue, PacksInFlight
from raysweep.scheduling.probes import Probes
from raysweep.scheduling.state import Owners, RunRegistry
from raysweep.scheduling.warm_start import PriorResults, warm_start
from raysweep.search.sampler_state import SamplerState
from raysweep.store import again_file, checkpoints, leftovers, repair, schema
from raysweep.store.sweep_store import SweepStore
from raysweep.store.unfinished import UnfinishedRows
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.outcomes import RunResult, one_row_each
from raysweep.sweep.packs import ArmRun, Pack, PackSize, PlannedRun, cut
from raysweep.sweep.size import Total, total_of
from raysweep.sweep.spec import Spec


class Schedule:
    """Schedule of a session, from which an executor gets packs and to which it reports results.

    Creating one reads the store and plans; nothing is written before `save` or `next_pack`.

    Args:
        spec: Spec of the sweep.
        store: Store of the sweep.
        origin: Environment columns for rows that the driver writes itself, of runs that no
            worker finished.
        prior: Results of another sweep, from which the searches start.
        retry_failed: Whether runs that reached `max_failures` are tried again.
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
        self.in_flight = PacksInFlight()
        self.queue = PackQueue(self.in_flight)
        self.files_to_come: set[str] = set()  # of rows of several packs, which nobody has read
        self.fatal: Exception | None = None
        self.stopping = False
        self.still_mine: Callable[[], bool] | None = None  # whether this driver holds the lease
        self.early_stopper: EarlyStopper | None = None
        self._recovery = Recovery(store.files)
        self._limits, self._probes = FailureLimits(spec), Probes()
        self._owners = Owners[ArmSearch]()
        self._columns = schema.runs_schema(spec)
        self._unfinished = UnfinishedRows(store, self._columns, self.origin)
        self.executed: dict[str, int] = {}  # steps that failed attempts executed, by run id
        self._packs_of_rows: set[str] = set()
        self._has_repeated_rows = False  # several rows of one run
        self.runs = RunRegistry()
        self.failures = self.runs.failures
        self.sampler_state = SamplerState(store.files)
        rows = self._read()
        self.manifests = manifests = checkpoints.in_flight(store.files)
        in_packs = [run for manifest in manifests for run in manifest.pack.runs]
        self.runs.begun = {run.run_id for run in in_packs}
        started = [*rows, *((run.configuration_id, run.settings) for run in in_packs)]
        started += again_file.read(store.files).items()
        self.arms = [ArmSearch(arm, spec, self.runs, self.sampler_state) for arm in spec.arms]
        for search in self.arms:
            search.siblings = self.arms
        self.budget_tracker = BudgetTracker(spec, self.runs, self.arms)
        self.learnt = warm_start(self.arms, prior) if prior is not None else {}
        for search in self.arms:
            if search.study.takes_over:
                search.take_over(started)
                self._note_owners(search)
        self._fill()

    @property
    def planned(self) -> dict[str, ArmRun]:
        """Runs of the sweep so far, by id."""
        return self.runs.planned

    @property
    def ended(self) -> dict[str, RunResult]:
        """Results of the runs that ended, by id."""
        return self.runs.ended

    @paused_collection()
    def arrange(self, size: PackSize) -> None:
        """Queue the packs that an earlier session began, then packs of the other missing runs."""
        self.size = size
        adopted = self._adopt(self.manifests)
        before = {id(run) for search in self.arms for run in search.reported_before}
        self._cut([r for r in self.planned.values() if id(r) not in before], leave_out=adopted)

    @property
    def missing(self) -> int:
        """Number of planned runs that have not ended."""
        return sum(1 for run_id in list(self.planned) if run_id not in self.ended)

    @property
    def to_come(self) -> int:
        """Number of runs that are not planned yet, as far as it is known."""
        return sum(self.budget_tracker.to_come(search) or 0 for search in self.arms)

    @property
    def total(self) -> Total:
        """Number of runs that the sweep will hold."""
        coming = map(self.budget_tracker.to_come, self.arms)
        return total_of(self.spec, len(self.planned), coming)

    @property
    def finished(self) -> bool:
        """Whether no pack is queued or in flight."""
        return not len(self.queue) and not self.in_flight

    def next_pack(self) -> Pack | None:
        """Return the next pack to train, and mark it as in flight; None if none is ready."""
        if self.stopping or self.fatal:
            return None
        pack = self._first(lambda: self.queue.take() or self._pack_for_idle())
        self.save()
        return pack

    def another_pack(self, accepts: Callable[[Pack], bool]) -> Pack | None:
        """Return the next pack of the queue like `next_pack`, if the caller accepts it."""
        return self._first(lambda: self.queue.take(accepts))

    def _first(self, take: Callable[[], Pack | None]) -> Pack | None:
        while (pack := take()) is not None:
            wanted = [run.run_id for run in pack.runs if run.run_id in self.planned]
            if wanted:
                pack = pack.only(wanted)
                self.in_flight[pack.pack_id] = pack
                self.runs.begun.update(wanted)
                return pack
            self.queue.put(self._probes.failed(pack))
        return None

    def _pack_for_idle(self) -> Pack | None:
        """Return a pack beyond the batch, for a worker that would be idle."""
        if len(self.in_flight) < (self.size.workers if self.size else 1):
            self._cut([*self._open_one_more(), *self._fill()])
        return self.queue.take()

    def repair(self) -> None:
        """Repair rows of earlier sessions; the driver calls it under its lease."""
        if self._has_repeated_rows:
            repair.drop_repeated(self.store)
        repair.separate_failed(self.store, self.failures)

    def save(self) -> None:
        """Write the samplers' attributes, and rows of runs that were stopped before they ran."""
        self.sampler_state.save()
        for pack in self.runs.take_unwritten():
            self._unfinished.write_never_ran(pack)

    def attach(self, early_stopper: EarlyStopper) -> None:
        """Report every configuration to early stopping, those opened later included."""
        self.early_stopper = early_stopper
        for search in self.arms:
            for configuration_id in search.members:
                self._report_opened(search, configuration_id)

    def pack_ended(self, pack_id: str, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Note the results of a pack, given its rows if they are not in a file of its own."""
        pack = self.in_flight.take(pack_id)
        rows = self.store.written_runs(pack.rows_name) if rows is None else rows
        self._note_ended(rows)
        if len(pack.runs) > 1:
            repair.drop_failed(self.store, [run.run_id for run in pack.runs if run.failures])
        self.queue.put(self._probes.ended_well(pack))
        fresh = self._settle([row["run_id"] for row in rows])
        self._cut([*fresh, *self._fill()])

    def pack_stopped(self, pack_id: str) -> None:
        """Note that a pack was stopped with its checkpoint, from which a session resumes it."""
        self.in_flight.discard(pack_id)

    def pack_failed(
        self, pack_id: str, kind: Failure, error: str, about: Mapping[str, Any] | None = None
    ) -> None:
        """Split a pack that failed or queue it again, or note the failure of its only run.

        Args:
            pack_id: Identity of the pack.
            kind: Kind of the failure.
            error: Error message for the user.
            about: Columns of `runs` that the worker reported; None if it died.
        """
        pack = self.in_flight.take(pack_id)
        self.runs.begun.difference_update(run.run_id for run in pack.runs)
        if kind == "orphan" and self.still_mine is not None:
            if not self.still_mine():
                return  # the lease says why the session ends
            kind = "lost"  # the driver was suspended, so that its worker saw no heartbeat
        if kind in FATAL:
            self.fatal = self.fatal or (SpecError(error) if kind == "setup" else StoreError(error))
            return
        all_may_fail = all(result.status == "failed" for result in self.ended.values())
        outcome = self._recovery.recover(pack, kind, about, all_may_fail=all_may_fail, error=error)
        if isinstance(outcome, RunFailed):
            self._note_failure(outcome, error)
        else:
            self.queue.put_first(outcome.packs, outcome.pause_s)

    def _note_failure(self, failed: RunFailed, error: str) -> None:
        run = failed.pack.runs[0]
        row = self._unfinished.write_failed(failed.pack, error, failed.executed, failed.columns)
        self.failures[run.run_id] = row["attempts"]
        self.executed[run.run_id] = failed.executed
        self._note_ended([row])
        self._report_lost([run.run_id])
        self._limits.note(run, error)
        ended = {key: result for key, result in self.ended.items() if key in self.planned}
        problem = self._limits.problem(
            ended, self.in_flight.values(), lambda: len(self.planned) + self.to_come
        )
        self.fatal = self.fatal or problem
        self.queue.put(self._probes.failed(failed.pack))
        self._cut([*self._settle([run.run_id]), *self._fill()])

    def _read(self) -> list[StartedConfiguration]:
        """Read the runs of earlier sessions; return the configurations that the search needs."""
        dataset = self.store.dataset("runs", self._columns, every_row=True)
        metrics = [f"metric.{name}" for name in self._metrics]
        narrow = [
            *("run_id", "status", "attempts", "error", "steps", "steps_executed", "seconds"),
            *("pack_id", "configuration_id", "seed", *metrics),
        ]
        stored = self.store.read(dataset, narrow).to_pylist()
        rows = one_row_each(stored)
        self._has_repeated_rows = len(rows) < len(stored)
        self._note_ended(rows)
        self._packs_of_rows = {row["pack_id"] for row in rows}
        self.runs.on_fresh_seeds = {
            row["configuration_id"] for row in rows if row["seed"] in self.spec.report_seeds
        }
        stopped = {row["configuration_id"] for row in rows if row["status"] == "stopped"}
        for row in rows:
            if row["status"] == "failed":
                self.failures[row["run_id"]] = row["attempts"]
                self.executed[row["run_id"]] = row["steps_executed"] or 0
                # A configuration with a stopped seed is closed, so that a retry would have no use.
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
        return [select.metric for select in self.spec.select.all]

    def _note_ended(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.ended[row["run_id"]] = RunResult.from_row(row, self._metrics)

    def _settle(self, run_ids: Iterable[str]) -> list[ArmRun]:
        """Close configurations whose runs have ended; return new runs of the others."""
        fresh = []
        for search, configuration_id in self._owners.of(run_ids):
            fresh += search.settle(configuration_id)
        return fresh

    @paused_collection()
    def _fill(self) -> list[ArmRun]:
        """Open as many configurations as may train at once, arms in turns; return new runs."""
        fresh: list[ArmRun] = []
        opened = True
        while opened:
            opened = False
            for search in self.arms:
                if len(search.open) < self.budget_tracker.batch(search):
                    members = self._open_next(search)
                    fresh += members or []
                    opened |= members is not None
        searching = [search for search in self.arms if self.budget_tracker.is_searching(search)]
        for search in self.arms:
            # Runs that end elsewhere change a shared or estimated budget, and may reopen a search.
            if search not in searching and not (self.budget_tracker.limited and searching):
                fresh += search.report()
            else:
                search.plan_reported_before()
        return fresh

    def _open_one_more(self) -> list[ArmRun]:
        """Open a configuration beyond the batch; return its runs."""
        if self.spec.search.batch is None:
            for search in sorted(self.arms, key=lambda search: len(search.open)):
                while (members := self._open_next(search)) is not None:
                    if members:
                        return members
        return []

    def _open_next(self, search: ArmSearch) -> list[ArmRun] | None:
        if search.exhausted or not self.budget_tracker.allows(search):
            return None
        members = search.open_next()
        if members is not None:
            self._note_owners(search)
        return members

    def _note_owners(self, search: ArmSearch) -> None:
        """Note the arm of the runs of its newly opened configurations."""
        for configuration_id in search.opened:
            self._owners.add((search, configuration_id), search.members[configuration_id])
            self._report_opened(search, configuration_id)
        search.opened.clear()

    def _report_opened(self, search: ArmSearch, configuration_id: str) -> None:
        if self.early_stopper is not None:
            members = search.members[configuration_id]
            run_ids = [member.run.run_id for member in members]
            arm, (steps, every) = search.arm, search.arm.length
            self.early_stopper.opened(arm.name, (steps or 1, every), configuration_id, run_ids)
            self._report_lost(run_ids)

    def _report_lost(self, run_ids: Sequence[str]) -> None:
        """Report runs that failed for good to early stopping, which stops their other seeds."""
        for run_id in run_ids:
            lost = self.failures.get(run_id, 0) >= self.spec.resources.max_failures
            if self.early_stopper and lost and run_id in self.ended:  # else it is tried again
                self.early_stopper.lost(run_id)

    def _adopt(self, manifests: list[checkpoints.Manifest]) -> set[str]:
        """Queue the packs of an earlier session, with those of their runs that are missing."""
        adopted: set[str] = set()
        # A pack that a killed driver was dividing comes after its halves, which have newer files.
        for manifest in sorted(manifests, key=lambda manifest: len(manifest.pack.runs)):
            wanted = [run_id for run_id in self._missing_of(manifest) if run_id not in adopted]
            adopted.update(wanted)
            if wanted:
                pack = self._with_history(manifest.pack.only(wanted))
                if not manifest.step:  # nothing was trained with the code of then
                    pack = dataclasses.replace(pack, code=self.planned[wanted[0]].arm.code)
                self.queue.put([pack])
        return adopted

    def resumes(self, manifest: checkpoints.Manifest) -> bool:
        """Return whether the session resumes a pack that an earlier one began."""
        return bool(self._missing_of(manifest))

    def _missing_of(self, manifest: checkpoints.Manifest) -> list[str]:
        """Return the ids of a pack's runs that are planned and have not ended."""
        ids = (run.run_id for run in manifest.pack.runs)
        return [run_id for run_id in ids if run_id in self.planned and run_id not in self.ended]

    def drop_ended_checkpoints(self) -> None:
        """Remove checkpoints that nothing resumes from; the driver calls it under its lease."""
        packs = list(self.queue)
        leftovers.drop(self.store.files, self.manifests, packs, self.ended, self._packs_of_rows)

    def _with_history(self, pack: Pack) -> Pack:
        """Return the pack with runs as in the present sweep file, and with their failures."""
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
        if self.executed:
            packs = [self._with_history(pack) for pack in packs]
        self.queue.put(self._probes.hold(packs, self.planned, self.size))

"""Session of a sweep: plans the missing runs, trains them, and returns the outcome."""

import contextlib
import dataclasses
import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import joblib

from raysweep import registry
from raysweep.code.modules import NO_CODE, Code
from raysweep.driver import again as retraining
from raysweep.driver import code_copies, opening
from raysweep.driver.blocked import reasons as blocked_arms
from raysweep.driver.data import prepare_data
from raysweep.driver.merging import merging
from raysweep.driver.prior import prior_results
from raysweep.driver.size import check_size
from raysweep.engine.origin import command_origin
from raysweep.engine.stop import StopFlag
from raysweep.errors import ClusterError, StoreError
from raysweep.results.status import sweep_progress
from raysweep.scheduling.scheduler import Schedule
from raysweep.store import schema
from raysweep.store.files import store_uri
from raysweep.store.lease import Lease
from raysweep.store.local_file import empty_folders_removed
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.packs import MAX_GPU_REPLICAS, MAX_PACK_BYTES, MAX_REPLICAS, ArmRun, PackSize
from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.reader import read_spec
from raysweep.text import counted
from raysweep.trackers.live import following
from raysweep.trackers.opening import LiveTracker, live

UNUSED_GPUS = (
    "training on the CPU: {gpus} will not be used; set resources: {{gpu: 1}} (or a fraction, for "
    "several workers on one) in the sweep file"
)
ReportProgress = Callable[[Mapping[str, Any]], None]


class Progress(Protocol):
    """Display of a session's progress."""

    def say(self, lines: Iterable[str]) -> None:
        """Show lines that stay on the screen."""

    def shows(self, line: str) -> bool:
        """Show a line in a live panel, for as long as there is one; return whether there is."""

    def watching(self, schedule: Schedule) -> contextlib.AbstractContextManager[ReportProgress]:
        """Show a schedule's progress; yield a function to call with the progress of a pack."""


@dataclasses.dataclass(frozen=True)
class Session:
    """Outcome of a session.

    Args:
        store: The sweep's folder.
        failed: Errors of the runs that failed and have not finished since, by run id.
        missing: Number of runs still to train, with those that searches have yet to add, as far
            as it is known.
        exit_code: 0 if all runs ended, 1 if some failed, are missing or can never run, 128 plus
            the signal's number if a signal stopped the session.
        blocked: A line for each arm with fresh seeds that can never run.
        is_bound: Whether fewer runs than `missing` may train, as later results decide.
        is_open_ended: Whether more runs than `missing` may train, as only a budget ends a search.
    """

    store: SweepStore
    failed: Mapping[str, str]
    missing: int
    exit_code: int
    blocked: Sequence[str] = ()
    is_bound: bool = False
    is_open_ended: bool = False


@dataclasses.dataclass(frozen=True)
class Executor:
    """Process or cluster that trains packs.

    Args:
        workers: Number of packs that train at the same time.
        train: Function that trains until no run is missing, or until the session stops.
        gpus: Number of GPUs that are there, used or not.
        pack_bytes: Largest estimated memory of a pack.
    """

    workers: int
    train: Callable[..., None]
    gpus: int
    pack_bytes: int = MAX_PACK_BYTES


def load(
    source: str | Path | Mapping[str, Any],
    changes: Sequence[str] = (),
    *,
    smoke: bool = False,
    changes_place: str = "changes",
) -> Spec:
    """Read the spec of a sweep file, reduced to a trial run with `smoke`; see `read_spec`."""
    spec = read_spec(source, changes, changes_place)
    return smoke_spec(spec) if smoke else spec


def pack_size(spec: Spec, workers: int, pack_bytes: int = MAX_PACK_BYTES) -> PackSize:
    """Return how large packs may be with that many workers, and that much memory for a pack."""
    together = spec.early_stopping is not None and spec.early_stopping.by_steps
    wanted = spec.resources.pack
    largest = MAX_GPU_REPLICAS if spec.resources.gpu > 0 else MAX_REPLICAS
    return PackSize(wanted, workers, _replica_bytes, together, _most_replicas, pack_bytes, largest)


def local_workers(spec: Spec) -> int:
    """Return how many packs this machine's CPUs can train at the same time."""
    return max(1, int(joblib.cpu_count() / spec.resources.cpu))


def plan(spec: Spec, store: str | Path | None = None, *, max_runs: int | None = None) -> Schedule:
    """Return the schedule of a session that would start now; nothing is started or written."""
    from raysweep.engine.memory import limit_of_machine

    check_size(spec, max_runs)
    sweep = SweepStore(store_uri(store), spec.name)
    sweep.check_format()
    opening.refuse_former_defaults(spec, sweep)
    schedule = Schedule(spec, sweep, prior=prior_results(spec, sweep))
    pack_bytes = limit_of_machine(spec.resources, joblib.cpu_count())
    schedule.arrange(pack_size(spec, local_workers(spec), pack_bytes))
    return schedule


def drive(  # noqa: PLR0913 - the options of the command
    spec: Spec,
    *,
    store: str | Path | None,
    data: str | Path | None,
    address: str | None,
    inline: bool,
    progress: Progress | None,
    retry_failed: bool = False,
    again: str | None = None,
    raises: bool = False,
    max_runs: int | None = None,
    code: Code = NO_CODE,
) -> Session:
    """Run a session, from the lease to the last row."""
    check_size(spec, max_runs)
    sweep = SweepStore(store_uri(store), spec.name)
    sweep.check_format()
    trackers = live(spec, sweep.files)
    with _nothing_left_of_refused(sweep), StopFlag() as flag, Lease(sweep.files) as lease:
        sweep.files = sweep.files.with_patience(Patience(lease.check))
        sweep.mend(spec)
        retrained = opening.begin(spec, sweep, again)
        prior, origin = prior_results(spec, sweep), command_origin()
        follow = functools.partial(following, sweep, spec, trackers, lambda: bool(flag))
        plan = functools.partial(
            Schedule, spec, sweep, origin, prior=prior, retry_failed=retry_failed
        )
        schedule = plan()
        if again is None and not schedule.missing:
            with follow():
                return _nothing_to_train(schedule, lease, progress)
        if address is None:
            prepare_data(spec, data)
        if progress:
            starting = _starting(address, inline, trackers)
            progress.say([*opening.resuming(schedule, retrained), *starting])
        start = _inline(spec, raises) if inline else _on_ray(spec, sweep, address, lease, code)
        with start as executor:
            if again is not None:
                retraining.remove(spec, sweep, retrained)
                schedule = plan()
            _begin(schedule, lease, progress, executor, code)
            schedule.arrange(pack_size(spec, executor.workers, executor.pack_bytes))
            schedule.drop_ended_checkpoints()
            flag.train(progress.shows if progress else None)
            job = _job(schedule, lease, data)
            with follow(), progress.watching(schedule) if progress else _no_progress() as report:
                _train(schedule, lease, flag, executor, job, report)
    return _session(schedule, flag)


def _train(
    schedule: Schedule,
    lease: Lease,
    flag: StopFlag,
    executor: Executor,
    job: Any,
    report: ReportProgress,
) -> None:
    """Train the missing runs, and merge the rows of those that end."""
    with merging(schedule.store.files, schedule, lease.check) as rows:
        executor.train(schedule, job, lambda: bool(flag) or lease.lost.is_set(), report)
        _end(schedule, lease)
    if not flag:
        rows.finish()


def _nothing_to_train(schedule: Schedule, lease: Lease, progress: Progress | None) -> Session:
    """Return the session of a sweep whose runs have all ended."""
    if progress:
        progress.say(opening.nothing_missing(schedule))
    _begin(schedule, lease, progress)
    schedule.drop_ended_checkpoints()
    return _session(schedule, None)


def _starting(address: str | None, inline: bool, trackers: Sequence[LiveTracker]) -> list[str]:
    lines = [tracker.text for tracker in trackers]
    if not inline:
        lines.append("starting Ray …" if address is None else f"joining Ray at {address} …")
    return lines


def _unused(spec: Spec, executor: Executor) -> list[str]:
    """Return a line on GPUs that no worker uses; none where workers have a GPU."""
    if spec.resources.gpu > 0 or not executor.gpus:
        return []
    return [UNUSED_GPUS.format(gpus=counted(executor.gpus, "GPU"))]


def _nothing_left_of_refused(sweep: SweepStore) -> contextlib.AbstractContextManager[None]:
    """Remove the sweep's new folder, and the store's, if the session ends without writing."""
    if not sweep.files.is_local:
        return contextlib.nullcontext()
    return empty_folders_removed(sweep.files.root, sweep.store.root)


def _end(schedule: Schedule, lease: Lease) -> None:
    """Save the state that only the session holds, and raise the error that ended it early."""
    if isinstance(schedule.fatal, StoreError):
        raise schedule.fatal  # saving to this store would only raise another
    schedule.save()
    if schedule.fatal is not None:
        raise schedule.fatal
    if lease.lost.is_set():
        raise lease.error()


def _begin(
    schedule: Schedule,
    lease: Lease,
    progress: Progress | None,
    executor: Executor | None = None,
    code: Code = NO_CODE,
) -> None:
    """Write the spec and the state of a new session, once all its checks have passed.

    Until then readers use the spec of the previous session.
    """
    schedule.store.write_spec(schedule.spec)
    code_copies.keep(code, schedule.store.files)
    schedule.still_mine = lease.still_mine
    schedule.repair()
    if progress:
        unused = _unused(schedule.spec, executor) if executor else []
        progress.say([*opening.notices(schedule), *unused])
    schedule.save()


def _session(schedule: Schedule, flag: StopFlag | None) -> Session:
    failed = {
        run_id: result.error or "failed"
        for run_id, result in schedule.ended.items()
        if result.status == "failed" and run_id in schedule.planned
    }
    blocked = blocked_arms(schedule)
    code = 1 if failed or schedule.missing or blocked else 0
    if flag:
        code = flag.exit_code
    open_ended, missing, is_bound = _missing(schedule)
    return Session(schedule.store, failed, missing, code, blocked, is_bound, open_ended)


def _missing(schedule: Schedule) -> tuple[bool, int, bool]:
    """Return whether only a budget ends the search, how many runs are missing, if at most.

    The numbers are those of `status`: the next session may train fewer runs than this one planned.
    """
    if not schedule.missing:
        return False, 0, False
    progress = sweep_progress(schedule.store, schedule.spec)
    if progress.total.runs is None:
        return True, schedule.missing, False
    missing = progress.total.runs - progress.ended
    return False, missing, missing > 0 and progress.total.is_bound


@contextlib.contextmanager
def _inline(spec: Spec, raises: bool) -> Iterator[Executor]:
    from raysweep.engine.inline import run_inline
    from raysweep.engine.machine import visible_gpus
    from raysweep.engine.memory import limit_of_machine

    train = functools.partial(run_inline, raises=True) if raises else run_inline
    yield Executor(1, train, visible_gpus(), limit_of_machine(spec.resources, spec.resources.cpu))


@contextlib.contextmanager
def _on_ray(
    spec: Spec, sweep: SweepStore, address: str | None, lease: Lease, code: Code
) -> Iterator[Executor]:
    from raysweep.engine import cluster
    from raysweep.engine.watchdog import RayWatch

    cpus, modules = joblib.cpu_count(), [module.path for module in code.modules]
    # Starting Ray is mostly waiting, during which Tune can be imported.
    imported = threading.Thread(target=importlib.import_module, args=("raysweep.engine.tune",))
    imported.start()
    with (
        RayWatch(lambda: lease.__exit__(ClusterError, None, None)) as ray_watch,
        cluster.connect(address, cpus, modules) as is_own,
        ray_watch.asking(cluster.probe()),
    ):
        imported.join()
        from raysweep.engine.memory import limit_of_machine
        from raysweep.engine.nodes import Nodes
        from raysweep.engine.tune import Guard, run_tune

        if is_own:
            nodes = Nodes(spec.resources, limit=limit_of_machine(spec.resources, cpus))
        else:
            nodes = Nodes(spec.resources, (sweep.store.uri, spec.name, lease.token))
        nodes.begin()
        guard = Guard(nodes, ray_watch.check, lambda: lease.in_trouble)
        train = functools.partial(run_tune, guard=guard, code=code or None)
        gpus = cluster.visible_gpus()
        yield Executor(nodes.workers_to_come(), train, gpus, nodes.pack_bytes())


@contextlib.contextmanager
def _no_progress() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    yield lambda progress: None


def _job(schedule: Schedule, lease: Lease, data: str | Path | None) -> Any:
    from raysweep.engine.job import Job

    spec, sweep = schedule.spec, schedule.store
    columns = sweep.schema("runs", schema.runs_schema(spec))
    curves = sweep.schema("curves", schema.curves_schema(spec))
    stopping = spec.early_stopping
    folder = data or os.environ.get("RAYSWEEP_DATA")
    return Job(
        store=sweep.store.uri,
        sweep=spec.name,
        token=lease.token,
        checkpoint_s=spec.resources.checkpoint_s,
        cpu=spec.resources.cpu,
        gpu=spec.resources.gpu,
        data=str(Path(folder).expanduser().absolute()) if folder else None,
        origin=schedule.origin,
        runs_schema=columns.serialize().to_pybytes(),
        curves_schema=curves.serialize().to_pybytes(),
        stopping=dataclasses.asdict(stopping) if stopping and stopping.by_steps else None,
    )


@functools.cache
def _bytes_of(task: str, estimator: str, program: str, settings: tuple[Any, ...]) -> int:
    from raysweep.engine.memory import replica_bytes

    return replica_bytes(task, estimator, dict(settings))


def _replica_bytes(arm_run: ArmRun) -> int:
    configuration = arm_run.run.configuration
    return _bytes_of(
        configuration.task,
        configuration.estimator,
        arm_run.program,
        tuple(configuration.settings.items()),
    )


def _most_replicas(arm_run: ArmRun) -> int:
    """Return the largest number of runs that a task can train together."""
    return registry.task(arm_run.run.configuration.task).max_replicas or sys.maxsize

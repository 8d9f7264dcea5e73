"""One session of a sweep: plan what is missing, train it, and say how it ended."""

import contextlib
import dataclasses
import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import joblib

from raysweep import registry
from raysweep.driver import again as anew
from raysweep.driver import opening
from raysweep.driver.blocked import reasons as blocked_arms
from raysweep.driver.prior import prior_results
from raysweep.engine.origin import command_origin
from raysweep.engine.stop import StopFlag
from raysweep.errors import ClusterError, SpecError, StoreError
from raysweep.scheduling.scheduler import Schedule
from raysweep.store import schema
from raysweep.store.files import store_uri
from raysweep.store.lease import Lease
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.packs import ArmRun, PackSize
from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.arms import corners
from raysweep.sweepfile.reader import read_spec

Tell = Callable[[Mapping[str, Any]], None]


class Progress(Protocol):
    """Shows how far a session is."""

    def say(self, lines: Iterable[str]) -> None:
        """Shows lines that remain."""

    def watching(self, schedule: Schedule) -> contextlib.AbstractContextManager[Tell]:
        """Shows a schedule until left; yields what to call with a pack's progress."""


@dataclasses.dataclass(frozen=True)
class Session:
    """How a session ended.

    Args:
        store: The sweep's folder.
        failed: Error of each run that failed and did not end well since, by run id.
        missing: Runs that have still to run.
        exit_code: 0 all runs ended, 1 some failed, are missing or can never run, 128 and more:
            stopped by that signal.
        blocked: A line for each arm with fresh seeds that can never run.
    """

    store: SweepStore
    failed: Mapping[str, str]
    missing: int
    exit_code: int
    blocked: Sequence[str] = ()


def load(
    source: str | Path | Mapping[str, Any],
    changes: Sequence[str] = (),
    *,
    smoke: bool = False,
    changes_place: str = "changes",
) -> Spec:
    """Read the spec of a sweep file, cut down to a trial run if wanted; see `read_spec`."""
    spec = read_spec(source, changes, changes_place)
    return smoke_spec(spec) if smoke else spec


def pack_size(spec: Spec, workers: int) -> PackSize:
    """How large packs may be with that many workers."""
    together = spec.early_stopping is not None and spec.early_stopping.by_steps
    return PackSize(spec.resources.pack, workers, _replica_bytes, together)


def local_workers(spec: Spec) -> int:
    """Packs that this machine alone can train at the same time, as far as its CPUs tell."""
    return max(1, int(joblib.cpu_count() / spec.resources.cpu))


def plan(spec: Spec, store: str | Path | None = None) -> Schedule:
    """What a session would do now; nothing is started or written."""
    sweep = SweepStore(store_uri(store), spec.name)
    sweep.check_format()
    opening.refuse_former_defaults(spec, sweep)
    schedule = Schedule(spec, sweep, prior=prior_results(spec, sweep))
    schedule.arrange(pack_size(spec, local_workers(spec)))
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
) -> Session:
    """One session, from the lease to the last row."""
    sweep = SweepStore(store_uri(store), spec.name)
    sweep.check_format()
    with StopFlag() as flag, Lease(sweep.files) as lease:
        sweep.files = sweep.files.with_patience(Patience(lease.check))
        sweep.mend(spec)
        leaving = opening.begin(spec, sweep, again)
        plan = functools.partial(
            Schedule,
            spec,
            sweep,
            command_origin(),
            prior=prior_results(spec, sweep),
            retry_failed=retry_failed,
        )
        schedule = plan()
        if again is None and not schedule.missing:
            _take_up(schedule, lease, progress)
            schedule.drop_ended_checkpoints()
            return _session(schedule, None)
        if address is None:
            _prepare_data(spec, data)
        executor = _inline(spec) if inline else _on_ray(spec, sweep, address, lease)
        with executor as (workers, train):
            if again is not None:
                anew.remove(spec, sweep, leaving)
                schedule = plan()
            _take_up(schedule, lease, progress)
            schedule.arrange(pack_size(spec, workers))
            schedule.drop_ended_checkpoints()
            flag.train()
            with progress.watching(schedule) if progress else _no_progress() as tell:
                job = _job(schedule, lease, data)
                train(schedule, job, lambda: bool(flag) or lease.lost.is_set(), tell)
                _end(schedule, lease)
    return _session(schedule, flag)


def _end(schedule: Schedule, lease: Lease) -> None:
    """Writes what only the session knows, and raises what ended it early."""
    if isinstance(schedule.fatal, StoreError):
        raise schedule.fatal  # the first error: saving would only raise the next
    schedule.save()
    if schedule.fatal is not None:
        raise schedule.fatal
    if lease.lost.is_set():
        raise lease.error()


def _take_up(schedule: Schedule, lease: Lease, progress: Progress | None) -> None:
    """Writes what a session begins with, once nothing can refuse it any more.

    Until then readers go by the spec of the session before.
    """
    schedule.store.write_spec(schedule.spec)
    schedule.still_mine = lease.still_mine
    schedule.repair()
    if progress:
        progress.say(opening.notices(schedule))
    schedule.save()


def _prepare_data(spec: Spec, folder: str | Path | None) -> None:
    """Has tasks that need data download it here, once, and says at once where that fails.

    Other nodes of a cluster have data folders of their own, which their workers look after.

    Raises:
        SpecError: If data is neither at hand nor to be downloaded, or not what it should be.
    """
    root = Path(folder).expanduser().absolute() if folder else None
    prepared = set()  # points that differ in training or the estimator alone need the same data
    for arm in spec.arms:
        task = registry.task(arm.task)
        for assignment in corners(arm):
            settings = arm.configuration(assignment).settings
            own = [item for item in settings.items() if item[0].startswith("task.")]
            if (key := (arm.task, repr(own))) in prepared:
                continue
            prepared.add(key)
            try:
                task.prepare(registry.instantiate(arm.task, arm.estimator, settings)[0], root)
            except (OSError, ValueError) as error:
                raise SpecError(str(error)) from error


def _session(schedule: Schedule, flag: StopFlag | None) -> Session:
    failed = {
        run_id: ended.error or "failed"
        for run_id, ended in schedule.ended.items()
        if ended.status == "failed" and run_id in schedule.planned
    }
    blocked = blocked_arms(schedule)
    code = 1 if failed or schedule.missing or blocked else 0
    if flag:
        code = flag.exit_code
    return Session(schedule.store, failed, schedule.missing, code, blocked)


@contextlib.contextmanager
def _inline(spec: Spec) -> Iterator[tuple[int, Callable[..., None]]]:
    from raysweep.engine.inline import run_inline

    yield 1, run_inline


@contextlib.contextmanager
def _on_ray(
    spec: Spec, sweep: SweepStore, address: str | None, lease: Lease
) -> Iterator[tuple[int, Callable[..., None]]]:
    from raysweep.engine import cluster
    from raysweep.engine.watchdog import RayWatch

    # Ray mostly waits while it starts: time enough to import Tune.
    imported = threading.Thread(target=importlib.import_module, args=("raysweep.engine.tune",))
    imported.start()
    with (
        RayWatch(lambda: lease.__exit__(ClusterError, None, None)) as ray_watch,
        cluster.connect(address, joblib.cpu_count()),
        ray_watch.asking(cluster.probe()),
    ):
        cluster.check_store(sweep.files)
        imported.join()
        from raysweep.engine.tune import run_tune

        train = functools.partial(
            run_tune, check=ray_watch.check, store_away=lambda: lease.in_trouble
        )
        yield cluster.workers(spec.resources), train


@contextlib.contextmanager
def _no_progress() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    yield lambda progress: None


def _job(schedule: Schedule, lease: Lease, data: str | Path | None) -> Any:
    from raysweep.engine.pack import Job

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
    built, made = registry.instantiate(task, estimator, dict(settings))
    return registry.task(task).replica_bytes(built, made)


def _replica_bytes(member: ArmRun) -> int:
    configuration = member.run.configuration
    return _bytes_of(
        configuration.task,
        configuration.estimator,
        member.program,
        tuple(configuration.settings.items()),
    )

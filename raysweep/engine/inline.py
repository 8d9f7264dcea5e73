"""Training in this process, one pack after another: for debuggers and fast tests."""

import functools
import time
from collections.abc import Callable
from typing import Any

from raysweep.engine.job import Job
from raysweep.engine.memory import fitting, limit_of_machine
from raysweep.engine.sizing import Sizing
from raysweep.engine.work import Worker, prepared
from raysweep.scheduling.division import keep_first
from raysweep.scheduling.scheduler import Schedule
from raysweep.search.early_stopping import StoredEarlyStopper
from raysweep.store import pack_sizes
from raysweep.store.checkpoints import Checkpoints
from raysweep.sweep.packs import Pack

PAUSE_S = 0.2


def run_inline(
    schedule: Schedule,
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
    *,
    raises: bool = False,
) -> None:
    """Train until no run is missing, or until the session stops.

    Args:
        schedule: Schedule of the packs to train.
        job: Store, devices and settings of the training.
        stopping: Function that returns whether to stop; called at least every second.
        watch: Function that is called with the progress of packs.
        raises: Whether the first error of a run's own code is raised, for a debugger.
    """
    early_stopper = _early_stopper(schedule, job)
    worker = functools.partial(Worker, job, early_stopper=early_stopper, raises=raises)
    with prepared(job):
        _train(schedule, worker, stopping, watch, _Sizes(schedule, job))


def _early_stopper(schedule: Schedule, job: Job) -> StoredEarlyStopper | None:
    """Create the early stopper of a session, if runs are stopped by steps."""
    if job.stopping is None:
        return None
    early_stopper = StoredEarlyStopper(job.store, job.sweep, job.token, job.stopping)
    schedule.attach(early_stopper)
    early_stopper.begin()
    return early_stopper


def _train(
    schedule: Schedule,
    worker_of: Callable[[Pack], Worker],
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
    sizes: "_Sizes",
) -> None:
    while not stopping():
        pack = schedule.next_pack()
        if pack is None:
            if schedule.finished or schedule.fatal is not None:
                return
            time.sleep(PAUSE_S)  # a failed pack waits before its next attempt
            continue
        pack = sizes.cut(pack)
        worker = worker_of(pack)
        watch({"pack_id": pack.pack_id, "began": True})
        while True:
            result = worker.step()
            if result["done"]:
                break
            watch(result["progress"])
            if (smaller := sizes.smaller(worker)) is not None:
                pack, worker = smaller, worker_of(smaller)
                watch({"pack_id": pack.pack_id, "began": True})
            if stopping():
                worker.stop()
                schedule.pack_stopped(pack.pack_id)
                return
        if "failure" in result:
            schedule.pack_failed(pack.pack_id, result["failure"], result["error"], result["about"])
        else:
            schedule.pack_ended(pack.pack_id)


class _Sizes:
    """Sizes of the packs of a session, which fit into memory and train fastest.

    Args:
        schedule: Schedule of the packs.
        job: Store, devices and settings of the training.
    """

    def __init__(self, schedule: Schedule, job: Job) -> None:
        self.schedule, self.resources = schedule, schedule.spec.resources
        self.files = schedule.store.files
        self.sizing: Sizing | None = None
        if self.resources.pack == "auto":
            self.sizing = Sizing(job.gpu, pack_sizes.read(self.files))

    def cut(self, pack: Pack) -> Pack:
        """Return the pack in flight, or the part of it that trains first."""
        if self.sizing is None:
            return pack
        # the pack may be one of a larger machine
        most = fitting(pack, limit_of_machine(self.resources, self.resources.cpu))
        fastest = self.sizing.keep(pack)
        if fastest < most and self.schedule.early_stopper is None:
            most = most if Checkpoints(self.files, pack.pack_id).has_state() else fastest
        return keep_first(self.schedule, pack.pack_id, most)

    def smaller(self, worker: Worker) -> Pack | None:
        """Return the part of a pack in training that starts over, if smaller packs are faster."""
        if self.sizing is None or worker.loop is None:
            return None
        if (looked := self.sizing.look(worker.pack, worker.loop)) is None:
            return None
        _, measured = looked
        pack_sizes.write(self.files, self.sizing.plain)
        if measured.keep(len(worker.pack.runs)) == len(worker.pack.runs):
            return None
        worker.discard()
        return keep_first(self.schedule, worker.pack.pack_id, measured.size, afresh=True)

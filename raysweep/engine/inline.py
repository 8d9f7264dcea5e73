"""Training in this process, one pack after another: for debuggers and fast tests."""

import functools
import time
from collections.abc import Callable
from typing import Any

from raysweep.engine.job import Job
from raysweep.engine.memory import fitting, limit_of_machine
from raysweep.engine.work import Worker, prepared
from raysweep.scheduling.division import keep_first
from raysweep.scheduling.scheduler import Schedule
from raysweep.search.early_stopping import StoredEarlyStopper
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
        _train(schedule, worker, stopping, watch)


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
) -> None:
    while not stopping():
        pack = schedule.next_pack()
        if pack is None:
            if schedule.finished or schedule.fatal is not None:
                return
            time.sleep(PAUSE_S)  # a failed pack waits before its next attempt
            continue
        resources = schedule.spec.resources
        if resources.pack == "auto":  # the pack may be one of a larger machine
            most = fitting(pack, limit_of_machine(resources, resources.cpu))
            pack = keep_first(schedule, pack.pack_id, most)
        worker = worker_of(pack)
        watch({"pack_id": pack.pack_id, "began": True})
        while True:
            result = worker.step()
            if result["done"]:
                break
            watch(result["progress"])
            if stopping():
                worker.stop()
                schedule.pack_stopped(pack.pack_id)
                return
        if "failure" in result:
            schedule.pack_failed(pack.pack_id, result["failure"], result["error"], result["about"])
        else:
            schedule.pack_ended(pack.pack_id)

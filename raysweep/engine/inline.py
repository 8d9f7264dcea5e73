"""Trains packs one after another in this process: for debuggers and fast tests."""

import time
from collections.abc import Callable
from typing import Any

from raysweep.engine.pack import Job
from raysweep.engine.work import Worker, prepared
from raysweep.scheduling.scheduler import Schedule
from raysweep.search.early_stopping import StoredEarlyStopper

PAUSE_S = 0.2


def run_inline(
    schedule: Schedule,
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
) -> None:
    """Trains until nothing is missing, or until told to stop.

    Args:
        schedule: Says what to train.
        job: Where and how.
        stopping: Asked at least every second.
        watch: Told the progress of packs.
    """
    judge = seat(schedule, job)
    with prepared(job):
        _train(schedule, job, judge, stopping, watch)


def seat(schedule: Schedule, job: Job) -> StoredEarlyStopper | None:
    """The judge of early stopping, in this process; None if nothing is stopped early."""
    if job.stopping is None:
        return None
    judge = StoredEarlyStopper(job.store, job.sweep, job.token, job.stopping)
    schedule.attach(judge)
    judge.begin()
    return judge


def _train(
    schedule: Schedule,
    job: Job,
    judge: StoredEarlyStopper | None,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
) -> None:
    while not stopping():
        pack = schedule.next_pack()
        if pack is None:
            if schedule.finished or schedule.fatal is not None:
                return
            time.sleep(PAUSE_S)  # a pack waits for its next try
            continue
        worker = Worker(job, pack, judge)
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

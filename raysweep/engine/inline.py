"""Trains packs one after another in this process: for debuggers and fast tests."""

from collections.abc import Callable
from typing import Any

from raysweep.engine.pack import Job
from raysweep.engine.work import Worker, prepared
from raysweep.schedule import Schedule


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
    with prepared(job):
        _train(schedule, job, stopping, watch)


def _train(
    schedule: Schedule,
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
) -> None:
    while not stopping():
        pack = schedule.next_pack()
        if pack is None:
            return
        worker = Worker(job, pack)
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
            schedule.pack_failed(pack.pack_id, result["failure"], result["error"])
        else:
            schedule.pack_ended(pack.pack_id)

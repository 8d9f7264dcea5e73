"""What a worker does with a pack, whichever executor sent it."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import torch

from raysweep.engine.machine import device_of, machine
from raysweep.engine.pack import CannotRestore, Job, PackLoop
from raysweep.errors import DamagedFile, RaysweepError, StoreError, is_memory_error
from raysweep.store.rows import utc_now
from raysweep.store.watch import DriverGone
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.packs import Pack
from raysweep.text import MAX_ERROR, recorded

SLICE_S = 1.0  # a stop must be obeyed within a second


def prepare(job: Job) -> None:
    """Sets the process up: threads, denormal numbers, the data folder."""
    torch.set_num_threads(max(1, int(job.cpu)))
    # Second moments that decay below the smallest normal number make a step 30 times slower.
    torch.set_flush_denormal(True)
    if job.data is not None:
        os.environ["RAYSWEEP_DATA"] = job.data


@contextlib.contextmanager
def prepared(job: Job) -> Iterator[None]:
    """The same for a process that has other things to do afterwards."""
    threads = torch.get_num_threads()
    prepare(job)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


class Worker:
    """Trains one pack in slices; failures come back as plain data.

    Args:
        job: Where and how.
        pack: What to train.
        judge: Of early stopping, if there is one.
    """

    def __init__(self, job: Job, pack: Pack, judge: EarlyStopper | None = None) -> None:
        self.job, self.pack, self.judge = job, pack, judge
        self.loop: PackLoop | None = None
        self.began = utc_now()

    def step(self) -> dict[str, Any]:
        """Trains for a slice; `{"done", "progress"}`, or `{"done", "failure", "error", "about"}`.

        `about` is what is known of the attempt that failed, as columns of `runs`.
        """
        try:
            if self.loop is None:
                self.loop = PackLoop(self.pack, self.job, self.judge)
            done = self.loop.run_for(SLICE_S)
        # A run's own code may raise anything; an interrupt of the user only sets a flag.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if _is_a_signal(error):
                raise
            kind = _kind(error)
            if self.loop is None and isinstance(error, FileNotFoundError):
                kind = "setup"  # every run of the task would miss it: not this run's failure
            about = self._about() if kind in ("run", "memory") else {}
            self._release()
            return {"done": True, "failure": kind, "error": _text(error), "about": about}
        progress = self.loop.progress
        if done:
            self._release()
        return {"done": done, "progress": progress}

    def _about(self) -> dict[str, Any]:
        known: dict[str, Any] = {**machine(), "device": device_of(self.job.gpu)[1]}
        if self.loop is None:
            return {**known, "started_at": self.began}
        return {
            **known,
            "started_at": self.loop.started_at,
            "seconds": self.loop.seconds,
            "steps_executed": self.loop.executed,
        }

    def stop(self) -> None:
        """Puts the pack's state down and lets go of it."""
        with contextlib.suppress(DriverGone, StoreError):
            if self.loop is not None:
                self.loop.checkpoint()
        self._release()

    def _release(self) -> None:
        self.loop = None
        if self.job.gpu > 0 and torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_a_signal(error: BaseException) -> bool:
    """Whether Ray raised it where the run happened to be, as its answer to SIGTERM."""
    ray = sys.modules.get("ray")
    if not isinstance(error, SystemExit) or ray is None or ray.__file__ is None:
        return False
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    return where.startswith(os.path.dirname(ray.__file__) + os.sep)


def _kind(error: BaseException) -> str:
    if isinstance(error, CannotRestore | DamagedFile):
        return "restore"
    if isinstance(error, DriverGone):
        return "orphan"
    if isinstance(error, StoreError):
        return "store"
    if isinstance(error, RaysweepError):
        return "setup"
    if is_memory_error(error):
        return "memory"
    return "run"


def _text(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001 - a run's own error may raise while it is asked
        message = f"its text cannot be had, {type(broken).__name__}"
    if isinstance(error, RaysweepError | DriverGone | FileNotFoundError):
        return recorded(message)
    where = traceback.extract_tb(error.__traceback__)[-1]
    name = recorded(type(error).__name__, 200)
    place = recorded(f"({os.path.basename(where.filename)}:{where.lineno})", 300)
    room = MAX_ERROR - len(name) - len(place) - 3
    return f"{name}: {recorded(message, room) or 'no message'} {place}"

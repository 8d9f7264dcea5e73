"""Worker that trains a pack, under either executor."""

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

SLICE_S = 1.0  # a worker must stop within a second


def prepare(job: Job) -> None:
    """Set up the process: threads, denormal numbers, the data folder."""
    torch.set_num_threads(max(1, int(job.cpu)))
    # Second moments that decay below the smallest normal number make a step 30 times slower.
    torch.set_flush_denormal(True)
    if job.data is not None:
        os.environ["RAYSWEEP_DATA"] = job.data


@contextlib.contextmanager
def prepared(job: Job) -> Iterator[None]:
    """Set up the process like `prepare`, and restore its threads and denormals on exit."""
    threads = torch.get_num_threads()
    prepare(job)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


class Worker:
    """Worker that trains one pack in slices, and returns failures as plain data.

    Args:
        job: Store, devices and settings of the training.
        pack: The pack to train.
        early_stopper: Early stopping at rungs; None if no run is stopped early.
    """

    def __init__(self, job: Job, pack: Pack, early_stopper: EarlyStopper | None = None) -> None:
        self.job, self.pack, self.early_stopper = job, pack, early_stopper
        self.loop: PackLoop | None = None
        self.began = utc_now()

    def step(self) -> dict[str, Any]:
        """Train for a slice; return its outcome.

        Returns:
            `done` and `progress`; or, after a failure, `done`, `failure` (its kind), `error` and
            `about`, the columns of `runs` that are known of the failed attempt.
        """
        try:
            if self.loop is None:
                self.loop = PackLoop(self.pack, self.job, self.early_stopper)
            done = self.loop.run_for(SLICE_S)
        # The code of a run may raise anything; a signal from the user only sets a flag.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if _is_a_signal(error):
                raise
            kind = _kind(error)
            if self.loop is None and isinstance(error, FileNotFoundError):
                kind = "setup"  # every run of the task would miss the file
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
        """Save the pack's state and release its memory."""
        with contextlib.suppress(DriverGone, StoreError):
            if self.loop is not None:
                self.loop.checkpoint()
        self._release()

    def _release(self) -> None:
        self.loop = None
        if self.job.gpu > 0 and torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_a_signal(error: BaseException) -> bool:
    """Return whether Ray's handler of SIGTERM raised the error."""
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
    except Exception as broken:  # noqa: BLE001 - the text of a run's error may raise
        message = f"no message, as str() of the error raised {type(broken).__name__}"
    if isinstance(error, RaysweepError | DriverGone | FileNotFoundError):
        return recorded(message)
    where = traceback.extract_tb(error.__traceback__)[-1]
    name = recorded(type(error).__name__, 200)
    location = recorded(f"({os.path.basename(where.filename)}:{where.lineno})", 300)
    room = MAX_ERROR - len(name) - len(location) - 3
    return f"{name}: {recorded(message, room) or 'no message'} {location}"

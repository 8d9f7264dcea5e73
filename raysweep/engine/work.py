"""Worker that trains a pack, under either executor."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import torch

from raysweep.engine.errors_of_runs import (
    files_of,
    is_a_signal,
    is_function,
    kind_of,
    line_of,
    traceback_of,
)
from raysweep.engine.job import Job
from raysweep.engine.machine import device_of, machine
from raysweep.engine.outcomes import Outcome
from raysweep.engine.output import Output
from raysweep.engine.pack import PackLoop
from raysweep.engine.worker_store import WorkerStore
from raysweep.errors import StoreError
from raysweep.store.pack_log import PackLog
from raysweep.store.rows import utc_now
from raysweep.store.sweep_store import SweepStore
from raysweep.store.watch import DriverGone
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.packs import Pack

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
        raises: Whether errors of the runs' own code are raised, for a debugger.
        store: The sweep's folder, if the worker trains the pack in a batch; the caller then writes
            the rows.
    """

    def __init__(
        self,
        job: Job,
        pack: Pack,
        early_stopper: EarlyStopper | None = None,
        *,
        raises: bool = False,
        store: WorkerStore | None = None,
    ) -> None:
        self.job, self.pack, self.early_stopper = job, pack, early_stopper
        self.raises, self.store = raises, store
        self.outcome: Outcome | None = None  # of a pack that has ended
        self.loop: PackLoop | None = None
        self.began = utc_now()
        self.output = Output()

    def step(self, seconds: float | None = None) -> dict[str, Any]:
        """Train for a slice of time; return its outcome.

        Args:
            seconds: Length of the slice; `SLICE_S` if None.

        Returns:
            `done` and `progress`; or, after a failure, `done`, `failure` (its kind), `error`,
            `about`: the columns of `runs` that are known of the failed attempt, and `traceback`;
            and `blamed`, if other nodes may be able to train.
        """
        try:
            with self.output.captured():
                if self.loop is None:
                    self.loop = self._started()
                done = self.loop.run_for(SLICE_S if seconds is None else seconds)
        # The code of a run may raise anything; a signal from the user only sets a flag.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if is_a_signal(error) or (self.raises and kind_of(error) in ("run", "memory")):
                raise
            return self._failure(error)
        progress = self.loop.progress
        self._keep_output(is_last=done)
        if done:
            self.outcome = self.loop.outcome
            self._release()
        return {"done": done, "progress": progress}

    def _started(self) -> PackLoop:
        store = self.store or WorkerStore(self.job)
        in_batch = self.store is not None
        return PackLoop(self.pack, self.job, self.early_stopper, store, in_batch=in_batch)

    def _failure(self, error: BaseException) -> dict[str, Any]:
        """Return a failure as plain data, and release the pack's memory."""
        kind, blamed = kind_of(error), {}
        of_function = is_function(self.pack.task)
        if self.loop is None and isinstance(error, FileNotFoundError) and not of_function:
            kind, blamed = "setup", {"blamed": "data"}  # all runs of the task would miss the file
        about = self._about(error) if kind in ("run", "memory") else {}
        files = files_of(self.pack.task, self.pack.estimator)
        text = line_of(error, files, of_function=of_function)
        self._keep_output(is_last=True)
        self._release()
        return {"done": True, "failure": kind, "error": text, "about": about, **blamed}

    def _keep_output(self, *, is_last: bool) -> None:
        """Write what was printed to the store, now and then and at the end."""
        if self.output.is_new and (is_last or self.log.is_due):
            with contextlib.suppress(DriverGone, StoreError):
                self.log.write(self.output.take())

    @functools.cached_property
    def log(self) -> PackLog:
        """File of the pack's output."""
        known = self.loop.store if self.loop else self.store
        store = known or SweepStore(self.job.store, self.job.sweep)
        return PackLog(store.files, self.pack.pack_id)

    def _about(self, error: BaseException) -> dict[str, Any]:
        known: dict[str, Any] = {**machine(), "device": device_of(self.job.gpu)[1]}
        known["traceback"] = traceback_of(error)
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
        self._keep_output(is_last=True)
        self._release()

    def discard(self) -> None:
        """Release the pack's memory, without its state."""
        self._keep_output(is_last=True)
        self._release()

    def _release(self) -> None:
        if self.loop is not None:
            self.loop.close()
        self.loop = None
        if self.job.gpu > 0 and torch.cuda.is_available():
            torch.cuda.empty_cache()

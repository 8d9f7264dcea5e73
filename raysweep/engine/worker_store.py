"""The sweep's folder as a worker uses it: under the watch of its driver."""

import functools
import threading

import pyarrow as pa

from raysweep.engine.job import Job
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.store.watch import DriverWatch


@functools.lru_cache(maxsize=8)
def _schema(serialised: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(serialised))


class WorkerStore:
    """Sweep's folder of a worker, with the columns of rows; nothing is written for a lost driver.

    Args:
        job: Store, sweep and lease token.
    """

    def __init__(self, job: Job) -> None:
        self.sweep = SweepStore(job.store, job.sweep)
        self.watch = DriverWatch(self.sweep.files, job.token)
        self.sweep.files = self.files = self.sweep.files.with_patience(Patience(self._guard))
        self.run_columns = _schema(job.runs_schema)
        self.curve_columns = _schema(job.curves_schema)
        self._lock = threading.Lock()  # several threads write at the end of a batch

    def _guard(self) -> None:
        with self._lock:
            self.watch.guard()

"""Worker that trains several short packs one after another, and writes their rows together."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from raysweep.engine.errors_of_runs import kind_of, line_of
from raysweep.engine.job import Job
from raysweep.engine.outcomes import write_outcomes
from raysweep.engine.sizing import Sizing
from raysweep.engine.work import SLICE_S, Worker
from raysweep.engine.worker_store import WorkerStore
from raysweep.errors import StoreError
from raysweep.store.watch import DriverGone
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.packs import Pack, rows_name_of

LONGEST_S = 2.0  # after which a batch keeps only the pack that it trains


class Batch:
    """Worker that trains packs in slices, of which the last may go back to the driver.

    A slice ends with one file of rows for all packs that ended in it, and none of them counts as
    ended before; a pack that fails ends the batch. A batch of one pack is like a `Worker`.

    Args:
        job: Store, devices and settings of the training.
        packs: The packs to train, in order.
        early_stopper: Early stopping at rungs; None if no run is stopped early.
        sizing: Search for the fastest size of a pack; None if packs stay as they are.
    """

    def __init__(
        self,
        job: Job,
        packs: Sequence[Pack],
        early_stopper: EarlyStopper | None = None,
        sizing: Sizing | None = None,
    ) -> None:
        self.job, self.packs, self.early_stopper = job, list(packs), early_stopper
        self.sizing = sizing
        self.store = WorkerStore(job) if len(packs) > 1 else None
        self.worker: Worker | None = None
        self._began = self._pack_began = time.monotonic()
        self._write_s = 0.0  # for each pack of the last slice

    def keep(self, count: int) -> None:
        """Leave all packs but the first few to others."""
        self.packs = self.packs[:count]

    def step(self) -> dict[str, Any]:
        """Train for a slice; return its outcome.

        Returns:
            What `Worker.step` returns, and `took`: the seconds of each pack that ended, which are
            the first ones; and `kept`: the number of packs after them that this batch still trains.
            Where the fastest size was found, `measured`; and if it is smaller than the pack,
            `fits`: the number of runs that start over, without the others.
        """
        until = time.monotonic() + SLICE_S
        ended: list[Worker] = []
        took: list[float] = []
        result: dict[str, Any] = {}
        while len(ended) < len(self.packs):
            if ended and time.monotonic() + len(ended) * self._write_s >= until:
                break
            worker = self._worker(self.packs[len(ended)])
            result = worker.step(max(0.0, until - time.monotonic()))
            if not result["done"] or "failure" in result:
                break
            ended.append(worker)
            self.worker = None
            took.append(time.monotonic() - self._pack_began)
        return {**self._outcome(result, ended, took), **self._sized()}

    def _sized(self) -> dict[str, Any]:
        """Look for the fastest size of the pack in training, and divide it if that is smaller."""
        if self.sizing is None or self.worker is None or self.worker.loop is None:
            return {}
        pack = self.worker.pack
        if (looked := self.sizing.look(pack, self.worker.loop)) is None:
            return {}
        key, measured = looked
        told = {"measured": {"key": key, **dataclasses.asdict(measured)}}
        if measured.keep(len(pack.runs)) == len(pack.runs):
            return told
        self.worker.discard()
        self.worker = None
        self.packs[0] = pack.divided(measured.size)[0]
        return {**told, "fits": measured.size}

    def _outcome(
        self, result: dict[str, Any], ended: Sequence[Worker], took: Sequence[float]
    ) -> dict[str, Any]:
        """Write the rows of the packs that ended, and return the outcome of a slice."""
        began = time.monotonic()
        try:
            self._write(ended)
        except (DriverGone, StoreError) as error:
            failure = {"failure": kind_of(error), "error": line_of(error), "about": {}}
            return {"done": True, **failure, "took": [], "kept": len(self.packs)}
        if ended:
            self._write_s = (time.monotonic() - began) / len(ended)
        self.packs = self.packs[len(ended) :]
        if "failure" not in result and time.monotonic() - self._began >= LONGEST_S:
            self.keep(1 if self.worker is not None else 0)
        done = not self.packs or "failure" in result
        took = [seconds + self._write_s for seconds in took]
        return {**result, "done": done, "took": took, "kept": len(self.packs)}

    def stop(self) -> None:
        """Save the state of the pack in training, and release its memory."""
        if self.worker is not None:
            self.worker.stop()

    def _worker(self, pack: Pack) -> Worker:
        if self.worker is None:
            self._pack_began = time.monotonic()
            self.worker = Worker(self.job, pack, self.early_stopper, store=self.store)
        return self.worker

    def _write(self, ended: Sequence[Worker]) -> None:
        """Write the rows of packs that ended, unless their workers have.

        Raises:
            DriverGone: If the driver was replaced or has been silent for too long.
            StoreError: If the store cannot be written.
        """
        if ended and self.store is not None:
            outcomes = [worker.outcome for worker in ended if worker.outcome is not None]
            write_outcomes(self.store, rows_name_of(self.packs), outcomes)

"""Lease of a sweep: one driver at a time, and take-over from a dead one.

The lease is a small JSON file with the holder, an epoch that every take-over increases, and a
heartbeat that the driver renews. If the holder is a process of this machine and container, it is
known at once whether it is alive; otherwise the new driver watches the lease until it has not
changed for `silence_s` by the new driver's clock. A lease is lost only if it could be read and
names another holder, or is absent: reading and writing are retried until the lease expires.
"""

import json
import math
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raysweep.errors import LeaseHeld, LeaseLost, StoreError
from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing
from raysweep.store.process import Life, Process, own_process
from raysweep.store.retry import PassingError
from raysweep.text import one_line

NAME = sweep_paths.LEASE
LATE = 3  # intervals between renewals, after which a renewal is late


@dataclass(frozen=True)
class Holder:
    """Content of a lease.

    Args:
        token: Unique id of one hold on the sweep.
        process: Process of the driver.
        epoch: Number of take-overs plus 1.
        heartbeat: Time of the last renewal by the driver's clock.
    """

    token: str
    process: Process
    epoch: int
    heartbeat: float

    @property
    def name(self) -> str:
        """Name of the driver in messages."""
        return f"process {self.process.pid} on {self.process.host}"

    def to_json(self) -> dict[str, Any]:
        """Return the holder as plain data."""
        return {
            "token": self.token,
            **vars(self.process),
            "epoch": self.epoch,
            "heartbeat": self.heartbeat,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Holder":
        """Return the holder that `to_json` wrote; older versions wrote neither boot nor namespace.

        Raises:
            ValueError: If a value is missing or has another type.
        """
        texts = {"token": "", "host": "", "started": "", "boot": "", "namespace": ""}
        optional = {"boot": "", "namespace": ""}
        if not isinstance(data, dict):
            raise ValueError("expected an object")
        known = {**optional, **data}
        if not all(isinstance(known.get(name), str) for name in texts):
            raise ValueError(f"expected strings for {', '.join(texts)}")
        if not all(type(known.get(name)) is int for name in ("pid", "epoch")):
            raise ValueError("expected whole numbers for pid and epoch")
        beat = known.get("heartbeat")
        if not isinstance(beat, int | float) or not math.isfinite(beat):
            raise ValueError("expected a time for heartbeat")
        process = Process(
            known["host"], known["pid"], known["started"], known["boot"], known["namespace"]
        )
        return cls(known["token"], process, known["epoch"], float(beat))


class DamagedLease(PassingError):
    """Lease that could be read, but is not what raysweep wrote; a live driver soon renews it."""


def read(files: Files) -> Holder | None:
    """Return the present holder, or None if there is no lease.

    Raises:
        StoreError: If the lease cannot be read, or is not what raysweep wrote.
    """
    data = files.read(NAME)
    return None if data is None else parse(files, data)


def parse(files: Files, data: bytes) -> Holder:
    """Return the holder that a lease's bytes name.

    Raises:
        DamagedLease: If the bytes are not what raysweep wrote.
    """
    try:
        return Holder.from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise DamagedLease(
            f"cannot read {files.path(NAME)}: expected a lease as raysweep writes it; unless a "
            "driver is running, the next run replaces it"
        ) from error


def say(text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(f"raysweep: {one_line(text)}\n")
    sys.stderr.flush()


class Lease:
    """Hold of a driver on a sweep; a context manager that renews the lease from a thread.

    Args:
        files: The sweep's folder.
        timing: Times of the lease's protocol.
        say: Function that shows a line to the user.

    Raises:
        LeaseHeld: On entering, if another live driver holds the sweep.
        LeaseLost: On leaving with a `StoreError`, if the lease was lost, which explains it.
    """

    def __init__(
        self, files: Files, timing: Timing | None = None, say: Callable[[str], None] = say
    ) -> None:
        self.files = files.with_patience(None)
        self.timing = timing or Timing()
        self.lost = threading.Event()
        self.reason = ""
        self.holder: Holder | None = None
        self._say = say
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._renewed = 0.0
        self._lasts_from = 0.0  # time of the last renewal, or of the end of a suspension
        self._suspended_s = 0.0
        self._trouble: StoreError | None = None

    @property
    def token(self) -> str:
        """Unique id of this hold; empty before it is entered."""
        return self.holder.token if self.holder else ""

    def __enter__(self) -> "Lease":
        previous, present = self._await()
        began = self.timing.clock()
        self.holder = Holder(
            uuid.uuid4().hex, own_process(), (previous.epoch if previous else 0) + 1, time.time()
        )
        if present:
            self._write()
        elif not self.files.create(NAME, self._data()):
            raise LeaseHeld(self._taken_now())
        if present or not self.files.is_local:  # a bucket cannot create exclusively
            self._settle(self.timing.clock() - began)
        self._renewed = self._lasts_from = self.timing.clock()
        self._thread = threading.Thread(target=self._run, name="raysweep-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2 * self.timing.renew_s)
            if self._thread.is_alive():  # the store does not answer, and the thread may still write
                return
        if isinstance(error, StoreError) and not self.lost.is_set():
            self._try()  # where the store was deleted, a failed write may notice it first
        if self.lost.is_set():
            if isinstance(error, StoreError) and not isinstance(error, LeaseLost):
                raise self.error() from error
            return
        try:
            if self._is_mine():
                self.files.remove(NAME)
        except StoreError as trouble:
            if kind is None:
                self._say(
                    f"the lease could not be removed, so the next driver must wait: {trouble}"
                )

    def still_mine(self) -> bool:
        """Read the lease, and return whether this driver holds the sweep; wait for the store.

        After a suspension this renews the lease, unless another driver took it over.
        """
        while not self.lost.is_set():
            if self._try():
                return not self.lost.is_set()
            self.timing.sleep(self.timing.look_s)
        return False

    def check(self) -> None:
        """Check that this driver may write; an expired lease is read again.

        Raises:
            LeaseLost: If the driver may not write.
        """
        expired = self.timing.clock() - self._renewed > self.timing.silence_s
        if self.lost.is_set() or (expired and not self.still_mine()):
            raise self.error()

    def error(self) -> LeaseLost:
        """Return the error that says why the lease was lost and what to do."""
        return LeaseLost(f"stopped: {self.reason}")

    def _await(self) -> tuple[Holder | None, bool]:
        """Wait until the lease is free.

        Returns:
            The dead holder, if its lease can be read, and whether there is a lease to replace.

        Raises:
            LeaseHeld: If the holder is alive.
        """
        data = first = self.files.read(NAME)
        unchanged_s, read_at, waiting = 0.0, self.timing.clock(), False
        while data is not None:
            holder = self._holder(data)
            life: Life = holder.process.life() if holder else "unknown"
            if life == "alive" or data != first:
                raise LeaseHeld(self._held(holder))
            if life == "dead" or unchanged_s >= self.timing.silence_s:
                return holder, True
            if not waiting:
                waiting = True
                self._say(
                    f"waiting up to {self.timing.silence_s:.0f} s to see whether "
                    f"{holder.name if holder else 'a driver whose lease is damaged'} is still "
                    "running this sweep"
                )
            self.timing.sleep(self.timing.look_s)
            data, before, read_at = self.files.read(NAME), read_at, self.timing.clock()
            # A longer interval may be a suspension of both processes, so it counts only in part.
            unchanged_s += min(read_at - before, self.timing.renew_s)
        return None, False

    def _holder(self, data: bytes) -> Holder | None:
        try:
            return parse(self.files, data)
        except DamagedLease:
            return None

    def _held(self, holder: Holder | None) -> str:
        name = holder.name if holder else "another process"
        return f"sweep at {self.files.uri} is already being run by {name}; stop it or wait"

    def _taken_now(self) -> str:
        return f"sweep at {self.files.uri} was just started by another process; stop it or wait"

    def _settle(self, took_s: float) -> None:
        """Wait, then check that no other driver wrote the lease at the same time and later.

        Args:
            took_s: Duration of this driver's requests; another driver's may take as long.
        """
        self.timing.sleep(max(self.timing.settle_s, 3 * took_s))
        if not self._is_mine():
            raise LeaseHeld(self._taken_now())

    def _run(self) -> None:
        pause, failures = self.timing.renew_s, 0
        while True:
            before = self.timing.clock()
            if self._ended.wait(pause):
                return
            self._notice_suspension(self.timing.clock() - before - pause)
            failures = 0 if self._try() else failures + 1
            if self.lost.is_set():
                return
            pause = self.timing.renew_s
            if failures:
                pause = min(pause, self.timing.look_s * 2 ** (failures - 1))

    def _notice_suspension(self, late_s: float) -> None:
        """Record a suspension of this process, if this thread woke up too late."""
        if late_s > self.timing.renew_s:
            with self._lock:
                self._suspended_s = late_s
                self._lasts_from = self.timing.clock()

    def _try(self) -> bool:
        """Renew the lease or record its loss, and return whether the store answered."""
        with self._lock:
            if self.lost.is_set():
                return True
            try:
                self._renew()
            except StoreError as error:
                self._record_error(error)
                return False
            if not self.lost.is_set():
                if self._suspended_s > self.timing.silence_s:
                    self._say(
                        f"this process was suspended for {self._suspended_s:.0f} s; nobody took "
                        "the sweep over, so it resumes"
                    )
                self._renewed = self._lasts_from = self.timing.clock()
                self._trouble, self._suspended_s = None, 0.0
            return True

    @property
    def in_trouble(self) -> bool:
        """Whether the last renewal failed or is late: workers may not reach the store either."""
        late = self.timing.clock() - self._renewed > LATE * self.timing.renew_s
        return late or self._trouble is not None

    def _renew(self) -> None:
        try:
            holder = read(self.files)
            if holder is None:  # either invisible for a moment or removed
                self.timing.sleep(self.timing.settle_s)
                holder = read(self.files)
        except DamagedLease:
            self._write()
            return
        if holder is None:
            self._lose(
                "the sweep's lease is gone: the store was deleted, or the lease was removed; run "
                "the same command again to resume"
            )
        elif holder.token != self.token:
            self._lose(
                f"{holder.name} took the sweep over{self._silence()}; let it finish, or stop it "
                "and run the same command again"
            )
        else:
            self._write()

    def _record_error(self, error: StoreError) -> None:
        """Record an error of a renewal; the lease is lost if errors last too long."""
        if self._trouble is None:
            self._trouble = error
            self._say(
                f"the lease could not be renewed; trying again for up to "
                f"{self.timing.silence_s:.0f} s: {error}"
            )
        silent = self.timing.clock() - self._lasts_from
        if silent > self.timing.silence_s:
            self._lose(f"the lease could not be renewed for {silent:.0f} s: {self._trouble}")

    def _silence(self) -> str:
        """Return why another driver could take the sweep over, as far as it is known."""
        silent = self.timing.clock() - self._renewed
        if self._suspended_s:
            return f" after this process had been suspended for {self._suspended_s:.0f} s"
        if self._trouble is not None:
            return f" after the lease could not be renewed for {silent:.0f} s ({self._trouble})"
        if silent > self.timing.silence_s:
            return f" after this process had not renewed its lease for {silent:.0f} s"
        return ""

    def _lose(self, reason: str) -> None:
        self.reason = reason
        self.lost.set()

    def _write(self) -> None:
        self.files.write(NAME, self._data())

    def _is_mine(self) -> bool:
        holder = read(self.files)
        return holder is not None and holder.token == self.token

    def _data(self) -> bytes:
        if self.holder is None:
            raise StoreError("expected the lease to be entered before it is written")
        data = {**self.holder.to_json(), "heartbeat": time.time(), "beat": uuid.uuid4().hex}
        return json.dumps(data).encode()

"""The lease: one driver per sweep, and a dead driver's sweep is taken over.

The lease is a small JSON file: the holder, an epoch that every take-over raises, and a heartbeat
that the driver renews. Whether a holder lives is known at once where it is a process of this
machine and container; elsewhere its lease is watched, by one's own clock, until it has stood still
for `silence_s`. Only a lease that was read and names another holder, or is absent, is lost: errors
of reading and writing are tried again for as long as the lease lasts.
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
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing
from raysweep.store.process import Life, Process, own_process
from raysweep.store.retry import PassingError
from raysweep.text import one_line

NAME = "lease"
LATE = 3  # pauses between renewals without one


@dataclass(frozen=True)
class Holder:
    """The content of a lease.

    Args:
        token: Distinguishes this hold from every other.
        process: The driver.
        epoch: Number of take-overs, and 1.
        heartbeat: Time of the last renewal by the driver's own clock.
    """

    token: str
    process: Process
    epoch: int
    heartbeat: float

    @property
    def name(self) -> str:
        """The driver, as messages name it."""
        return f"process {self.process.pid} on {self.process.host}"

    def to_json(self) -> dict[str, Any]:
        """The holder as plain data."""
        return {
            "token": self.token,
            **vars(self.process),
            "epoch": self.epoch,
            "heartbeat": self.heartbeat,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Holder":
        """The holder that `to_json` wrote; an older version wrote neither boot nor namespace.

        Raises:
            ValueError: If a value is missing or of another kind.
        """
        texts = {"token": "", "host": "", "started": "", "boot": "", "namespace": ""}
        optional = {"boot": "", "namespace": ""}
        if not isinstance(data, dict):
            raise ValueError("expected an object")
        known = {**optional, **data}
        if not all(isinstance(known.get(name), str) for name in texts):
            raise ValueError(f"expected texts for {', '.join(texts)}")
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
    """The lease was read, but is not what raysweep wrote; a live driver soon renews it."""


def read(files: Files) -> Holder | None:
    """The present holder, or None if there is no lease.

    Raises:
        StoreError: If the lease cannot be read, or is not what raysweep wrote.
    """
    data = files.read(NAME)
    return None if data is None else parse(files, data)


def parse(files: Files, data: bytes) -> Holder:
    """The holder that a lease's bytes name.

    Raises:
        DamagedLease: If they are not what raysweep wrote.
    """
    try:
        return Holder.from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise DamagedLease(
            f"cannot read {files.path(NAME)}: expected a lease written by raysweep; where no "
            "driver runs, the next run takes it over"
        ) from error


def say(text: str) -> None:
    """Writes a line on stderr."""
    sys.stderr.write(f"raysweep: {one_line(text)}\n")
    sys.stderr.flush()


class Lease:
    """The driver's hold on a sweep; a context manager that renews it from a thread.

    Args:
        files: The sweep's folder.
        timing: Times of the protocol.
        say: Shows a line to the user.

    Raises:
        LeaseHeld: On entering, if another live driver holds the sweep.
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
        self._lasts_from = 0.0  # the last renewal, or the end of a suspension
        self._suspended_s = 0.0
        self._trouble: StoreError | None = None

    @property
    def token(self) -> str:
        """The token of this hold, which distinguishes it from every other."""
        return self.holder.token if self.holder else ""

    def __enter__(self) -> "Lease":
        found, present = self._await()
        began = self.timing.clock()
        self.holder = Holder(
            uuid.uuid4().hex, own_process(), (found.epoch if found else 0) + 1, time.time()
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
            if self._thread.is_alive():  # in a store that does not answer; it may yet write
                return
        if self.lost.is_set():
            return
        try:
            if self._is_mine():
                self.files.remove(NAME)
        except StoreError as trouble:
            if kind is None:
                self._say(f"the lease remains, and the next driver waits for it: {trouble}")

    def still_mine(self) -> bool:
        """Whether this driver holds the sweep, read now; waits where the store does not answer.

        After a suspension the lease is renewed by this if nobody took it over.
        """
        while not self.lost.is_set():
            if self._try():
                return not self.lost.is_set()
            self.timing.sleep(self.timing.look_s)
        return False

    def check(self) -> None:
        """Makes sure that this driver may write: asks the store where the lease has expired.

        Raises:
            LeaseLost: If it may not.
        """
        expired = self.timing.clock() - self._renewed > self.timing.silence_s
        if self.lost.is_set() or (expired and not self.still_mine()):
            raise self.error()

    def error(self) -> LeaseLost:
        """The loss of the lease, as an error that says why and what to do."""
        return LeaseLost(f"stopped: {self.reason}")

    def _await(self) -> tuple[Holder | None, bool]:
        """Waits until the lease is free.

        Returns:
            The dead holder, if any can be named, and whether there is a lease to replace.

        Raises:
            LeaseHeld: If the holder lives.
        """
        data = first = self.files.read(NAME)
        stood, looked, waiting = 0.0, self.timing.clock(), False
        while data is not None:
            found = self._holder(data)
            life: Life = found.process.life() if found else "unknown"
            if life == "alive" or data != first:
                raise LeaseHeld(self._held(found))
            if life == "dead" or stood >= self.timing.silence_s:
                return found, True
            if not waiting:
                waiting = True
                self._say(
                    f"waiting up to {self.timing.silence_s:.0f} s to see whether "
                    f"{found.name if found else 'a driver whose lease is damaged'} still runs "
                    "this sweep"
                )
            self.timing.sleep(self.timing.look_s)
            data, before, looked = self.files.read(NAME), looked, self.timing.clock()
            stood += min(looked - before, self.timing.renew_s)  # both may have been suspended
        return None, False

    def _holder(self, data: bytes) -> Holder | None:
        try:
            return parse(self.files, data)
        except DamagedLease:
            return None

    def _held(self, found: Holder | None) -> str:
        driver = f"driven by {found.name}" if found else "driven by another process"
        return f"sweep at {self.files.uri} is {driver}; stop it, or wait for it to end"

    def _taken_now(self) -> str:
        return (
            f"sweep at {self.files.uri} was taken by another driver this moment; stop it, or wait "
            "for it to end"
        )

    def _settle(self, took_s: float) -> None:
        """Of two drivers that wrote at the same time the later one won: both look who it is.

        Args:
            took_s: Duration of this driver's own requests; another's may take as long.
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
        """Takes in how late this thread woke up."""
        if late_s > self.timing.renew_s:
            with self._lock:
                self._suspended_s = late_s
                self._lasts_from = self.timing.clock()

    def _try(self) -> bool:
        """Renews the lease, or notes its loss; False if the store did not answer."""
        with self._lock:
            if self.lost.is_set():
                return True
            try:
                self._renew()
            except StoreError as error:
                self._note(error)
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
        """Whether the last renewal failed, or is late: the store may be away, for workers too."""
        late = self.timing.clock() - self._renewed > LATE * self.timing.renew_s
        return late or self._trouble is not None

    def _renew(self) -> None:
        try:
            found = read(self.files)
            if found is None:  # not to be seen for a moment, or gone
                self.timing.sleep(self.timing.settle_s)
                found = read(self.files)
        except DamagedLease:
            self._write()
            return
        if found is None:
            self._lose(
                "the sweep's lease is gone: the store was deleted, or the lease was removed; run "
                "the same command again to resume"
            )
        elif found.token != self.token:
            self._lose(
                f"{found.name} took the sweep over{self._silence()}; let it end, or stop it and "
                "run the same command again"
            )
        else:
            self._write()

    def _note(self, error: StoreError) -> None:
        """Takes in an error of renewing; the lease is lost once it has lasted too long."""
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
        """Why another driver could take the sweep over, as far as it is known."""
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
        found = read(self.files)
        return found is not None and found.token == self.token

    def _data(self) -> bytes:
        if self.holder is None:
            raise StoreError("expected a lease that was entered")
        data = {**self.holder.to_json(), "heartbeat": time.time(), "beat": uuid.uuid4().hex}
        return json.dumps(data).encode()

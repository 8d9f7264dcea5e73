"""Who drives a sweep now: one driver at a time, and a dead one is taken over.

The lease is a small JSON file: the holder, an epoch that every take-over raises, and a heartbeat
that the driver renews. Workers watch it too: one that sees another holder, or no new heartbeat for
`SILENCE_S`, stops without writing.
"""

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass

from raysweep.errors import LeaseHeld, StoreError
from raysweep.store.files import Files

RENEW_S = 5.0
SILENCE_S = 30.0
SETTLE_S = 0.3
NAME = "lease"


@dataclass(frozen=True)
class Holder:
    """A lease's content; `started` tells a process from a later one with the same number."""

    token: str
    host: str
    pid: int
    started: str
    epoch: int
    heartbeat: float

    def is_dead(self, now: float) -> bool:
        """Whether the holder has ended: known at once on its own host, by silence elsewhere."""
        if self.host == socket.gethostname() and self.started:
            return _started(self.pid) != self.started
        return now - self.heartbeat > SILENCE_S


def read(files: Files) -> Holder | None:
    """The present holder, or None."""
    try:
        data = files.read(NAME)
    except StoreError:
        return None
    try:
        told = json.loads(data) if data else None
        if told is None:
            return None
        kinds = {"token": str, "host": str, "pid": int, "started": str, "epoch": int}
        known = {name: kind(told[name]) for name, kind in kinds.items()}
        return Holder(**known, heartbeat=float(told["heartbeat"]))
    except (ValueError, TypeError, KeyError):
        return None


class Lease:
    """The driver's hold on a sweep; a context manager that renews it from a thread.

    Args:
        files: The sweep's folder.

    Raises:
        LeaseHeld: On entering, if another live driver holds the sweep.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.lost = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.holder: Holder | None = None

    @property
    def token(self) -> str:
        """What tells this hold from every other."""
        return self.holder.token if self.holder else ""

    def __enter__(self) -> "Lease":
        now = time.time()
        found = read(self.files)
        if found is not None and not found.is_dead(now):
            silent = now - found.heartbeat
            raise LeaseHeld(
                f"sweep at {self.files.uri} is driven by process {found.pid} on {found.host} "
                f"(heard {max(silent, 0):.0f} s ago); stop that one, or wait for it to end"
            )
        self.holder = Holder(
            uuid.uuid4().hex,
            socket.gethostname(),
            os.getpid(),
            _started(os.getpid()),
            (found.epoch if found else 0) + 1,
            now,
        )
        if found is None and not self.files.exists(NAME):
            if not self.files.create(NAME, self._data()):
                raise LeaseHeld(
                    f"sweep at {self.files.uri} was taken by another driver this "
                    "moment; stop that one, or wait for it to end"
                )
            if not self.files.is_local:
                self._settle()  # a bucket cannot create exclusively
        else:
            self.files.write(NAME, self._data())
            self._settle()
        self._thread = threading.Thread(target=self._renew, name="raysweep-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if not self.lost.is_set() and self._is_mine():
            self.files.remove(NAME)

    def _settle(self) -> None:
        """Of two drivers that wrote at the same time the later one won: both look who it is."""
        time.sleep(SETTLE_S)
        if not self._is_mine():
            raise LeaseHeld(
                f"sweep at {self.files.uri} was taken by another driver this moment; "
                "stop that one, or wait for it to end"
            )

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                if not self._is_mine():
                    self.lost.set()
                    return
                self.files.write(NAME, self._data())
            except StoreError:
                continue  # a full disk must not end the driver: the next renewal tries again

    def _is_mine(self) -> bool:
        found = read(self.files)
        return found is not None and self.holder is not None and found.token == self.holder.token

    def _data(self) -> bytes:
        if self.holder is None:
            raise StoreError("expected a lease that was entered")
        return json.dumps({**asdict(self.holder), "heartbeat": time.time()}).encode()


class DriverWatch:
    """A worker's view of the lease.

    Args:
        files: The sweep's folder.
        token: Of the driver that sent the work.
    """

    def __init__(self, files: Files, token: str) -> None:
        self.files = files
        self.token = token
        self._beat = 0.0
        self._heard = time.monotonic()
        self._read = 0.0

    def gone(self) -> bool:
        """Whether the driver was replaced, or has been silent for too long; read each second."""
        now = time.monotonic()
        if now - self._read < 1.0:
            return False
        return self.gone_now()

    def gone_now(self) -> bool:
        """The same, read from the store at once: asked before anything is written."""
        now = self._read = time.monotonic()
        found = read(self.files)
        if found is not None and found.token != self.token:
            return True
        if found is not None and found.heartbeat != self._beat:
            self._beat, self._heard = found.heartbeat, now
        return now - self._heard > SILENCE_S


def _started(pid: int) -> str:
    """When the process started, in the kernel's own count; empty if there is none or no way."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]

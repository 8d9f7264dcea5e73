"""The sweeps of a store in memory, read again as they change, so that pages are quick."""

import contextlib
import dataclasses
import os
import threading
import time
from collections import deque

from raysweep.errors import RaysweepError, SpecError, StoreError
from raysweep.results.status import driver_of, sweep_status
from raysweep.service.state import Entry
from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.store.listing import check_name, no_such_sweep
from raysweep.store.submission import read as read_submission
from raysweep.sweep.spec import NAME

ACTIVE_S = 1.0  # between readings of a sweep that runs
IDLE_S = 60.0  # between readings of one that does not, in a bucket
SHARE = 10  # of its duration, after which a reading is repeated at the earliest
LIST_S = {True: 1.0, False: 15.0}  # between listings of a local store, and of a bucket
RATE_S = 600.0  # over which the pace of a sweep is taken
WATCHED = (sweep_paths.SPEC, sweep_paths.SUBMISSION, sweep_paths.LEASE, "runs", "checkpoints")


class Catalogue:
    """The sweeps of a store.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.store = store
        self._entries: dict[str, Entry] = {}
        self._marks: dict[str, tuple[int, ...]] = {}  # of folders without a sweep, too
        self._paces: dict[str, deque[tuple[float, float]]] = {}
        self._listed_at = float("-inf")
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Return the sweeps by name, as they were when they were read last."""
        with self._lock:
            return [self._entries[name] for name in sorted(self._entries)]

    def entry(self, name: str) -> Entry:
        """Return a sweep; one that was not read yet is read now.

        Raises:
            SpecError: If the store has no such sweep.
            StoreError: If the store cannot be reached.
        """
        check_name(self.store, name)
        with self._lock:
            entry = self._entries.get(name)
        if entry is None or entry.refreshed_at == float("-inf"):
            entry = self.refresh(name)
        if entry is None:
            raise self.missing(name)
        return entry

    def missing(self, name: str) -> SpecError:
        """Return the error for the name of a sweep that the store lacks."""
        return no_such_sweep(self.store, name, [entry.name for entry in self.entries()])

    def refresh(self, name: str) -> Entry | None:
        """Read a sweep again; return it, or None if the store no longer has it.

        Raises:
            StoreError: If the store cannot be reached.
        """
        began = time.monotonic()
        mark = self._mark(name)
        entry = self._read(name)
        if entry is not None:
            entry = dataclasses.replace(
                entry, refreshed_at=time.monotonic(), cost_s=time.monotonic() - began
            )
            entry = dataclasses.replace(entry, rate=self._rate(entry))
        with self._lock:
            self._marks[name] = mark
            if entry is None:
                self._entries.pop(name, None)
            else:
                self._entries[name] = entry
        return entry

    def poll(self) -> None:
        """Read the sweeps again that have changed, or may have.

        Raises:
            StoreError: If the store cannot be reached.
        """
        now = time.monotonic()
        if now - self._listed_at >= LIST_S[self.store.is_local]:
            self._list()
            self._listed_at = now
        for entry in self.entries():
            if self._is_due(entry):
                self.refresh(entry.name)

    def _list(self) -> None:
        names = {name for name in self.store.folders() if NAME.fullmatch(name)}
        with self._lock:
            new = names - self._entries.keys()
            gone = self._entries.keys() - names
            for name in gone:
                del self._entries[name]
        fresh = [
            name
            for name in sorted(new)
            if not self.store.is_local or self._mark(name) != self._marks.get(name)
        ]
        for name in fresh:
            self._glance(name)
        for name in fresh:
            self.refresh(name)

    def _glance(self, name: str) -> None:
        """Add a sweep with what its submission says, until its files are read, which takes long."""
        with contextlib.suppress(StoreError):
            files = self.store.below(name)
            submission = read_submission(files)
            if submission is not None:
                entry = Entry(name, submission, driver=driver_of(files)[0])
                with self._lock:
                    self._entries.setdefault(name, entry)

    def _is_due(self, entry: Entry) -> bool:
        age_s = time.monotonic() - entry.refreshed_at
        if age_s < SHARE * entry.cost_s:
            return False
        if entry.state == "running":
            return age_s >= ACTIVE_S
        if self.store.is_local:
            return self._mark(entry.name) != self._marks.get(entry.name)
        return age_s >= IDLE_S

    def _mark(self, name: str) -> tuple[int, ...]:
        """Return the times of the last changes of a local sweep's files; nothing for a bucket."""
        if not self.store.is_local:
            return ()
        return tuple(_changed(f"{self.store.root}/{name}/{part}") for part in WATCHED)

    def _read(self, name: str) -> Entry | None:
        files = self.store.below(name)
        try:
            submission = read_submission(files)
            driver, _ = driver_of(files)
            stored = files.exists(sweep_paths.SPEC)
            if submission is None and not stored:
                return None
            status = sweep_status(self.store.uri, name) if stored else None
        except RaysweepError as error:
            with self._lock:
                before = self._entries.get(name, Entry(name))
            return dataclasses.replace(before, problem=_line(error))
        return Entry(name, submission, status, "", driver)

    def _rate(self, entry: Entry) -> float | None:
        """Return the runs per second of late of a sweep that runs."""
        if entry.state != "running":
            self._paces.pop(entry.name, None)
            return None
        pace = self._paces.setdefault(entry.name, deque())
        pace.append((entry.refreshed_at, entry.work))
        while pace[-1][0] - pace[0][0] > RATE_S:
            pace.popleft()
        (began, first), (now, last) = pace[0], pace[-1]
        return (last - first) / (now - began) if last > first else None


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _line(error: RaysweepError) -> str:
    lines = error.problems if isinstance(error, SpecError) else [str(error)]
    return "; ".join(lines)

"""The sweeps of a store in memory, read again as they change, so that pages are quick."""

import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from raysweep.errors import RaysweepError, SpecError
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
        self._renewal = threading.Lock()
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

    def refresh(self, name: str, *, runs: bool = True) -> Entry | None:
        """Read a sweep again; return it, or None if the store no longer has it.

        Args:
            name: Name of the sweep.
            runs: Whether its runs are read, too, which takes seconds for a large sweep; else they
                stay as they were read last.
        """
        began, mark = time.monotonic(), self._mark(name)
        changes = self._read_runs(name) if runs else {}
        with self._renewal:  # else an older submission might be kept after a newer one
            entry = self._renewed(name, changes)
            if entry is not None and runs:
                now = time.monotonic()
                entry = dataclasses.replace(entry, refreshed_at=now, cost_s=now - began)
                entry = dataclasses.replace(entry, rate=self._rate(entry))
            with self._lock:
                if runs:
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
        for name in fresh:  # a submission says a lot already, and runs take long
            if self.store.below(name).exists(sweep_paths.SUBMISSION):
                self.refresh(name, runs=False)
        for name in fresh:
            self.refresh(name)

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

    def _read_runs(self, name: str) -> dict[str, Any]:
        """Return the fields of an entry that say how far a sweep is."""
        try:
            stored = self.store.below(name).exists(sweep_paths.SPEC)
            return {"status": sweep_status(self.store.uri, name) if stored else None, "problem": ""}
        except RaysweepError as error:
            return {"problem": _line(error)}

    def _renewed(self, name: str, changes: Mapping[str, Any]) -> Entry | None:
        """Return a sweep's entry with changed fields, its present submission and driver."""
        files = self.store.below(name)
        with self._lock:
            entry = dataclasses.replace(self._entries.get(name, Entry(name)), **changes)
        try:
            submission = read_submission(files)
            if submission is None and not files.exists(sweep_paths.SPEC):
                return None
            return dataclasses.replace(entry, submission=submission, driver=driver_of(files)[0])
        except RaysweepError as error:
            return dataclasses.replace(entry, problem=_line(error))

    def _rate(self, entry: Entry) -> float | None:
        """Return the runs per second of late of a sweep that runs."""
        if entry.state != "running":
            self._paces.pop(entry.name, None)
            return None
        pace = self._paces.setdefault(entry.name, deque())
        pace.append((entry.refreshed_at, entry.work))
        while pace[-1][0] - pace[0][0] > RATE_S or (len(pace) > 1 and pace[1][1] == pace[0][1]):
            pace.popleft()  # also what was before anything trained
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

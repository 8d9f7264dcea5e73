"""Answers from results: few are computed at a time, each once until the store changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

from raysweep.api import Results
from raysweep.errors import SpecError, StoreError
from raysweep.service.sweeps import NoSuchSweep
from raysweep.store import sweep_paths
from raysweep.store.files import Files

AT_A_TIME = 2
PATIENCE_S = 60.0
MOST_BYTES = 64 * 2**20
T = TypeVar("T", str, bytes)


class Busy(StoreError):
    """Refusal of a request while too many others read results."""


class Readings:
    """Results of the sweeps of a store, and the latest answers computed from them.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.store = store
        self._free = threading.BoundedSemaphore(AT_A_TIME)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, str | bytes] = OrderedDict()
        self._bytes = 0

    def open(self, sweep: str) -> Results:
        """Return the results of a sweep.

        Raises:
            NoSuchSweep: If the store has no such sweep, or no session of it has started.
        """
        try:
            return Results(self.store.uri, sweep)
        except SpecError as error:
            raise NoSuchSweep(f"{sweep} has no results yet: {error}") from error

    def answer(self, sweep: str, key: Hashable, compute: Callable[[Results], T]) -> T:
        """Return an answer about a sweep, computed again only if the sweep has changed.

        Args:
            sweep: Name of the sweep.
            key: Identity of the answer among those about the sweep.
            compute: Function that computes it.

        Raises:
            Busy: If others keep the service busy for too long.
            NoSuchSweep: If the store has no results of such a sweep.
        """
        results = self.open(sweep)
        whole = (sweep, self.version(sweep), key)
        if (kept := self._get(whole)) is not None:
            return kept  # type: ignore[return-value]
        if not self._free.acquire(timeout=PATIENCE_S):
            raise Busy("the service is busy with other results; try again in a minute")
        try:
            if (kept := self._get(whole)) is not None:
                return kept  # type: ignore[return-value]
            value = compute(results)
        finally:
            self._free.release()
        self._keep(whole, value)
        return value

    def version(self, sweep: str) -> Hashable:
        """Return a value that differs after each change of a sweep's results or file."""
        files = self.store.below(sweep)
        wanted = (sweep_paths.SPEC, sweep_paths.AGAIN)
        return tuple(
            (info.name, info.size, info.changed)
            for folder in ("", "runs", "attempts")
            for info in files.infos(folder)
            if folder or info.name in wanted
        )

    def _get(self, key: Hashable) -> str | bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, value: str | bytes) -> None:
        with self._lock:
            if key in self._kept or len(value) > MOST_BYTES:
                return
            self._kept[key] = value
            self._bytes += len(value)
            while self._bytes > MOST_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)

"""Answers from results: few are computed at a time, each once until the store changes."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence, Sized
from typing import Any, TypeVar

from raysweep.api import Results
from raysweep.errors import SpecError, StoreError
from raysweep.service.sweeps import NoSuchSweep
from raysweep.store import submission, sweep_paths
from raysweep.store.files import Files
from raysweep.sweep.spec import NAME

AT_A_TIME = 2
PATIENCE_S = 60.0
MOST_BYTES = 64 * 2**20
T = TypeVar("T", bound=Sized)  # of text or bytes, its length


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
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0

    def open(self, sweep: str) -> Results:
        """Return the results of a sweep.

        Raises:
            NoSuchSweep: If the store has no such sweep, or no session of it has started.
        """
        try:
            return Results(self.store.uri, sweep)
        except SpecError as error:
            if NAME.fullmatch(sweep) and submission.read(self.store.below(sweep)) is not None:
                raise NoSuchSweep(
                    f"{sweep} has no results yet, as no session of it has started"
                ) from error
            raise NoSuchSweep(str(error)) from error

    def answer(
        self, sweep: str, key: Hashable, compute: Callable[[Results], T], *, live: bool = False
    ) -> T:
        """Return an answer about a sweep, computed again only if the sweep has changed.

        Args:
            sweep: Name of the sweep.
            key: Identity of the answer among those about the sweep.
            compute: Function that computes it.
            live: Whether it also depends on the curves of packs that train.

        Raises:
            Busy: If others keep the service busy for too long.
            NoSuchSweep: If the store has no results of such a sweep.
        """
        return self._answer((sweep,), key, lambda several: compute(several[0]), live)

    def together(
        self, sweeps: Sequence[str], key: Hashable, compute: Callable[[Sequence[Results]], T]
    ) -> T:
        """Return an answer about several sweeps; for the arguments and errors see `answer`."""
        return self._answer(sweeps, key, compute, live=False)

    def _answer(
        self,
        sweeps: Sequence[str],
        key: Hashable,
        compute: Callable[[Sequence[Results]], T],
        live: bool,
    ) -> T:
        results = [self.open(sweep) for sweep in sweeps]
        whole = (tuple((sweep, self.version(sweep, live=live)) for sweep in sweeps), key)
        if (kept := self._get(whole)) is not None:
            return kept
        with self.turn():
            if (kept := self._get(whole)) is not None:
                return kept
            value = compute(results)
        self._keep(whole, value)
        return value

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until few others compute, for an answer that is not kept.

        Raises:
            Busy: If others keep the service busy for too long.
        """
        if not self._free.acquire(timeout=PATIENCE_S):
            raise Busy("the service is busy with other results; try again in a minute")
        try:
            yield
        finally:
            self._free.release()

    def version(self, sweep: str, *, live: bool = False) -> Hashable:
        """Return a value that differs after each change of a sweep's results or file.

        Args:
            sweep: Name of the sweep.
            live: Whether it also differs after each change of the curves of packs that train.
        """
        files = self.store.below(sweep)
        wanted = (sweep_paths.SPEC, sweep_paths.AGAIN)
        return tuple(
            (info.name, info.size, info.changed)
            for folder in ("", "runs", "attempts", *(["curves"] if live else []))
            for info in files.infos(folder)
            if folder or info.name in wanted
        )

    def _get(self, key: Hashable) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, value: Sized) -> None:
        with self._lock:
            if key in self._kept or len(value) > MOST_BYTES:
                return
            self._kept[key] = value
            self._bytes += len(value)
            while self._bytes > MOST_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)

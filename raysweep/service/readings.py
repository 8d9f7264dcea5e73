"""Answers from results: few are computed at a time, each once until the store changes."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence, Sized
from typing import Any, TypeVar

from raysweep.api import Results
from raysweep.errors import SpecError, StoreError
from raysweep.results.sql_limits import Limits, limited_conditions
from raysweep.service.sweeps import NoSuchSweep
from raysweep.store import submission, sweep_paths
from raysweep.store.files import Files
from raysweep.sweep.spec import NAME

AT_A_TIME = 2
PATIENCE_S = 60.0
CONDITIONS = Limits()  # of `where`
MOST_BYTES = 64 * 2**20
SHARE = 4  # of its duration, for which an answer about a sweep that runs is good enough
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
        self._latest: dict[Hashable, tuple[float, Hashable]] = {}  # end of use, whole key

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
        return self._answer((sweep,), key, lambda several: compute(several[0]), live)[1]

    def together(
        self, sweeps: Sequence[str], key: Hashable, compute: Callable[[Sequence[Results]], T]
    ) -> T:
        """Return an answer about several sweeps; for the arguments and errors see `answer`."""
        return self._answer(sweeps, key, compute, live=False)[1]

    def recent(
        self, sweep: str, key: Hashable, compute: Callable[[Results], T], *, live: bool = False
    ) -> tuple[T, bool]:
        """Return an answer, and whether it is up to date, or only was so a short while ago.

        So a sweep that runs is not read all the time for those who watch it. For the arguments and
        errors see `answer`.
        """
        until, known = self._latest.get((sweep, key), (0.0, None))
        began = time.monotonic()
        if began < until and (kept := self._get(known)) is not None:
            return kept, known == self._whole((sweep,), key, live)
        known, value = self._answer((sweep,), key, lambda several: compute(several[0]), live)
        now = time.monotonic()
        self._latest[sweep, key] = (now + SHARE * (now - began), known)
        return value, True

    def _answer(
        self,
        sweeps: Sequence[str],
        key: Hashable,
        compute: Callable[[Sequence[Results]], T],
        live: bool,
    ) -> tuple[Hashable, T]:
        """Return an answer with its whole key."""
        results = [self.open(sweep) for sweep in sweeps]
        whole = self._whole(sweeps, key, live)
        if (kept := self._get(whole)) is not None:
            return whole, kept
        with self.turn():
            if (kept := self._get(whole)) is not None:
                return whole, kept
            value = compute(results)
        self._keep(whole, value)
        return whole, value

    def _whole(self, sweeps: Sequence[str], key: Hashable, live: bool) -> Hashable:
        """Return the identity of an answer about sweeps as they are now."""
        return tuple((sweep, self.version(sweep, live=live)) for sweep in sweeps), key

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until few others compute, for an answer that is not kept; conditions are limited.

        Raises:
            Busy: If others keep the service busy for too long.
        """
        if not self._free.acquire(timeout=PATIENCE_S):
            raise Busy("the service is busy with other results; try again in a minute")
        try:
            with limited_conditions(CONDITIONS):
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
            if key in self._kept or _size(key, value) > MOST_BYTES:
                return
            self._kept[key] = value
            self._bytes += _size(key, value)
            while self._bytes > MOST_BYTES:
                self._bytes -= _size(*self._kept.popitem(last=False))


def _size(key: Hashable, value: Sized) -> int:
    """Return the size of an answer and of its key, which holds what a user asked."""
    return len(value) + len(repr(key))

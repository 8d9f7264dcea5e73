"""Merging of the rows of ended packs while a session trains, so that reading stays fast."""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

from raysweep.errors import LeaseLost, StoreError
from raysweep.store import compaction, sweep_paths
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack

log = logging.getLogger("raysweep")


@dataclasses.dataclass(frozen=True)
class Pace:
    """Times and numbers of files that decide when rows are merged.

    Args:
        look_s: Seconds between two looks at the store.
        files: Number of small files from which they are merged while runs train.
        files_at_end: Number of small files from which they are merged at the end.
        settled_s: Seconds after which no worker of a killed driver writes a file again.
        grace_s: Seconds for which replaced files stay, for commands that are reading them.
    """

    look_s: float = 30.0
    files: int = 512
    files_at_end: int = 64
    settled_s: float = compaction.SETTLED_S
    grace_s: float = 60.0


class InFlight(Protocol):
    """A schedule: the part that merging needs."""

    @property
    def in_flight(self) -> Mapping[str, Pack]:
        """Packs that train, by id."""

    @property
    def files_to_come(self) -> Collection[str]:
        """Files of rows of several packs that workers write next, or have just written."""


class Merging:
    """Merging of one session, under its lease.

    Args:
        files: The sweep's folder.
        schedule: Schedule of the session, which another thread changes.
        check: Function that raises `LeaseLost` if this session may no longer write.
        pace: When files are merged.
    """

    def __init__(
        self, files: Files, schedule: InFlight, check: Callable[[], None], pace: Pace
    ) -> None:
        self.files, self.schedule, self.check, self.pace = files, schedule, check, pace
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._has_warned = False
        self._thread = threading.Thread(target=self._run, name="raysweep-merging", daemon=True)

    def start(self) -> None:
        """Begin to look at the store, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop before the next change of a file; a merge that is cut off is completed later."""
        self._ended.set()
        self._thread.join()

    def finish(self) -> None:
        """Merge what a session leaves that trained all its runs; after `stop`.

        Its own workers write nothing any more, but those of a killed driver might, at first.
        """
        self._ended.clear()
        is_settled = time.monotonic() - self._began > self.pace.settled_s
        with self._trouble_is_the_drivers():
            compaction.end(self.files)
            self._merge(self.pace.files_at_end, 0.0 if is_settled else self.pace.settled_s, 0.0)

    def _run(self) -> None:
        while not self._ended.wait(self.pace.look_s):
            with self._trouble_is_the_drivers():
                self._merge(self.pace.files, self.pace.settled_s, self.pace.grace_s)

    def _merge(self, least: int, settled_s: float, grace_s: float) -> None:
        """Merge small files if there are so many."""
        if len(compaction.small_files(self.files, settled_s)) < least:
            return
        in_flight = tuple(self.schedule.in_flight.values())
        spared = {sweep_paths.rows(pack.rows_name) for pack in in_flight}
        spared |= set(self.schedule.files_to_come)

        def grace() -> None:
            self._ended.wait(grace_s)
            self._check()

        for _ in compaction.merges(self.files, settled_s, spared, self._check, grace):
            self._check()

    @contextlib.contextmanager
    def _trouble_is_the_drivers(self) -> Iterator[None]:
        """End a merge where the session ends or its store has trouble: others handle that."""
        try:
            yield
        except (LeaseLost, _Stopped):
            self._ended.set()
        except (StoreError, OSError) as error:
            if not self._has_warned:
                self._has_warned = True
                log.warning("files of rows were not merged: %s; the sweep continues", error)

    def _check(self) -> None:
        """Check that the merge may continue.

        Raises:
            LeaseLost: If this session may no longer write.
            _Stopped: If the session ends.
        """
        if self._ended.is_set():
            raise _Stopped
        self.check()


class _Stopped(Exception):
    """End of the session in the middle of a merge."""


@contextlib.contextmanager
def merging(
    files: Files, schedule: InFlight, check: Callable[[], None], pace: Pace = Pace()
) -> Iterator[Merging]:
    """Merge files of rows in a thread until the block ends; see `Merging` for the arguments."""
    under_way = Merging(files, schedule, check, pace)
    under_way.start()
    try:
        yield under_way
    finally:
        under_way.stop()

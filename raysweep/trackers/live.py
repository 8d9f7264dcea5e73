"""Trackers of a session: they follow the curves and rows that its workers write to the store."""

import collections
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from raysweep.errors import StoreError
from raysweep.results.reader import with_labels
from raysweep.store import curve_files
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.files import Info
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec
from raysweep.text import recorded
from raysweep.trackers import runs
from raysweep.trackers.opening import LiveTracker
from raysweep.trackers.stored import write_ended
from raysweep.trackers.tracker import Tracker

LOCAL_S, REMOTE_S = 3.0, 20.0  # between two looks at the store
LONGEST_S = 300.0  # between two attempts at a tracker that fails
LAST_S, STOPPED_S = 60.0, 5.0  # to write what remains: at the end, and after a signal
log = logging.getLogger("raysweep")


class Follower:
    """Writer of what a sweep's workers store to one tracker, from the first run that it lacks.

    It only reads the store, so it changes neither runs nor what a later session resumes from.

    Args:
        store: The sweep's folder, which no other thread uses.
        spec: Spec of the session.
        open_tracker: Function that opens the tracker.
    """

    def __init__(self, store: SweepStore, spec: Spec, open_tracker: Callable[[], Tracker]) -> None:
        self.store, self.spec, self.open_tracker = store, spec, open_tracker
        self._tracker: Tracker | None = None
        self._written: set[Info] = set()  # files of which the tracker has everything
        self._ended: set[str] = set()  # runs with a row

    def follow(self) -> None:
        """Write what the store has and the tracker lacks.

        Raises:
            StoreError: If the store cannot be read, now.
            TrackerError: If the tracker does not take it.
        """
        if self._tracker is None:
            self._tracker = self.open_tracker()
        # Rows are listed first: the curves of a run are complete before it has a row.
        rows = self._new("runs", self.store.names_of_rows())
        for name in rows.values():
            self._ended.update(self.store.files.read_table(name)["run_id"].to_pylist())
        if self._tracker.takes_parts:
            self._write_parts(self._tracker)
        for info, name in rows.items():
            table = with_labels(self.store, self.spec, self.store.files.read_table(name))
            write_ended(self.store, table, self._tracker)
            self._written.add(info)

    def _new(self, folder: str, names: Iterable[str]) -> dict[Info, str]:
        """Return the names of files that are new or have changed, by what is known of each."""
        infos = {info.name: info for info in self.store.files.infos(folder, ".parquet")}
        known = {infos.get(name, Info(name, 0, 0)): name for name in names}
        return {info: name for info, name in known.items() if info not in self._written}

    def _write_parts(self, tracker: Tracker) -> None:
        """Write the new points of runs that train."""
        new = self._new("curves", self.store.files.names("curves", ".parquet"))
        packs = collections.defaultdict(list)
        for info, name in new.items():
            if (file := curve_files.parsed(name)) is not None:
                packs[file.pack_id].append(info)
        for pack_id, infos in packs.items():
            manifest = Checkpoints(self.store.files, pack_id).manifest()
            if manifest is None:
                continue  # its runs have rows, or will have them
            training = [run for run in runs.in_flight(manifest) if run.run_id not in self._ended]
            if training:
                tables = [self.store.files.read_table(info.name) for info in infos]
                points = runs.by_run(pa.concat_tables(tables))
                for run in training:
                    if run.run_id in points:
                        tracker.write(run, points[run.run_id])
            self._written.update(infos)


class _Session:
    """Thread that calls a follower until the session ends."""

    def __init__(self, kind: str, follower: Follower, pause_s: float) -> None:
        self.kind, self.follower, self.pause_s = kind, follower, pause_s
        self.ended = threading.Event()
        self._has_warned = False
        self._thread = threading.Thread(target=self._run, name=f"raysweep-{kind}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause_s = self.pause_s
        while not self.ended.wait(pause_s):
            pause_s = self.pause_s if self._follow() else min(2 * pause_s, LONGEST_S)
        self._follow()

    def _follow(self) -> bool:
        """Write what is new; return whether the tracker took it. An error is said once."""
        try:
            self.follower.follow()
        except (StoreError, FileNotFoundError):
            return True  # workers change files meanwhile, and the driver itself reports trouble
        except Exception as error:  # noqa: BLE001 - no tracker may end a session
            if not self._has_warned:
                self._has_warned = True
                log.warning(
                    "tracker %s does not take runs: %s; the sweep continues, and what is missing "
                    "is written as soon as it does",
                    self.kind,
                    recorded(str(error) or type(error).__name__, 300),
                )
            return False
        return True

    def end(self, timeout_s: float) -> None:
        """Wait until the last runs are written, at most this long."""
        self.ended.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning(
                "tracker %s has not taken the last runs after %.0f s; the next session of this "
                "sweep writes them",
                self.kind,
                timeout_s,
            )


@contextlib.contextmanager
def following(
    store: SweepStore,
    spec: Spec,
    trackers: Sequence[LiveTracker],
    stopping: Callable[[], bool],
) -> Iterator[None]:
    """Let trackers follow the sweep while the body trains, and write what remains at its end.

    Args:
        store: The sweep's folder.
        spec: Spec of the session.
        trackers: Trackers of the session.
        stopping: Function that returns whether a signal ends the session.
    """
    pause_s = LOCAL_S if store.files.is_local else REMOTE_S
    sessions = []
    for tracker in trackers:
        follower = Follower(SweepStore(store.store.uri, store.sweep), spec, tracker.open)
        sessions.append(_Session(tracker.kind, follower, pause_s))
    try:
        yield
    finally:
        for session in sessions:
            session.end(STOPPED_S if stopping() else LAST_S)

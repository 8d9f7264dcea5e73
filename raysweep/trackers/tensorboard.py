"""TensorBoard: an event file for each run, with its curves, settings and final metrics."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from raysweep.errors import SpecError
from raysweep.trackers import event_file
from raysweep.trackers.ledger import Entry, Ledger
from raysweep.trackers.runs import Names, Point, TrackedRun, metrics
from raysweep.trackers.tracker import writing_to

LEDGER = "raysweep.jsonl"
FINAL = "final/"
_RESULT = "_hparams_/experiment"  # tag of the first event of a result
_UNSAFE = re.compile(r"[^\w.=+ -]+")


@dataclasses.dataclass
class _Written:
    """Content of an event file: its size, and the last step of each scalar."""

    size: int = 0
    last: dict[str, int] = dataclasses.field(default_factory=dict)


class TensorBoard:
    """Folder of event files, `<estimator> - <task>/<settings> <configuration>/seed<seed>`.

    Args:
        folder: Path of the folder: a new or empty one, or one that has runs of the sweep.
        names: Names of the runs.

    Raises:
        SpecError: If the folder has other files, or cannot be written to.
    """

    takes_parts = True

    def __init__(self, folder: Path, names: Names) -> None:
        self.folder, self.names = folder, names
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.ledger = ledger_of(folder, names.spec.name)
        except OSError as error:
            raise SpecError(f"{folder}: {error.strerror or error}", field="folder") from error
        self._written: dict[str, _Written] = {}  # runs that train

    def has(self, run_id: str, stamp: str) -> bool:
        """Return whether the folder has all of a run that ended with this stamp."""
        return self.ledger.has(run_id, stamp)

    def write(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Add the points that the run's event file lacks and, at the end of the run, its result.

        Raises:
            TrackerError: If the folder cannot be written to.
        """
        name = self._name(run)
        known = self.ledger.entries.get(run.run_id)
        if known is not None and known != Entry(name):  # an earlier result, or other labels
            self._remove(run.run_id, known.name)
        self.ledger.note(run.run_id, Entry(name))
        with writing_to(self.folder):
            self._add(run, points, self._path(run.run_id, name))
        if run.stamp is not None:
            self.ledger.note(run.run_id, Entry(name, run.stamp))
            self._written.pop(run.run_id, None)

    def flush(self) -> None:
        """Return; every run is complete by itself."""

    def _add(self, run: TrackedRun, points: Sequence[Point], path: Path) -> None:
        written = self._written.pop(run.run_id, None) or _read(path)
        if _RESULT in written.last:  # a result that got no stamp: the run is written anew
            path.unlink()
            written = _Written()
        new = [*([] if written.size else [event_file.first(run.start)])]
        new += _scalars(run, points, written.last)
        if run.stamp is not None:
            new += self._result(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        written.size = event_file.append(path, new, written.size)
        self._written[run.run_id] = written  # unless an error left it unknown

    def _result(self, run: TrackedRun) -> Iterator[Event]:
        """Yield the settings for the HParams page, the final metrics as scalars, and the end."""
        final = {f"{FINAL}{name}": value for name, value in run.final.items()}
        time = run.ended_at.timestamp() if run.ended_at else run.start
        settings = {name: _plain(value) for name, value in self.names.config(run).items()}
        experiment, start, end = hparams(settings, final)
        yield Event(wall_time=time, summary=experiment)
        yield Event(wall_time=time, summary=start)
        for name, value in final.items():
            yield _scalar(name, value, run.steps, time)
        yield Event(wall_time=time, summary=end)

    def _name(self, run: TrackedRun) -> str:
        configuration = f"{self.names.settings(run)} {run.configuration_id[:8]}"
        parts = f"{run.estimator} - {run.task}", configuration, f"seed{run.seed}"
        return "/".join(_UNSAFE.sub("_", part).strip(". ") or "_" for part in parts)

    def _path(self, run_id: str, name: str) -> Path:
        return self.folder / name / f"events.out.tfevents.{run_id}"

    def _remove(self, run_id: str, name: str) -> None:
        """Remove a run's event file, and the folders that are then empty."""
        self._written.pop(run_id, None)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            return  # another program changed the ledger
        with writing_to(self.folder):
            self._path(run_id, name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a folder is not empty
            for parent in (path, *path.parents[:-1]):
                (self.folder / parent).rmdir()


def ledger_of(folder: Path, sweep: str) -> Ledger:
    """Return the ledger of a folder, after checking that only this sweep has runs in it.

    Args:
        folder: Path of the folder, which need not exist.
        sweep: Name of the sweep.

    Raises:
        SpecError: If the folder has other files.
        OSError: If it cannot be read.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / LEDGER).exists():
        raise SpecError(
            f"{folder} has files that raysweep did not write; name a new folder", field="folder"
        )
    return Ledger(folder / LEDGER, sweep)


def _read(path: Path) -> _Written:
    written = _Written()
    for event, end in event_file.events(path):
        written.size = end
        for value in event.summary.value:
            written.last[value.tag] = event.step
    return written


def _scalars(run: TrackedRun, points: Sequence[Point], last: dict[str, int]) -> Iterator[Event]:
    """Yield the metrics of points after the last step of each, and note these steps as the last."""
    for point in points:
        for name, value in metrics(point).items():
            if point["step"] > last.get(name, -1):
                last[name] = point["step"]
                yield _scalar(name, value, point["step"], run.time(point))


def _scalar(name: str, value: float, step: int, time: float) -> Event:
    summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
    return Event(wall_time=time, step=step, summary=summary)


def _plain(value: Any) -> Any:
    """Return a setting as HParams takes it: a number or text."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)

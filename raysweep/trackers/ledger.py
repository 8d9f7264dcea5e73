"""Ledger of a folder that a tracker reads: the runs it holds, and with which results."""

import dataclasses
import json
from pathlib import Path

from raysweep.errors import SpecError
from raysweep.trackers.tracker import writing_to


@dataclasses.dataclass(frozen=True)
class Entry:
    """Entry of a run.

    Args:
        name: Name of the run in the folder.
        stamp: Mark of the run's result, once all of it is there.
    """

    name: str
    stamp: str | None = None


class Ledger:
    """File of entries, of which the last one of a run counts; lines are only ever added.

    A run gets an entry before anything of it is written, and one with its stamp after all of it is.

    Args:
        path: Path of the file, which need not exist.
        sweep: Name of the sweep whose runs it lists.

    Raises:
        SpecError: If it lists the runs of another sweep, or is not a ledger.
    """

    def __init__(self, path: Path, sweep: str) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]  # a killed writer may leave a part of a line
        self._torn_at = len(whole) if len(whole) < len(data) else None
        try:
            records = [json.loads(line) for line in whole.splitlines()]
            owner = records[0]["sweep"] if records else None
            for record in records[1:]:
                self.entries[record["run"]] = Entry(record["name"], record["stamp"])
        except (ValueError, KeyError, TypeError) as error:
            raise SpecError(
                f"expected a list of runs in {path}, got other content; name a new folder",
                field="folder",
            ) from error
        if owner not in (None, sweep):
            raise SpecError(
                f"{path.parent} has the runs of the sweep {owner!r}; name another folder",
                field="folder",
            )
        self._sweep = None if owner else sweep

    def has(self, run_id: str, stamp: str) -> bool:
        """Return whether the folder has all of a run with this stamp."""
        entry = self.entries.get(run_id)
        return entry is not None and entry.stamp == stamp

    def note(self, run_id: str, entry: Entry) -> None:
        """Add an entry, unless it is there already.

        Raises:
            TrackerError: If the file cannot be written.
        """
        if self.entries.get(run_id) == entry:
            return
        lines = [] if self._sweep is None else [json.dumps({"sweep": self._sweep})]
        lines.append(json.dumps({"run": run_id, **dataclasses.asdict(entry)}))
        with writing_to(self.path.parent), self.path.open("ab") as file:
            if self._torn_at is not None:
                file.truncate(self._torn_at)
            file.write("".join(f"{line}\n" for line in lines).encode())
        self._sweep = self._torn_at = None
        self.entries[run_id] = entry

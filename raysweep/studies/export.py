"""A sweep's studies as an Optuna storage in one file: SQLite or a journal."""

import contextlib
import dataclasses
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from raysweep.errors import SpecError
from raysweep.results.sweep_results import SweepResults
from raysweep.studies.history import History, histories, quiet

JOURNALS = (".log", ".jsonl")


@dataclasses.dataclass(frozen=True)
class Export:
    """What was written.

    Args:
        path: The file.
        studies: One per arm.
        trials: Of all studies.
        searched: Whether any arm has a setting with more than one value.
    """

    path: Path
    studies: int
    trials: int
    searched: bool

    @property
    def storage(self) -> str:
        """How `optuna-dashboard` is told of the file."""
        journal = self.path.suffix.lower() in JOURNALS
        return str(self.path) if journal else f"sqlite:///{self.path}"

    @property
    def text(self) -> str:
        """The same in words, a line each."""
        lines = [
            f"{_count(self.studies, 'study', 'studies')}, "
            f"{_count(self.trials, 'trial', 'trials')}: {self.path}"
        ]
        if not self.searched:
            lines.append("nothing is searched in this sweep: its trials have no parameters")
        return "\n".join(lines)


def export(results: SweepResults, path: str | Path, metric: str | None = None) -> Export:
    """Writes the studies of a sweep into a new file.

    Args:
        results: Of the sweep.
        path: The file: a journal if it ends in `.log` or `.jsonl`, SQLite otherwise.
        metric: The objective; what the sweep selects by if None.

    Raises:
        SpecError: If the sweep has no such metric, or the file cannot be written or is there.
    """
    path = Path(path)
    selected = tuple(each.metric for each in results.spec.select.all)
    metrics = (metric,) if metric else selected
    for each in metrics:
        results.metric(each, "metric")
    _check(path)
    with quiet(), _aside(path) as aside:
        found = histories(results, metrics)
        write = _write_journal if path.suffix.lower() in JOURNALS else _write_sqlite
        write(found, aside)
    searched = any(history.arm.searched for history in found)
    return Export(path, len(found), sum(len(each.trials) for each in found), searched)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _check(path: Path) -> None:
    """Refuses a file that is there, or could not be, before anything is read."""
    if path.exists():
        raise SpecError(
            f"expected a new file, got {str(path)!r}, which exists; remove it, or name another",
            field="path",
        )
    if not path.parent.is_dir():
        raise SpecError(
            f"expected a file in a folder that exists, got {str(path)!r}; "
            f"make {str(path.parent)!r} first",
            field="path",
        )


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file beside it that takes its name when it is whole, and is gone otherwise."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.touch(exist_ok=False)
        yield aside
        aside.rename(path)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(
            f"expected a file that can be written, got {str(path)!r}: {reason}", field="path"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


class _Lines(BaseJournalBackend):
    """A journal in memory: writing it down line by line would wait for the disk each time."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


def _write_journal(found: Sequence[History], path: Path) -> None:
    lines = _Lines()
    storage = JournalStorage(lines)
    for history in found:
        history.study(storage).add_trials(history.trials)
    lock = JournalFileOpenLock(str(path))
    JournalFileBackend(str(path), lock_obj=lock).append_logs(lines.logs)


def _write_sqlite(found: Sequence[History], path: Path) -> None:
    """Builds the database in memory, then copies it down at once."""
    storage = RDBStorage("sqlite://")
    try:
        for history in found:
            history.study(storage).add_trials(history.trials)
        connection: Any = storage.engine.raw_connection()
        memory = connection.driver_connection
        with contextlib.closing(sqlite3.connect(path)) as file:
            memory.backup(file)
        connection.close()
    finally:
        storage.remove_session()
        storage.engine.dispose()

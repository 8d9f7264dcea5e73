"""Export of a sweep's studies to an Optuna storage in one file: SQLite or a journal."""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from raysweep.results.output_file import check_new, written_whole
from raysweep.results.sweep_results import SweepResults
from raysweep.studies.history import History, histories, quiet
from raysweep.text import counted

JOURNALS = (".log", ".jsonl")


@dataclasses.dataclass(frozen=True)
class Export:
    """Summary of an exported file.

    Args:
        path: Path of the file.
        studies: Number of studies, one per arm.
        trials: Number of trials of all studies.
        searched: Whether any arm searches a setting.
    """

    path: Path
    studies: int
    trials: int
    searched: bool

    @property
    def storage(self) -> str:
        """Storage argument of `optuna-dashboard` for this file."""
        journal = self.path.suffix.lower() in JOURNALS
        return str(self.path) if journal else f"sqlite:///{self.path}"

    @property
    def text(self) -> str:
        """The summary as text, one or two lines."""
        lines = [
            f"{counted(self.studies, 'study', 'studies')}, "
            f"{counted(self.trials, 'trial')}: {self.path}"
        ]
        if not self.searched:
            lines.append("nothing is searched in this sweep: its trials have no parameters")
        return "\n".join(lines)


def export(results: SweepResults, path: str | Path, metric: str | None = None) -> Export:
    """Write the studies of a sweep into a new file.

    Args:
        results: Results of the sweep.
        path: The file; a journal if it ends in `.log` or `.jsonl`, SQLite otherwise.
        metric: The objective; the metrics in the sweep's `select` if None.

    Raises:
        SpecError: If the sweep has no such metric, or the file exists or cannot be written.
    """
    path = Path(path)
    selected = tuple(select.metric for select in results.spec.select.all)
    metrics = (metric,) if metric else selected
    for name in metrics:
        results.metric(name, "metric")
    check_new(path)
    with quiet(), written_whole(path, sqlite3.Error) as aside:
        exported = histories(results, metrics)
        write = _write_journal if path.suffix.lower() in JOURNALS else _write_sqlite
        write(exported, aside)
    searched = any(history.arm.searched for history in exported)
    trials = sum(len(history.trials) for history in exported)
    return Export(path, len(exported), trials, searched)


class _MemoryJournal(BaseJournalBackend):
    """A journal in memory; on disk, every line would wait for the disk."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


def _write_journal(exported: Sequence[History], path: Path) -> None:
    journal = _MemoryJournal()
    storage = JournalStorage(journal)
    for history in exported:
        history.study(storage).add_trials(history.trials)
    lock = JournalFileOpenLock(str(path))
    JournalFileBackend(str(path), lock_obj=lock).append_logs(journal.logs)


def _write_sqlite(exported: Sequence[History], path: Path) -> None:
    """Build the database in memory, then copy it to the file at once."""
    storage = RDBStorage("sqlite://")
    try:
        for history in exported:
            history.study(storage).add_trials(history.trials)
        connection: Any = storage.engine.raw_connection()
        memory = connection.driver_connection
        with contextlib.closing(sqlite3.connect(path)) as file:
            memory.backup(file)
        connection.close()
    finally:
        storage.remove_session()
        storage.engine.dispose()

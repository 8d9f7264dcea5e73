"""Section of failed and diverged runs, with their messages."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.formats.grid import Grid, row
from raysweep.results.membership import KEYS, LABELS
from raysweep.results.reader import with_labels
from raysweep.results.snapshot import Snapshot
from raysweep.store import schema
from raysweep.text import some

MAX_MESSAGES = 50
MAX_LENGTH = 1500  # characters of a message, whose end says most
LOST = ("diverged", "failed")


def failures_section(results: Snapshot) -> list[Grid]:
    """Return tables of diverged and failed runs and of failed attempts, grouped by message.

    Returns:
        At most two tables; a table without rows is left out.
    """
    store = results.store
    runs = store.read(
        store.dataset("runs"),
        [*KEYS, *LABELS, "status", "error"],
        pads.field("status").isin(list(LOST)),
    )
    runs = with_labels(store, results.spec, runs)
    attempts = store.read(store.dataset("attempts", schema.ATTEMPTS), ["run_id", "error", "time"])
    return [
        *_lost(runs),
        *_table(
            f"Failed attempts of runs: {attempts.num_rows:,}; each was retried or given up",
            ("attempts", "last", "one run", "error"),
            _grouped(attempts, ["error"], [("time", "max"), ("run_id", "min")]),
        ),
    ]


def _lost(runs: pa.Table) -> list[Grid]:
    aggregates = [("estimator", "distinct"), ("task", "distinct"), ("run_id", "min")]
    groups = _grouped(runs, ["status", "error"], aggregates)
    counts = {
        status: sum(group["count_all"] for group in groups if group["status"] == status)
        for status in LOST
    }
    numbers = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    return _table(
        f"Diverged and failed runs: {numbers}",
        ("runs", "status", "where", "one run", "error"),
        groups,
    )


def _grouped(table: pa.Table, keys: list[str], more: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return groups of rows with equal keys, the largest first."""
    groups = table.group_by(keys).aggregate([([], "count_all"), *more]).to_pylist()
    return sorted(groups, key=lambda row: (-row["count_all"], *(str(row[key]) for key in keys)))


def _table(caption: str, head: tuple[str, ...], groups: list[dict[str, Any]]) -> list[Grid]:
    if not groups:
        return []
    rows = []
    for group in groups[:MAX_MESSAGES]:
        if "time_max" in group:
            middle = [group["time_max"].strftime("%Y-%m-%d %H:%M:%S UTC")]
        else:
            estimators, tasks = group["estimator_distinct"], group["task_distinct"]
            middle = [group["status"], f"{some(sorted(estimators))} on {some(sorted(tasks))}"]
        texts = [*middle, group["run_id_min"], _message(group["error"])]
        rows.append(row([f"{group['count_all']:,}", *texts]))
    notes = []
    if len(groups) > MAX_MESSAGES:
        left = sum(group["count_all"] for group in groups[MAX_MESSAGES:])
        notes.append(f"and {left:,} with {len(groups) - MAX_MESSAGES:,} other messages")
    return [Grid(caption, head, tuple(rows), tuple(notes), long=frozenset({len(head) - 1}))]


def _message(error: str | None) -> str:
    text = (error or "no message").strip()
    return text if len(text) <= MAX_LENGTH else f"… {text[-MAX_LENGTH:]}"

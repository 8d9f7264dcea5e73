"""The report's failures and divergences: how many, and what they said."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.report.parts import Table, row
from raysweep.results.snapshot import Snapshot
from raysweep.store import schema

MOST = 50  # messages that are shown
LONGEST = 1500  # characters of one, of which the last tell most
LOST = ("diverged", "failed")
SOME = 3  # labels that are named


def failures_section(results: Snapshot) -> list[Table]:
    """Runs that diverged or failed, and failed attempts, grouped by equal message.

    Returns:
        No table for what did not happen.
    """
    store = results.store
    runs = store.read(
        store.dataset("runs"),
        ["run_id", "task", "estimator", "status", "error"],
        pads.field("status").isin(list(LOST)),
    )
    attempts = store.read(store.dataset("attempts", schema.ATTEMPTS), ["run_id", "error", "time"])
    return [
        *_lost(runs),
        *_table(
            f"Failed attempts: {attempts.num_rows:,}, of runs that were tried again or given up",
            ("attempts", "last", "one run", "error"),
            _grouped(attempts, ["error"], [("time", "max"), ("run_id", "min")]),
        ),
    ]


def _lost(runs: pa.Table) -> list[Table]:
    about = [("estimator", "distinct"), ("task", "distinct"), ("run_id", "min")]
    groups = _grouped(runs, ["status", "error"], about)
    counts = {
        status: sum(each["count_all"] for each in groups if each["status"] == status)
        for status in LOST
    }
    told = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    return _table(
        f"Runs that did not end well: {told}",
        ("runs", "status", "where", "one run", "error"),
        groups,
    )


def _grouped(table: pa.Table, keys: list[str], more: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Rows with equal keys, the most frequent first."""
    found = table.group_by(keys).aggregate([([], "count_all"), *more]).to_pylist()
    return sorted(found, key=lambda each: (-each["count_all"], *(str(each[key]) for key in keys)))


def _table(caption: str, head: tuple[str, ...], groups: list[dict[str, Any]]) -> list[Table]:
    if not groups:
        return []
    rows = []
    for each in groups[:MOST]:
        if "time_max" in each:
            middle = [each["time_max"].strftime("%Y-%m-%d %H:%M:%S UTC")]
        else:
            where = f"{_some(each['estimator_distinct'])} on {_some(each['task_distinct'])}"
            middle = [each["status"], where]
        texts = [*middle, each["run_id_min"], _message(each["error"])]
        rows.append(row([f"{each['count_all']:,}", *texts]))
    notes = []
    if len(groups) > MOST:
        left = sum(each["count_all"] for each in groups[MOST:])
        notes.append(f"and {left:,} with {len(groups) - MOST:,} other messages")
    return [Table(caption, head, tuple(rows), tuple(notes), long=frozenset({len(head) - 1}))]


def _some(labels: list[str]) -> str:
    """The first labels, and how many others there are."""
    known = sorted(labels)
    more = f" and {len(known) - SOME} more" if len(known) > SOME else ""
    return ", ".join(known[:SOME]) + more


def _message(error: str | None) -> str:
    text = (error or "no message").strip()
    return text if len(text) <= LONGEST else f"… {text[-LONGEST:]}"

"""Failed runs of a sweep with all their attempts, as `raysweep status --failed` prints them."""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from raysweep.results.membership import KEYS, LABELS
from raysweep.results.reader import with_labels
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import grouped_by_error
from raysweep.sweep.spec import Spec
from raysweep.text import counted, one_line, shown_error

MAX_ERRORS = 20
_COLUMNS = [*KEYS, *LABELS, "attempts", "error"]


def failed_text(store: str, sweep: str) -> str:
    """Return a text of the failed runs, with their attempts and errors.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.

    Raises:
        SpecError: If the store has no such sweep.
    """
    sweep_store = SweepStore(store, sweep)
    spec = sweep_store.spec()
    runs = sweep_store.dataset("runs")
    failed = sweep_store.read(runs, _COLUMNS, pc.field("status") == "failed")
    failed = with_labels(sweep_store, spec, failed)
    rows = sorted(failed.to_pylist(), key=lambda row: (row["estimator"], row["task"], row["seed"]))
    if not rows:
        return f"{sweep} has no failed run\n"
    attempts: dict[str, list[str]] = {}
    order = [("run_id", "ascending"), ("time", "ascending")]
    for attempt in sweep_store.attempts().sort_by(order).to_pylist():
        attempts.setdefault(attempt["run_id"], []).append(f"  {attempt_line(attempt)}")
    text = ""
    for row in rows:
        arm = one_line(f"{row['estimator']} · {row['task']}")
        text += (
            f"failed {row['run_id']} ({arm}, seed {row['seed']}), "
            f"{next_attempt(spec, row['attempts'])}\n"
        )
        text += "".join(attempts.get(row["run_id"], [f"  {shown_error(row['error'])}\n"]))
    return text + _summary(spec, [row["attempts"] for row in rows])


def attempt_line(attempt: Mapping[str, Any]) -> str:
    """Return the line of a failed attempt: its number, its time and its error."""
    time = f"{attempt['time']:%Y-%m-%d %H:%M:%S} UTC"
    return f"attempt {attempt['attempt']}, {time}: {shown_error(attempt['error'])}\n"


def next_attempt(spec: Spec, attempts: int) -> str:
    """Say whether the next session will retry a run with this number of failed attempts."""
    limit = spec.resources.max_failures
    if attempts < limit:
        return f"{attempts} of {counted(limit, 'attempt')}, tried again by the next run"
    return f"{attempts} of {counted(limit, 'attempt')}, quarantined"


def _summary(spec: Spec, attempts: list[int]) -> str:
    quarantined = sum(count >= spec.resources.max_failures for count in attempts)
    text = f"{counted(len(attempts), 'failed run')}, {quarantined} of them quarantined"
    if quarantined:
        text += "; 'raysweep run FILE --retry-failed' tries these again, too"
    return text + "\n"


def error_lines(failed: Mapping[str, str]) -> list[str]:
    """Return a line for each of the most frequent errors, with the number of runs that have it.

    Args:
        failed: Errors of runs that failed, by run id.
    """
    rows = [{"run_id": run_id, "error": error} for run_id, error in failed.items()]
    lines = []
    for group in grouped_by_error(rows)[:MAX_ERRORS]:
        run = group[0]["run_id"]
        runs = f"run {run}" if len(group) == 1 else f"{len(group)} runs, such as {run},"
        lines.append(f"{runs} failed: {shown_error(group[0]['error'])}")
    return lines

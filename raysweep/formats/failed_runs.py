"""Failed runs of a sweep with all their attempts, as `raysweep status --failed` prints them."""

from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.results.reader import read_labels
from raysweep.results.status import failed_runs
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import grouped_by_error
from raysweep.sweep.spec import Spec
from raysweep.text import counted, one_line, shown_error

MAX_ERRORS = 20


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
    labels = read_labels(sweep_store, spec, selected=bool(spec.report_seeds))
    failed = failed_runs(sweep_store, labels, "attempts", "error").to_pylist()
    rows = sorted(failed, key=lambda row: (row["estimator"], row["task"], row["seed"]))
    if not rows:
        return f"{sweep} has no failed run\n"
    attempts: dict[str, list[str]] = {}
    order = [("run_id", "ascending"), ("time", "ascending")]
    for attempt in sweep_store.attempts().sort_by(order).to_pylist():
        attempts.setdefault(attempt["run_id"], []).append(f"  {attempt_line(attempt)}")
    text = ""
    for row in rows:
        arm = one_line(f"{row['estimator']} · {row['task']}")
        text += f"failed {row['run_id']} ({arm}, seed {row['seed']}), {next_attempt(spec, row)}\n"
        text += "".join(attempts.get(row["run_id"], [f"  {shown_error(row['error'])}\n"]))
    return text + _summary(spec, rows)


def attempt_line(attempt: Mapping[str, Any]) -> str:
    """Return the line of a failed attempt: its number, its time and its error."""
    time = f"{attempt['time']:%Y-%m-%d %H:%M:%S} UTC"
    return f"attempt {attempt['attempt']}, {time}: {shown_error(attempt['error'])}\n"


def next_attempt(spec: Spec, row: Mapping[str, Any]) -> str:
    """Say whether the next session will retry a failed run.

    Args:
        spec: The sweep file as it is now.
        row: The run's `attempts`, and `in_plan`, whether the file plans it.
    """
    limit = spec.resources.max_failures
    end = "tried again by the next run" if row["attempts"] < limit else "quarantined"
    if not row["in_plan"]:
        end = "no longer planned by the file"
    return f"{row['attempts']} of {counted(limit, 'attempt')}, {end}"


def _summary(spec: Spec, rows: Sequence[Mapping[str, Any]]) -> str:
    limit = spec.resources.max_failures
    quarantined = sum(row["attempts"] >= limit and row["in_plan"] for row in rows)
    text = f"{counted(len(rows), 'failed run')}, {quarantined} of them quarantined"
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

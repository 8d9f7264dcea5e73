"""The failed runs of a sweep, with every attempt: what `raysweep status --failed` prints."""

import pyarrow.compute as pc

from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec
from raysweep.text import counted, one_line, shown_error

_COLUMNS = ["run_id", "task", "estimator", "seed", "attempts", "error"]


def failed_text(store: str, sweep: str) -> str:
    """Each failed run with its attempts and their errors.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.

    Raises:
        SpecError: If the store has no such sweep.
    """
    own = SweepStore(store, sweep)
    spec = own.spec()
    failed = own.read(own.dataset("runs"), _COLUMNS, pc.field("status") == "failed")
    rows = sorted(failed.to_pylist(), key=lambda row: (row["estimator"], row["task"], row["seed"]))
    if not rows:
        return f"{sweep} has no failed run\n"
    attempts: dict[str, list[str]] = {}
    for each in (
        own.attempts().sort_by([("run_id", "ascending"), ("time", "ascending")]).to_pylist()
    ):
        moment = f"{each['time']:%Y-%m-%d %H:%M:%S} UTC"
        line = f"  attempt {each['attempt']}, {moment}: {shown_error(each['error'])}\n"
        attempts.setdefault(each["run_id"], []).append(line)
    text = ""
    for row in rows:
        arm = one_line(f"{row['estimator']} · {row['task']}")
        text += (
            f"failed {row['run_id']} ({arm}, seed {row['seed']}), "
            f"{next_attempt(spec, row['attempts'])}\n"
        )
        text += "".join(attempts.get(row["run_id"], [f"  {shown_error(row['error'])}\n"]))
    return text + _summary(spec, [row["attempts"] for row in rows])


def next_attempt(spec: Spec, attempts: int) -> str:
    """Whether the next session tries a run again that failed so often."""
    most = spec.resources.max_failures
    if attempts < most:
        return f"{attempts} of {most} attempts, tried again by the next run"
    return f"{attempts} of {most} attempts, quarantined"


def _summary(spec: Spec, attempts: list[int]) -> str:
    quarantined = sum(each >= spec.resources.max_failures for each in attempts)
    text = f"{counted(len(attempts), 'failed run')}, {quarantined} of them quarantined"
    if quarantined:
        text += "; 'raysweep run FILE --retry-failed' tries those again, too"
    return text + "\n"

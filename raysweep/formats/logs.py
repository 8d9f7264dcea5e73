"""Tracebacks of failed runs and output of packs, as `raysweep logs` prints them."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow.compute as pc

from raysweep.errors import SpecError, closest
from raysweep.formats.failed_runs import attempt_line
from raysweep.results.membership import KEYS, LABELS
from raysweep.results.reader import with_labels
from raysweep.results.unfinished import unfinished
from raysweep.store import pack_log
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import grouped_by_error
from raysweep.sweep.spec import Spec
from raysweep.text import counted, one_line, printable, shown_error

NO_TRACEBACK = "no traceback: the process ended, or an earlier version trained the run"
MAX_ERRORS = 20


@dataclasses.dataclass(frozen=True)
class FailedRuns:
    """Runs that failed with one error, and have not ended since.

    Args:
        runs: Number of runs.
        run_id: Id of one of them.
        error: Error in one line.
        traceback: Traceback of the last attempt of these runs.
    """

    runs: int
    run_id: str
    error: str
    traceback: str


def failed_by_error(store: SweepStore) -> list[FailedRuns]:
    """Return the failed runs of a sweep by their errors, the most frequent error first.

    Raises:
        StoreError: If the store cannot be read.
    """
    rows = store.read(store.dataset("runs"), ["run_id"], pc.field("status") == "failed")
    return _failed_by_error(set(rows["run_id"].to_pylist()), store.attempts().to_pylist())


def _failed_by_error(
    failed: Collection[str], attempts: Iterable[Mapping[str, Any]]
) -> list[FailedRuns]:
    every = []
    for group in grouped_by_error(row for row in attempts if row["run_id"] in failed):
        runs = {attempt["run_id"] for attempt in group}
        last = max(group, key=lambda attempt: attempt["time"])
        error = shown_error(last["error"])
        every.append(FailedRuns(len(runs), last["run_id"], error, _traceback(last)))
    return every


def logs_text(store: str, sweep: str, wanted: str | None = None) -> str:
    """Return the tracebacks and output of one run or pack; of a sweep, one traceback an error.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.
        wanted: Id of a run or a pack, or its beginning; None for the whole sweep.

    Raises:
        SpecError: If the store has no such sweep, or the sweep no such run or pack.
    """
    sweep_store = SweepStore(store, sweep)
    spec = sweep_store.spec()
    return _sweep(sweep_store) if wanted is None else _one(sweep_store, spec, wanted)


def _sweep(store: SweepStore) -> str:
    rows = store.read(store.dataset("runs"), ["run_id", "status"])
    is_failed = pc.equal(rows["status"], "failed")
    open_runs = set(rows.filter(is_failed)["run_id"].to_pylist())
    ended = set(rows.filter(pc.invert(is_failed))["run_id"].to_pylist())
    attempts = store.attempts().to_pylist()
    groups = _failed_by_error(open_runs, attempts)
    earlier = {row["run_id"] for row in attempts} - open_runs
    text = ""
    for group in groups[:MAX_ERRORS]:
        text += f"{counted(group.runs)}, such as {group.run_id}: {group.error}\n"
        text += _indented(group.traceback) + "\n"
    if (more := len(groups) - MAX_ERRORS) > 0:
        text += f"and {counted(more, 'other error')}\n"
    if not attempts:
        text += f"no run of {store.sweep} has failed\n"
    for runs, since in (
        (earlier & ended, "ended since"),
        (earlier - ended, "not ended since"),
    ):
        if runs:
            text += (
                f"{counted(len(runs))} had attempts that failed, and {since}: "
                f"'raysweep logs {store.sweep} {min(runs)}'\n"
            )
    packs = pack_log.packs(store.files)
    if not packs:
        return text + "no output was kept: no run printed or logged anything\n"
    return text + (
        f"{counted(len(packs), 'pack')} with output; show that of a run or pack by 'raysweep logs "
        f"{store.sweep} {packs[0]}'\n"
    )


def _one(store: SweepStore, spec: Spec, wanted: str) -> str:
    attempts = store.attempts().to_pylist()
    rows = store.read(store.dataset("runs"), [*KEYS, *LABELS, "pack_id"])
    runs = {row["run_id"]: row for row in with_labels(store, spec, rows).to_pylist()}
    packs = pack_log.packs(store.files)
    known = {*runs, *packs, *(row["pack_id"] for row in runs.values() if row["pack_id"])}
    known |= {attempt["run_id"] for attempt in attempts}
    if not any(key.startswith(wanted) for key in known):
        begun = unfinished(spec, store)
        training = begun.labels.labelled(begun.rows).select(rows.column_names)
        runs |= {row["run_id"]: row for row in training.to_pylist()}
    key = _found(wanted, known | runs.keys(), store.sweep)
    failed = [attempt for attempt in attempts if attempt["run_id"] == key]
    text = ""
    if run := runs.get(key):
        arm = one_line(f"{run['estimator']} · {run['task']}")
        text += f"run {key} ({arm}, seed {run['seed']}), in pack {run['pack_id']}\n"
    for attempt in sorted(failed, key=lambda attempt: attempt["time"]):
        text += attempt_line(attempt) + _indented(_traceback(attempt))
    holders = [attempt["pack_id"] for attempt in failed] + [run["pack_id"] if run else key]
    for pack_id in dict.fromkeys(filter(None, holders)):
        if output := pack_log.read(store.files, pack_id):
            text += f"output of pack {pack_id}:\n{printable(output.rstrip())}\n"
    return text if "output of" in text else f"{text}no output was kept\n"


def _found(wanted: str, ids: Iterable[str], sweep: str) -> str:
    """Return the one id that begins with a text.

    Raises:
        SpecError: If none does, or several do.
    """
    known = sorted(ids)
    fitting = [key for key in known if key.startswith(wanted)]
    if wanted in fitting or len(fitting) == 1:
        return wanted if wanted in fitting else fitting[0]
    if fitting:
        raise SpecError(f"expected one run or pack of {sweep}, got {wanted}, which begins several")
    meant = closest(wanted, known)
    hint = "" if meant is None else f"; did you mean {meant}?"
    lists = f"'raysweep sql {sweep} \"select run_id, pack_id from runs\"' lists them"
    raise SpecError(
        f"expected the id of a run or pack of {sweep}, got {wanted!r}{hint}; "
        f"{lists if known else 'none has ended yet'}"
    )


def _traceback(attempt: Mapping[str, Any]) -> str:
    return printable(attempt["traceback"] or NO_TRACEBACK).rstrip()


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())

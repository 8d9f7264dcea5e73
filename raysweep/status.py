"""What `plan`, `status`, `ls` and `sql` print."""

import collections
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raysweep.errors import StoreError
from raysweep.results.forms.text import front_text
from raysweep.results.results import Results
from raysweep.store import checkpoints, lease
from raysweep.store.files import Files
from raysweep.store.store import SweepStore, list_sweeps

MAX_PACKS = 30
MAX_ERRORS = 20
STANDINGS = ("done", "diverged", "stopped", "failed", "missing")


def plan_text(schedule: Any) -> str:
    """Arms, configurations, runs done, missing and failed, and the packs they form.

    Args:
        schedule: A `Schedule`, arranged.
    """
    rows = []
    for state in schedule.arms:
        begun = len(state.open) + len(state.closed)
        total = begun if state.exhausted else state.study.wanted
        counts = collections.Counter(_standing(schedule, run_id) for run_id in state.run_ids)
        rows.append(
            [
                state.arm.name,
                f"{begun}" if begun == total else f"{begun} of {total or 'as many as the budget'}",
                *(counts[each] for each in STANDINGS),
            ]
        )
    text = _grid(["arm", "configurations", *STANDINGS], rows)
    counts = collections.Counter(_standing(schedule, run_id) for run_id in schedule.planned)
    text += f"\n{len(schedule.planned)} runs: " + ", ".join(
        f"{counts[each]} {each}" for each in STANDINGS if counts[each]
    )
    again = sum(
        run_id in schedule.failures for run_id in schedule.planned if run_id not in schedule.ended
    )
    text += f" ({again} of them tried again)\n" if again else "\n"
    text += _plan_notes(schedule)
    packs = [
        [pack.pack_id, pack.task, pack.estimator, len(pack.runs)]
        for pack in list(schedule.queue)[:MAX_PACKS]
    ]
    if packs:
        text += f"\n{len(schedule.queue)} packs on this machine's CPUs\n"
        text += _grid(["pack", "task", "estimator", "runs"], packs)
    if len(schedule.queue) > MAX_PACKS:
        text += f"and {len(schedule.queue) - MAX_PACKS} more\n"
    return text


def _plan_notes(schedule: Any) -> str:
    """What is to come, and what bounds it."""
    spec = schedule.spec
    lines = [
        f"{name}: {count} configurations of {spec.search.source} taken as prior observations"
        for name, count in schedule.learnt.items()
    ]
    later = sum(
        not state.exhausted and len(state.closed) + len(state.open) != state.study.wanted
        for state in schedule.arms
    )
    if later:
        lines.append(f"{later} arms will propose more configurations as results come in")
    for budget, whose in ((spec.budget, "the sweep"), (spec.arm_budget, "each arm")):
        if budget:
            limits = [
                f"{amount:g} {unit}"
                for amount, unit in ((budget.hours, "hours of workers"), (budget.runs, "runs"))
                if amount is not None
            ]
            lines.append(f"budget of {whose}: {' and '.join(limits)}")
    waiting = sum(not state.reported for state in schedule.arms)
    if spec.report_seeds and waiting:
        lines.append(
            f"{waiting} arms will run their selected configuration on {len(spec.report_seeds)} "
            "fresh seeds"
        )
    return "".join(f"{line}\n" for line in lines)


def _standing(schedule: Any, run_id: str) -> str:
    if run_id in schedule.ended:
        return schedule.ended[run_id].status
    return "failed" if run_id in schedule.failures else "missing"


def status_text(results: Results) -> str:
    """How far a sweep is, who drives it, and what failed."""
    files = results.store.files
    runs = results.store.dataset("runs").to_table(
        columns=["run_id", "task", "estimator", "status", "attempts", "error"]
    )
    counts: dict[tuple[str, str], collections.Counter[str]] = {}
    for row in runs.select(["task", "estimator", "status"]).to_pylist():
        counts.setdefault((row["estimator"], row["task"]), collections.Counter())[
            row["status"]
        ] += 1
    statuses = ["done", "diverged", "stopped", "failed"]
    rows = [
        [f"{estimator} · {task}", *(count[each] for each in statuses)]
        for (estimator, task), count in sorted(counts.items(), key=_file_order(results))
    ]
    text = f"{results.sweep} in {results.store.uri}\n"
    planned = _planned(results)
    total = f" of {planned} planned" if planned is not None else ""
    text += f"{runs.num_rows} runs ended{total}; {_driver(files)}\n"
    flying = checkpoints.in_flight(files)
    if flying:
        text += (
            f"{len(flying)} packs in flight: "
            + ", ".join(
                f"{each.pack.pack_id} ({len(each.active)} runs, step {each.step})"
                for each in flying[:5]
            )
            + ("" if len(flying) <= 5 else ", …")
            + "\n"
        )
    text += "\n" + _grid(["arm", *statuses], rows)
    if results.spec.select.second is not None:
        text += "\n" + front_text(results.table())
    most = results.spec.resources.max_failures
    failed = [row for row in runs.to_pylist() if row["status"] == "failed"]
    for row in failed[:MAX_ERRORS]:
        left = most - row["attempts"]
        then = f"tried again by the next run, {left} left" if left > 0 else "quarantined"
        text += (
            f"failed {row['run_id']} ({row['estimator']} · {row['task']}), "
            f"{row['attempts']} attempts, {then}: {row['error']}\n"
        )
    if len(failed) > MAX_ERRORS:
        text += f"and {len(failed) - MAX_ERRORS} more failed runs\n"
    return text


def _file_order(results: Results) -> Callable[[tuple[tuple[str, str], Any]], tuple[Any, ...]]:
    """Arms in the file's order; those that left the file come last."""
    places = {
        (arm.estimator_label, arm.task_label): place for place, arm in enumerate(results.spec.arms)
    }
    return lambda item: (places.get(item[0], len(places)), item[0])


def list_text(store: str) -> str:
    """The sweeps of a store, one line each."""
    files = Files(store)
    rows = []
    for name in list_sweeps(files):
        sweep = SweepStore(store, name)
        try:
            rows.append([name, sweep.dataset("runs").count_rows(), _driver(sweep.files)])
        except (StoreError, pa.ArrowInvalid):
            rows.append([name, "unreadable", _driver(sweep.files)])
    if not rows:
        return f"no sweeps in {files.uri}\n"
    return _grid(["sweep", "runs ended", "driver"], rows)


def arrow_text(found: pa.Table) -> str:
    """A query's answer as aligned text."""
    rows = [[_value(value) for value in row.values()] for row in found.to_pylist()]
    return _grid(found.column_names, rows)


def _planned(results: Results) -> int | None:
    """Runs of a search that has a number of configurations; None where only a budget ends it."""
    spec = results.spec
    if spec.budget or spec.arm_budget:
        return None
    total = 0
    for arm in spec.arms:
        known = [each for each in (arm.size, spec.search.configurations) if each is not None]
        if not known:
            return None
        total += min(known) * len(spec.seeds) + len(spec.report_seeds)
    return total


def _driver(files: Files) -> str:
    holder = lease.read(files)
    if holder is None:
        return "no driver"
    if holder.is_dead(time.time()):
        return f"driver {holder.pid} on {holder.host} is gone"
    return f"driven by process {holder.pid} on {holder.host}"


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _grid(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns; numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="")
    for place, title in enumerate(titles):
        numeric = bool(rows) and all(isinstance(row[place], int) for row in rows)
        table.add_column(Text(title), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(each)) for each in row))
    console = Console(width=10_000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"

"""The state of a sweep, and the list of a store's sweeps, as text."""

from collections.abc import Mapping, Sequence

from raysweep.formats.failed_runs import next_attempt
from raysweep.formats.grid import Grid, plain
from raysweep.formats.tables import front_grid
from raysweep.formats.text import UNLIMITED, Screen, as_text
from raysweep.results.counts import Progress
from raysweep.results.status import (
    Driver,
    ListedSweep,
    PackInFlight,
    SweepStatus,
    list_sweeps,
    sweep_status,
)
from raysweep.results.unfinished import stale_packs
from raysweep.store.files import Files
from raysweep.store.listing import content_of
from raysweep.sweep.outcomes import ENDS
from raysweep.text import counted, duration, one_line, shown_error

MAX_PACKS = 5


def status_text(store: str, sweep: str, screen: Screen = UNLIMITED) -> str:
    """Return the state of a sweep: progress, driver, packs, data sets, warnings, failures.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.
        screen: The room for its tables.

    Raises:
        SpecError: If the store has no such sweep.
    """
    status = sweep_status(store, sweep)
    text = f"{sweep} in {status.uri}\n{_ended(status.progress)}; {_driver(status.driver)}\n"
    text += _packs_in_flight(status) + "\n"
    rows = [[arm, *(count[end] for end in ENDS)] for arm, count in status.progress.arms]
    fronts = [] if status.pareto is None else [front_grid(status.pareto)]
    text += as_text([plain(["arm", *ENDS], rows), *fronts], screen)
    text += "".join(f"{_data(task, sets)}\n" for task, sets in status.data.items())
    text += "".join(f"{warning}\n" for warning in status.warnings)
    return text + _failed(status)


def _ended(progress: Progress) -> str:
    text = f"{progress.total.after(progress.ended, 'planned run')} ended"
    if progress.total.runs is None:
        text += ", and a budget ends the search"
    return text + (
        f", {counted(progress.others, 'other run')} in the store" * bool(progress.others)
    )


def _packs_in_flight(status: SweepStatus) -> str:
    text = ""
    if packs := status.packs:
        listed = ", ".join(map(_pack, packs[:MAX_PACKS]))
        more = ", …" if len(packs) > MAX_PACKS else ""
        text = f"{counted(len(packs), 'pack')} in flight: {listed}{more}\n"
    if status.stale:
        text += f"{stale_packs(status.sweep, status.stale)}\n"
    return text + "".join(
        f"pack {pack_id}: no step for {duration(silent_s)}; it may hang\n"
        for pack_id, silent_s in status.silent.items()
    )


def _pack(pack: PackInFlight) -> str:
    """Return a pack with its step, and the mean of its first metric over its runs."""
    of = f" of {pack.steps:,}" if pack.steps else ""
    loss = "" if pack.value is None else f", {one_line(pack.metric or '')} {pack.value:.5g}"
    return f"{pack.pack_id} ({counted(pack.runs)}, step {pack.step:,}{of}{loss})"


def _data(task: str, sets: Mapping[str, Sequence[str]]) -> str:
    """Return the data sets of a task by the settings that name them."""
    named = ", ".join(f"{name} {one_line(' | '.join(values))}" for name, values in sets.items())
    return f"data of {one_line(task)}: {named}"


def _failed(status: SweepStatus) -> str:
    text = ""
    for row in status.failed:
        run = f"{row['run_id']} ({one_line(row['estimator'])} · {one_line(row['task'])})"
        many = f"{row['runs']} runs, such as " if row["runs"] > 1 else ""
        text += (
            f"failed {many}{run}, {next_attempt(status.spec, row)}: {shown_error(row['error'])}\n"
        )
    if (more := status.failed_count - sum(row["runs"] for row in status.failed)) > 0:
        command = f"'raysweep status {status.sweep} --failed' shows all"
        text += f"and {more} more failed runs; {command}\n"
    if text:
        text += f"'raysweep logs {status.sweep}' shows the tracebacks\n"
    return text


def list_text(store: str, screen: Screen = UNLIMITED, tags: Sequence[str] = ()) -> str:
    """Return the sweeps of a store, one line each; what is no sweep, or unreadable, is marked.

    Args:
        store: Path or URI of the store.
        screen: The room for the list.
        tags: Tags of the sweeps to list; any if empty.
    """
    files = Files(store)
    sweeps = list_sweeps(files, tags)
    if not sweeps:
        return no_sweeps(files, tags, list_sweeps(files) if tags else ())
    return as_text([list_grid(sweeps)], screen)


def no_sweeps(store: Files, tags: Sequence[str], others: Sequence[ListedSweep]) -> str:
    """Return why the list of a store's sweeps is empty.

    Args:
        store: The store with the sweeps.
        tags: Tags of the sweeps that were to be listed; any if empty.
        others: The sweeps of the store.
    """
    if not tags or not others:
        return f"no sweeps in {store.uri}: {content_of(store)}\n"
    known = sorted({tag for sweep in others for tag in sweep.tags})
    there = f"tags there: {', '.join(known)}" if known else "no sweep there has a tag"
    return f"no sweeps with the tag {' and '.join(tags)} in {store.uri}; {there}\n"


def list_grid(sweeps: Sequence[ListedSweep]) -> Grid:
    """Return the sweeps of a store, one row each."""
    head = ["sweep", "runs ended", "driver"]
    rows = [
        [
            sweep.name,
            sweep.problem if sweep.runs is None else sweep.runs,
            "" if sweep.driver is None else _driver(sweep.driver, "unreadable lease"),
        ]
        for sweep in sweeps
    ]
    for name, texts in (
        ("state", [sweep.state for sweep in sweeps]),
        ("tags", [", ".join(sweep.tags) for sweep in sweeps]),
        ("description", [sweep.description for sweep in sweeps]),
    ):
        if any(texts):
            head.append(name)
            rows = [[*row, text] for row, text in zip(rows, texts, strict=True)]
    return plain(head, rows)


def _driver(driver: Driver, unknown: str = "driver unknown, as the lease cannot be read") -> str:
    return {
        "none": "no driver",
        "unknown": unknown,
        "alive": f"driven by {driver.name}",
        "dead": f"its driver, {driver.name}, is gone",
        "elsewhere": f"{driver.name} drove it {driver.heartbeat_ago_s:.0f} s ago, if its clock is "
        "right",
    }[driver.state]

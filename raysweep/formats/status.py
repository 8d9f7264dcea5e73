"""What `plan`, `status`, `ls` and `sql` print."""

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, FormatTooNew, SpecError, StoreError
from raysweep.formats.aligned import aligned
from raysweep.formats.failed_runs import next_attempt
from raysweep.results.edits import former_ids, warnings
from raysweep.results.provenance import WARNED, provenance
from raysweep.results.unreported import unreported
from raysweep.store import checkpoints, lease
from raysweep.store.files import Files
from raysweep.store.pauses import is_long
from raysweep.store.sweep_store import SweepStore, list_folders
from raysweep.sweep.outcomes import ENDS
from raysweep.sweep.runs import Run
from raysweep.sweep.spec import Spec
from raysweep.text import counted, duration, one_line, shown_error

MAX_ERRORS = 20
MAX_NAMED = 10_000  # runs whose ids are found in a fifth of a second


def status_text(store: str, sweep: str) -> str:
    """How far a sweep is, who drives it, what failed, and what its numbers do not share.

    Raises:
        SpecError: If the store has no such sweep.
    """
    own = SweepStore(store, sweep)
    spec = own.spec()
    former = former_ids(spec, own)
    rows = own.counted(["run_id", "task", "estimator", "status", *WARNED][not len(former) :])
    if len(former):
        rows = rows.filter(pc.invert(pc.is_in(rows["run_id"], former)))
    ended = _ended(own, spec, rows, former)
    text = f"{sweep} in {own.uri}\n{ended.told}; {_driver(own.files)}\n"
    text += _packs_in_flight(own.files) + "\n"
    text += aligned(
        ["arm", *ENDS], [[arm, *(count[each] for each in ENDS)] for arm, count in ended.arms]
    )
    if spec.select.second is not None:
        from raysweep.formats.text import front_text
        from raysweep.results.sweep_results import SweepResults

        text += "\n" + front_text(SweepResults(store, sweep).table())
    found = provenance(rows)
    more = [*warnings(spec, own), *unreported(spec, own)]
    text += "".join(f"{warning}\n" for warning in (*found.warnings, *more))
    return text + _failed(own, spec, found.statuses.get("failed", 0))


@dataclasses.dataclass(frozen=True)
class _Ended:
    """Runs that ended: a sentence on all of them, and how many ended how, arm by arm."""

    told: str
    arms: Sequence[tuple[str, Counter[str]]]


def _ended(store: SweepStore, spec: Spec, rows: pa.Table, former: pa.Array) -> _Ended:
    """Runs that ended.

    Where the plan is a grid of at most `MAX_NAMED` runs, they are looked up by their ids: so each
    arm has its own, those it shares with another arm too. Else rows are counted by the labels that
    they ended with, and whether the file still plans them stays open.

    Args:
        store: The sweep's folder.
        spec: The sweep file as last run.
        rows: The rows to count.
        former: Ids of runs with values of former defaults, which do not count.
    """
    planned = _planned(spec)
    if spec.search.sampler != "grid" or spec.report_seeds or (planned or MAX_NAMED + 1) > MAX_NAMED:
        told = counted(rows.num_rows) + " in the store ended"
        if planned is not None:
            told += f"; the file plans {planned}"
        return _Ended(told, _by_label(spec, rows))
    by_arm = {
        arm: {
            Run(configuration, seed).run_id
            for configuration in map(arm.configuration, arm.cells())
            for seed in spec.seeds
        }
        for arm in spec.arms
    }
    ids = set().union(*by_arm.values())
    identified = store.runs(["run_id", "task", "estimator", "status"])
    identified = identified.filter(pc.invert(pc.is_in(identified["run_id"], former)))
    known = pc.is_in(identified["run_id"], pa.array(ids, pa.string()))
    inside = identified.filter(known)
    status = dict(zip(*(inside[name].to_pylist() for name in ("run_id", "status")), strict=True))
    arms = [
        (arm.name, Counter(status[each] for each in own if each in status))
        for arm, own in by_arm.items()
    ]
    told = f"{len(status)} of {len(ids)} planned runs ended"
    if others := identified.filter(pc.invert(known)):
        told += f", {counted(others.num_rows, 'other run')} in the store"
        arms += [(f"{name} (others)", count) for name, count in _by_label(spec, others)]
    return _Ended(told, arms)


def _by_label(spec: Spec, rows: pa.Table) -> list[tuple[str, Counter[str]]]:
    """How many rows ended how, by their labels: arms in the file's order, then what left it."""
    places = {(arm.estimator_label, arm.task_label): place for place, arm in enumerate(spec.arms)}
    keys = ["task", "estimator", "status"]
    groups = rows.select(keys).unify_dictionaries().group_by(keys).aggregate([([], "count_all")])
    counts: dict[tuple[str, str], Counter[str]] = {}
    for group in groups.to_pylist():
        labels = group["estimator"], group["task"]
        counts.setdefault(labels, Counter())[group["status"]] += group["count_all"]
    order = sorted(counts, key=lambda labels: (places.get(labels, len(places)), labels))
    return [(" · ".join(labels), counts[labels]) for labels in order]


def _packs_in_flight(files: Files) -> str:
    in_flight = checkpoints.in_flight(files)
    if not in_flight:
        return _silent(files)
    told = ", ".join(
        f"{each.pack.pack_id} ({len(each.active)} runs, step {each.step})" for each in in_flight[:5]
    )
    text = f"{len(in_flight)} packs in flight: {told}{', …' if len(in_flight) > 5 else ''}\n"
    return text + _silent(files)


def _silent(files: Files) -> str:
    """The packs that the present driver trains, or has started, and that may hang."""
    try:
        holder = lease.read(files)
    except StoreError:
        return ""  # said beside the driver
    if holder is None or holder.process.life() == "dead":
        return ""
    text, now = "", time.time()
    for pack_id in files.folders("checkpoints"):
        pace = checkpoints.Checkpoints(files, pack_id).pace()
        if pace is None or pace.token != holder.token:
            continue  # of an earlier driver: the pack waits
        silent_s = now - pace.stepped_at
        if is_long(silent_s, pace.longest_pause_s):
            text += f"pack {pack_id}: no step for {duration(silent_s)}; it may hang\n"
    return text


def _failed(store: SweepStore, spec: Spec, count: int) -> str:
    """The first failed runs, and how many more there are."""
    if not count:
        return ""
    columns = ["run_id", "task", "estimator", "attempts", "error"]
    dataset = store.encoded(("task", "estimator", "status"))
    failed = pc.field("status") == "failed"
    rows = store.head(dataset, MAX_ERRORS, columns=columns, filter=failed)
    text = ""
    for row in rows.to_pylist():
        text += (
            f"failed {row['run_id']} ({one_line(row['estimator'])} · {one_line(row['task'])}), "
            f"{next_attempt(spec, row['attempts'])}: {shown_error(row['error'])}\n"
        )
    if count > MAX_ERRORS:
        text += (
            f"and {count - MAX_ERRORS} more failed runs; 'raysweep status {spec.name} --failed' "
            "shows all\n"
        )
    return text


def list_text(store: str) -> str:
    """The sweeps of a store, one line each; what is no sweep, or not to be read, is said so."""
    files = Files(store)
    rows = []
    for name in list_folders(files):
        try:
            rows.append([name, *_listed(store, name)])
        except FormatTooNew:
            rows.append([name, "written by a later raysweep", ""])
        except (StoreError, SpecError) as error:
            reason = "not a sweep's name" if isinstance(error, SpecError) else "unreadable"
            rows.append([name, reason, ""])
    if not rows:
        return f"no sweeps in {files.uri}\n"
    return aligned(["sweep", "runs ended", "driver"], rows)


def _listed(store: str, name: str) -> tuple[int | str, str]:
    """The number of a sweep's ended runs and its driver, as far as they can be read."""
    sweep = SweepStore(store, name)
    try:
        driver = _driver(sweep.files)
    except StoreError:
        driver = "unreadable lease"
    try:
        sweep.spec()
        return sweep.count("runs"), driver
    except DamagedFile:
        return "damaged", driver


def _planned(spec: Spec) -> int | None:
    """Runs of a search that has a number of configurations; None where only a budget ends it."""
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
    try:
        holder = lease.read(files)
    except StoreError:
        return "driver unknown, as the lease cannot be read"
    if holder is None:
        return "no driver"
    life = holder.process.life()
    if life == "alive":
        return f"driven by {holder.name}"
    if life == "dead":
        return f"its driver, {holder.name}, is gone"
    ago = max(0.0, time.time() - holder.heartbeat)
    return f"{holder.name} drove it {ago:.0f} s ago, if its clock is right"

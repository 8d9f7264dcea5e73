"""The state of a sweep as data: its progress, its driver, its packs in training, its failures."""

import dataclasses
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, FormatTooNew, SpecError, StoreError
from raysweep.results.edits import former_ids, warnings
from raysweep.results.membership import KEYS, LABELS
from raysweep.results.provenance import WARNED, provenance
from raysweep.results.reader import with_labels
from raysweep.results.sweep_results import SweepResults
from raysweep.results.table import ResultTable
from raysweep.results.unreported import unreported
from raysweep.store import checkpoints, lease, sweep_paths
from raysweep.store.checkpoints import Manifest, Pace
from raysweep.store.files import Files
from raysweep.store.listing import content_of, list_folders
from raysweep.store.listing import list_sweeps as list_sweep_names
from raysweep.store.pauses import is_long
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.outcomes import grouped_by_error
from raysweep.sweep.runs import Run
from raysweep.sweep.spec import Spec

MAX_ERRORS = 20
MAX_NAMED = 10_000  # runs whose ids are found in a fifth of a second


@dataclasses.dataclass(frozen=True)
class Driver:
    """The driver of a sweep.

    Args:
        state: `none`; `alive` or `dead` on this machine; `elsewhere`, where only its last
            heartbeat is known; or `unknown`, where the lease cannot be read.
        name: Process and host of the driver; empty where there is none.
        heartbeat_ago_s: Seconds since the last heartbeat, if its clock is right.
    """

    state: Literal["none", "alive", "dead", "elsewhere", "unknown"]
    name: str = ""
    heartbeat_ago_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class PackInFlight:
    """A pack that began and has not ended.

    Args:
        pack_id: Identity of the pack.
        runs: Number of its runs that still train.
        step: Step that it has reached; of a pack that waits, the step of its last checkpoint.
        steps: Number of steps of its runs; 0 where it is not known.
        metric: Name of the first metric of its last report; None if there is none yet.
        value: Mean of that metric over the runs.
    """

    pack_id: str
    runs: int
    step: int
    steps: int = 0
    metric: str | None = None
    value: float | None = None


@dataclasses.dataclass(frozen=True)
class Progress:
    """The number of runs that ended.

    Args:
        ended: Number of ended runs: of the plan where `is_exact`, else of the store.
        planned: Number of runs that the file plans; None where only a budget ends the search.
        others: Number of ended runs that the file does not plan, where `is_exact`.
        is_exact: Whether planned runs were looked up by their ids.
        arms: Name of each arm, with the number of its runs by the way they ended.
    """

    ended: int
    planned: int | None
    others: int
    is_exact: bool
    arms: Sequence[tuple[str, Counter[str]]]


@dataclasses.dataclass(frozen=True)
class SweepStatus:
    """The state of a sweep.

    Args:
        sweep: Name of the sweep.
        uri: Address of its folder.
        spec: The sweep file as last run.
        progress: The number of runs that ended.
        driver: The driver of the sweep.
        packs: Packs that began and have not ended.
        silent: Seconds without a step, by pack that may hang.
        pareto: The table with the best trade-offs, where two metrics select.
        warnings: A line for each thing that the numbers do not share, or that readers must know.
        failed: A failed run of each of the most frequent errors: its row of `runs` with labels,
            attempts and error, and `runs`, the number of runs with that error.
        failed_count: Number of failed runs.
    """

    sweep: str
    uri: str
    spec: Spec
    progress: Progress
    driver: Driver
    packs: Sequence[PackInFlight]
    silent: Mapping[str, float]
    pareto: ResultTable | None
    warnings: Sequence[str]
    failed: Sequence[Mapping[str, Any]]
    failed_count: int


def sweep_status(store: str, sweep: str) -> SweepStatus:
    """Return the state of a sweep.

    Raises:
        SpecError: If the store has no such sweep.
    """
    sweep_store = SweepStore(store, sweep)
    spec = sweep_store.spec()
    former = former_ids(spec, sweep_store)
    keys = ["run_id"] if len(former) else []
    if not sweep_store.labels_hold(spec):
        keys = list(KEYS)
    rows = with_labels(sweep_store, spec, sweep_store.counted([*keys, *LABELS, "status", *WARNED]))
    if len(former):
        rows = rows.filter(pc.invert(pc.is_in(rows["run_id"], former)))
    origin = provenance(rows)
    failed_count = origin.statuses.get("failed", 0)
    driver, token = driver_of(sweep_store.files)
    manifests = checkpoints.in_flight(sweep_store.files)
    paces = _paces(sweep_store.files, token)
    return SweepStatus(
        sweep,
        sweep_store.uri,
        spec,
        _progress(sweep_store, spec, rows, former),
        driver,
        [_in_flight(manifest, paces.get(manifest.pack.pack_id)) for manifest in manifests],
        _silent(paces),
        SweepResults(store, sweep).table() if spec.select.second is not None else None,
        (*origin.warnings, *warnings(spec, sweep_store), *unreported(spec, sweep_store)),
        _failed(sweep_store, spec) if failed_count else (),
        failed_count,
    )


def _progress(store: SweepStore, spec: Spec, rows: pa.Table, former: pa.Array) -> Progress:
    """Count the runs that ended.

    Where the plan is a grid of at most `MAX_NAMED` runs, they are looked up by their ids: so each
    arm has its own, those it shares with another arm too. Else rows are counted by their labels,
    and whether the file still plans them stays open.

    Args:
        store: The sweep's folder.
        spec: The sweep file as last run.
        rows: The rows to count.
        former: Ids of runs with values of former defaults, which do not count.
    """
    planned = _planned(spec)
    if spec.search.sampler != "grid" or spec.report_seeds or (planned or MAX_NAMED + 1) > MAX_NAMED:
        return Progress(rows.num_rows, planned, 0, False, _by_label(spec, rows))
    ids_by_arm = {
        arm: {
            Run(configuration, seed).run_id
            for configuration in map(arm.configuration, arm.cells())
            for seed in spec.seeds
        }
        for arm in spec.arms
    }
    ids = set().union(*ids_by_arm.values())
    identified = store.runs(["run_id", "task", "estimator", "status"])
    identified = identified.filter(pc.invert(pc.is_in(identified["run_id"], former)))
    is_planned = pc.is_in(identified["run_id"], pa.array(ids, pa.string()))
    inside = identified.filter(is_planned)
    status = dict(zip(*(inside[name].to_pylist() for name in ("run_id", "status")), strict=True))
    arms = [
        (arm.name, Counter(status[run_id] for run_id in run_ids if run_id in status))
        for arm, run_ids in ids_by_arm.items()
    ]
    others = identified.filter(pc.invert(is_planned))
    arms += [(f"{name} (others)", count) for name, count in _by_label(spec, others)]
    return Progress(len(status), len(ids), others.num_rows, True, arms)


def _by_label(spec: Spec, rows: pa.Table) -> list[tuple[str, Counter[str]]]:
    """Count rows by labels and status: arms in the file's order, then those that left it."""
    positions = {(arm.estimator_label, arm.task_label): i for i, arm in enumerate(spec.arms)}
    keys = ["task", "estimator", "status"]
    groups = rows.select(keys).unify_dictionaries().group_by(keys).aggregate([([], "count_all")])
    counts: dict[tuple[str, str], Counter[str]] = {}
    for group in groups.to_pylist():
        labels = group["estimator"], group["task"]
        counts.setdefault(labels, Counter())[group["status"]] += group["count_all"]
    order = sorted(counts, key=lambda labels: (positions.get(labels, len(positions)), labels))
    return [(" · ".join(labels), counts[labels]) for labels in order]


def _planned(spec: Spec) -> int | None:
    """Return the number of planned runs; None where only a budget ends the search."""
    if spec.budget or spec.arm_budget:
        return None
    total = 0
    for arm in spec.arms:
        limits = [size for size in (arm.size, spec.search.configurations) if size is not None]
        if not limits:
            return None
        total += min(limits) * len(spec.seeds) + len(spec.report_seeds)
    return total


def driver_of(files: Files) -> tuple[Driver, str | None]:
    """Return the driver that holds a sweep's folder, and its lease token unless it is dead."""
    try:
        holder = lease.read(files)
    except StoreError:
        return Driver("unknown"), None
    if holder is None:
        return Driver("none"), None
    life = holder.process.life()
    if life in ("alive", "dead"):
        return Driver(life, holder.name), holder.token if life == "alive" else None
    ago_s = max(0.0, time.time() - holder.heartbeat)
    return Driver("elsewhere", holder.name, ago_s), holder.token


def _paces(files: Files, token: str | None) -> dict[str, Pace]:
    """Return the last reports of the packs that the present driver trains, by pack."""
    paces = {}
    for pack_id in files.folders("checkpoints") if token is not None else ():
        pace = checkpoints.Checkpoints(files, pack_id).pace()
        if pace is not None and pace.token == token:  # else of an earlier driver: the pack waits
            paces[pack_id] = pace
    return paces


def _silent(paces: Mapping[str, Pace]) -> dict[str, float]:
    """Return how long packs that may hang made no step."""
    now = time.time()
    return {
        pack_id: now - pace.stepped_at
        for pack_id, pace in paces.items()
        if is_long(now - pace.stepped_at, pace.longest_pause_s)
    }


def _in_flight(manifest: Manifest, pace: Pace | None) -> PackInFlight:
    pack_id, runs = manifest.pack.pack_id, len(manifest.active)
    if pace is None or pace.step < manifest.step:
        return PackInFlight(pack_id, runs, manifest.step)
    return PackInFlight(pack_id, runs, pace.step, pace.steps, pace.metric, pace.value)


def _failed(store: SweepStore, spec: Spec) -> list[dict[str, Any]]:
    """Return a failed run of each of the most frequent errors, with how many runs have it."""
    columns = [*KEYS, *LABELS, "attempts", "error"]
    dataset = store.encoded((*LABELS, "status"))
    rows = store.read(dataset, columns, pc.field("status") == "failed")
    groups = grouped_by_error(with_labels(store, spec, rows).to_pylist())
    return [{**group[0], "runs": len(group)} for group in groups[:MAX_ERRORS]]


@dataclasses.dataclass(frozen=True)
class ListedSweep:
    """A folder of a store, as a sweep.

    Args:
        name: Name of the folder.
        runs: Number of ended runs; None where it is not known.
        problem: Reason that `runs` is not known; empty where it is.
        driver: The driver of the sweep; None where the folder is no sweep's.
        description: Text that the sweep file gives about itself.
        tags: Words that the sweep file gives to be found by.
    """

    name: str
    runs: int | None = None
    problem: str = ""
    driver: Driver | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


def list_sweeps(store: Files, tags: Collection[str] = ()) -> list[ListedSweep]:
    """Return the sweeps of a store, and what is no sweep, or cannot be read.

    Args:
        store: The store with the sweeps.
        tags: Tags of the sweeps to return; any if empty.
    """
    sweeps = []
    for name in list_folders(store):
        try:
            sweeps.append(_listed(store, name))
        except FormatTooNew:
            sweeps.append(ListedSweep(name, problem="written by a later raysweep"))
        except SpecError:
            sweeps.append(ListedSweep(name, problem="not a sweep's name"))
        except StoreError:
            sweeps.append(ListedSweep(name, problem="unreadable"))
    return [sweep for sweep in sweeps if set(tags) <= set(sweep.tags)]


def latest_sweep(store: Files) -> str:
    """Return the sweep whose last session started last.

    Raises:
        SpecError: If the store has no sweep.
        StoreError: If the store cannot be reached.
    """
    starts = {}
    for name in list_sweep_names(store):
        for info in store.below(name).infos("", sweep_paths.SPEC):
            starts[name] = info.changed
    if not starts:
        raise SpecError(f"no sweeps in {store.uri}: {content_of(store)}; run one first")
    return max(starts, key=lambda name: (starts[name], name))


def _listed(store: Files, name: str) -> ListedSweep:
    sweep = SweepStore(store.uri, name)
    driver, _ = driver_of(sweep.files)
    try:
        spec = sweep.spec()
        runs = sweep.count("runs")
        return ListedSweep(name, runs, "", driver, spec.description, spec.tags)
    except DamagedFile:
        return ListedSweep(name, None, "damaged", driver)

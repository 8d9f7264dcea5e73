"""The state of a sweep as data: its progress, its driver, its packs in training, its failures."""

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, FormatTooNew, SpecError, StoreError
from raysweep.results.budgets import SPENT
from raysweep.results.counts import COLUMNS, Progress, progress_of
from raysweep.results.edits import warnings
from raysweep.results.membership import KEYS, LABELS, Membership
from raysweep.results.provenance import WARNED, provenance
from raysweep.results.reader import read_labels
from raysweep.results.sweep_results import SweepResults
from raysweep.results.table import ResultTable
from raysweep.results.unfinished import unfinished
from raysweep.results.unreported import unreported
from raysweep.store import checkpoints, lease, sweep_paths
from raysweep.store.checkpoints import Manifest, Pace
from raysweep.store.files import Files
from raysweep.store.listing import content_of, list_folders
from raysweep.store.listing import list_sweeps as list_sweep_names
from raysweep.store.pauses import is_long
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep import space
from raysweep.sweep.outcomes import grouped_by_error
from raysweep.sweep.spec import Spec

MAX_ERRORS = 20


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
class SweepStatus:
    """The state of a sweep.

    Args:
        sweep: Name of the sweep.
        uri: Address of its folder.
        spec: The sweep file as last run.
        progress: The number of runs that ended.
        driver: The driver of the sweep.
        packs: Packs that began and have not ended, of runs that the file plans.
        stale: Ids of unfinished packs that the file no longer plans.
        silent: Seconds without a step, by pack that may hang.
        pareto: The table with the best trade-offs, where two metrics select.
        warnings: A line for each thing that the numbers do not share, or that readers must know.
        failed: A failed run of each of the most frequent errors: its row of `runs` with labels,
            attempts, error and `in_plan`, and `runs`, the number of runs with that error.
        failed_count: Number of failed runs.
        data: Values of the settings that name data sets, by label of the task and by setting.
    """

    sweep: str
    uri: str
    spec: Spec
    progress: Progress
    driver: Driver
    packs: Sequence[PackInFlight]
    stale: Collection[str]
    silent: Mapping[str, float]
    pareto: ResultTable | None
    warnings: Sequence[str]
    failed: Sequence[Mapping[str, Any]]
    failed_count: int
    data: Mapping[str, Mapping[str, Sequence[str]]]


def sweep_status(store: str, sweep: str) -> SweepStatus:
    """Return the state of a sweep.

    Raises:
        SpecError: If the store has no such sweep.
    """
    sweep_store = SweepStore(store, sweep)
    spec = sweep_store.spec()
    rows, labels = _counted(sweep_store, spec, WARNED)
    origin = provenance(rows)
    failed_count = origin.statuses.get("failed", 0)
    driver, token = driver_of(sweep_store.files)
    begun, paces = unfinished(spec, sweep_store), _paces(sweep_store.files, token)
    blocked = unreported(spec, sweep_store)
    stale = begun.stale - paces.keys()
    return SweepStatus(
        sweep,
        sweep_store.uri,
        spec,
        progress_of(spec, rows, labels, begun, blocked),
        driver,
        [
            _in_flight(manifest, begun.runs_of(manifest), paces.get(pack_id))
            for pack_id, manifest in begun.manifests.items()
            if pack_id not in stale
        ],
        stale,
        _silent(paces),
        SweepResults(store, sweep).table() if spec.select.second is not None else None,
        (*origin.warnings, *warnings(spec, sweep_store), *blocked.values()),
        _failed(sweep_store, labels) if failed_count else (),
        failed_count,
        data_sets(spec),
    )


def data_sets(spec: Spec) -> dict[str, dict[str, list[str]]]:
    """Return the values of the settings that name data sets, by label of the task and by setting.

    Data may be generated, or a substitute for others, which the numbers alone do not show. The
    settings are those of tasks whose names are `dataset`, or end with `_set`.

    Args:
        spec: The sweep file as last run.
    """
    named: dict[str, dict[str, list[str]]] = {}
    for arm in spec.arms:
        for key, domain in arm.space.items():
            section, _, name = key.partition(".")
            if section != "task" or not (name == "dataset" or name.endswith("_set")):
                continue
            values = named.setdefault(arm.task_label, {}).setdefault(name, [])
            values += [text for text in _choices(domain) if text not in values]
    return named


def _choices(domain: space.Domain) -> list[str]:
    """Return the values that a setting lists, each once, as text."""
    listed = [one for one in space.alternatives(domain) if not isinstance(one, space.Range)]
    values = [value for one in listed for value in space.values(one) if value is not None]
    return list(dict.fromkeys(map(str, values)))


def sweep_progress(store: SweepStore, spec: Spec) -> Progress:
    """Return the number of runs that ended, of those that a sweep file plans.

    Args:
        store: The sweep's folder.
        spec: The sweep file as it is now.

    Raises:
        StoreError: If the store cannot be read.
    """
    rows, labels = _counted(store, spec)
    return progress_of(spec, rows, labels, unfinished(spec, store), unreported(spec, store))


def _counted(
    store: SweepStore, spec: Spec, more: Sequence[str] = ()
) -> tuple[pa.Table, Membership]:
    """Return what counts need of the ended runs without those of former defaults, and labels."""
    spent = SPENT if spec.budget or spec.arm_budget else ()
    rows = store.counted([*COLUMNS, *spent, *more])
    labels = read_labels(store, spec, selected=bool(spec.report_seeds))  # after the rows
    if len(labels.outdated):
        rows = rows.filter(pc.invert(pc.is_in(rows["run_id"], labels.outdated)))
    return rows, labels


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


def _in_flight(manifest: Manifest, runs: int, pace: Pace | None) -> PackInFlight:
    pack_id = manifest.pack.pack_id
    if pace is None or pace.step < manifest.step:
        return PackInFlight(pack_id, runs, manifest.step)
    return PackInFlight(pack_id, runs, pace.step, pace.steps, pace.metric, pace.value)


def failed_runs(store: SweepStore, labels: Membership, *columns: str) -> pa.Table:
    """Return the rows of failed runs with their present labels, and whether the file plans them.

    Args:
        store: The sweep's folder.
        labels: Present labels of stored runs, with the selected configurations.
        columns: Further columns of `runs` to read.

    Raises:
        StoreError: If the store cannot be read.
    """
    dataset = store.encoded((*LABELS, "status"))
    rows = store.read(dataset, [*KEYS, *LABELS, *columns], pc.field("status") == "failed")
    return labels.labelled(rows).drop_columns(["selected"])


def _failed(store: SweepStore, labels: Membership) -> list[dict[str, Any]]:
    """Return a failed run of each of the most frequent errors, with how many runs have it.

    It is one that the file plans, if there is any.
    """
    rows = failed_runs(store, labels, "attempts", "error").to_pylist()
    groups = grouped_by_error(sorted(rows, key=lambda row: not row["in_plan"]))
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
        state: State in a service of a sweep that has no driver yet; empty for any other.
    """

    name: str
    runs: int | None = None
    problem: str = ""
    driver: Driver | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    state: str = ""


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

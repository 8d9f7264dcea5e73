"""Numbers of ended and of planned runs of a sweep: all of them, and of each arm."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.budgets import over_budget
from raysweep.results.membership import KEYS, LABELS, Membership
from raysweep.results.reader import may_share
from raysweep.results.unfinished import Unfinished
from raysweep.sweep.size import Total, runs_to_come, total_of
from raysweep.sweep.spec import Arm, Spec

COLUMNS = (*KEYS, *LABELS, "status", "attempts")  # of `runs`, which the counts need
MAX_CELLS = 10_000  # of a grid, whose ids are computed in a fifth of a second


@dataclasses.dataclass(frozen=True)
class Progress:
    """The number of runs that ended.

    Args:
        ended: Number of ended runs that the file plans.
        total: Number of runs that the file plans.
        others: Number of ended runs that the file does not plan.
        arms: Name of each arm, with the number of its runs by the way they ended; a run that two
            arms share counts in both.
    """

    ended: int
    total: Total
    others: int
    arms: Sequence[tuple[str, Counter[str]]]


def progress_of(
    spec: Spec,
    rows: pa.Table,
    labels: Membership,
    unfinished: Unfinished,
    blocked: Collection[Arm] = (),
) -> Progress:
    """Count the runs that ended.

    Args:
        spec: The sweep file as it is now.
        rows: Every ended run without those of former defaults, with `COLUMNS`, and with `SPENT`
            if the sweep has a budget.
        labels: Present labels of these runs, with the selected configurations.
        unfinished: Runs of packs that began and have not ended.
        blocked: Arms whose fresh seeds can never run.
    """
    labelled = labels.labelled(rows)
    inside, named = labelled["in_plan"], labelled.select([*LABELS, "status"])
    others = named.filter(pc.invert(inside))
    is_shared = labels.members.num_rows > labels.labels.num_rows  # by arms, some configuration
    planned = dict(_by_arm(labels.planned(rows) if is_shared else named.filter(inside)))
    arms = [(arm.name, planned.get(arm.name, Counter())) for arm in spec.arms]
    arms += [(f"{name} (others)", count) for name, count in sorted(_by_arm(others))]
    over = over_budget(spec, rows, labels, unfinished)
    total = _total(spec, labels, unfinished, _lost(spec, rows), (over, blocked))
    ended = rows.num_rows - others.num_rows
    if total.runs is not None and total.runs < ended:  # a budget was lowered
        total = dataclasses.replace(total, runs=ended)
    return Progress(ended, total, others.num_rows, arms)


def _by_arm(rows: pa.Table) -> list[tuple[str, Counter[str]]]:
    """Count rows by labels and status."""
    keys = ["estimator", "task", "status"]
    groups = rows.select(keys).unify_dictionaries().group_by(keys).aggregate([([], "count_all")])
    counts: dict[str, Counter[str]] = {}
    for group in groups.to_pylist():
        name = f"{group['estimator']} · {group['task']}"
        counts.setdefault(name, Counter())[group["status"]] += group["count_all"]
    return list(counts.items())


def _total(
    spec: Spec,
    labels: Membership,
    unfinished: Unfinished,
    lost: Mapping[str, int],
    ends: tuple[Collection[str], Collection[Arm]],
) -> Total:
    """Return the number of runs of the sweep: of configurations that began, and of those to come.

    Args:
        spec: The sweep file as it is now.
        labels: Present labels of ended runs.
        unfinished: Runs of packs that began and have not ended.
        lost: Number of runs of each configuration whose other seeds never run.
        ends: Names of the arms whose search a budget has ended, and arms whose fresh seeds can
            never run.
    """
    over, blocked = ends
    distinct, of_arms = _begun(spec, labels, unfinished)
    known = pc.is_in(labels.labels["configuration_id"], pa.array(list(lost), pa.string()))
    ids = labels.labels.filter(known)["configuration_id"].to_pylist()
    runs = distinct * len(spec.seeds) - sum(len(spec.seeds) - lost[key] for key in ids)
    fresh = len(spec.report_seeds)
    later = [0 if arm in blocked else fresh for arm in spec.arms]
    coming = [
        last if arm.name in over else runs_to_come(spec, arm, of_arms[arm.name], last)
        for arm, last in zip(spec.arms, later, strict=True)
    ]
    shown = _shown(labels)
    reported = [shown[arm.name] for arm in spec.arms if arm not in blocked and arm.name in shown]
    runs -= (len(reported) - len(set(reported))) * fresh  # two arms share a selected configuration
    total = total_of(spec, runs, coming)
    is_open = not _is_small_grid(spec) and may_share(spec)  # as cells may be shared
    return dataclasses.replace(total, is_bound=total.is_bound or is_open)


def _begun(spec: Spec, labels: Membership, unfinished: Unfinished) -> tuple[int, Mapping[str, int]]:
    """Return the number of configurations that began, of a small grid of all, in all and by arm."""
    if _is_small_grid(spec):
        cells = {
            arm.name: {arm.configuration(cell).configuration_id for cell in arm.cells()}
            for arm in spec.arms
        }
        counts = Counter({name: len(ids) for name, ids in cells.items()})
        return len(set().union(*cells.values())), counts
    names = ["configuration_id", *LABELS]
    members = pa.concat_tables(some.members.select(names) for some in (labels, unfinished.labels))
    if unfinished.labels.members.num_rows:
        members = members.group_by(names).aggregate([])
    groups = members.group_by(list(LABELS)).aggregate([([], "count_all")]).to_pylist()
    counts = Counter({f"{row['estimator']} · {row['task']}": row["count_all"] for row in groups})
    return pc.count_distinct(members["configuration_id"]).as_py(), counts


def _is_small_grid(spec: Spec) -> bool:
    cells = sum(arm.size or 0 for arm in spec.arms)
    return spec.search.sampler == "grid" and cells <= MAX_CELLS


def _shown(labels: Membership) -> dict[str, str]:
    """Return the id of the configuration that each arm's cell shows, by the arm's name."""
    shown = labels.members.filter(labels.members["selected"]).to_pylist()
    return {f"{row['estimator']} · {row['task']}": row["configuration_id"] for row in shown}


def _lost(spec: Spec, rows: pa.Table) -> dict[str, int]:
    """Return the number of runs of each configuration that lost a race by a bad seed."""
    if spec.early_stopping is None or spec.early_stopping.by_steps:
        return {}
    searched = rows.filter(pc.is_in(rows["seed"], pa.array(spec.seeds, pa.int64())))
    tried = pc.fill_null(pc.less(searched["attempts"], spec.resources.max_failures), False)
    failed = pc.and_(pc.equal(searched["status"], "failed"), pc.invert(tried))
    bad = pc.or_(pc.equal(searched["status"], "diverged"), failed)
    lost = set(searched.filter(bad)["configuration_id"].to_pylist())
    return Counter(key for key in searched["configuration_id"].to_pylist() if key in lost)

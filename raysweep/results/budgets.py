"""Searches that a budget has ended, as far as the rows of runs show it."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.membership import LABELS, Membership
from raysweep.results.unfinished import Unfinished
from raysweep.sweep.size import allows
from raysweep.sweep.spec import Spec

SPENT = ("steps", "seconds")  # columns of `runs` that a budget needs, beside those of counts


@dataclasses.dataclass
class _Spent:
    """Cost of an arm so far.

    Args:
        configurations: Number of configurations that began and have not ended.
        committed: Number of runs that trained, with all of those configurations.
        runs: Number of runs that ended after training.
        seconds: Sum of their training times.
        is_reported: Whether the shown configuration has runs on fresh seeds.
    """

    configurations: int = 0
    committed: int = 0
    runs: int = 0
    seconds: float = 0.0
    is_reported: bool = False


def over_budget(
    spec: Spec, rows: pa.Table, labels: Membership, unfinished: Unfinished
) -> frozenset[str]:
    """Return the names of the arms that a budget allows no other configuration, and none is open.

    The counterpart of the schedule's rule, for readers, which know no schedule.

    Args:
        spec: The sweep file as it is now.
        rows: Every ended run without those of former defaults.
        labels: Present labels of these runs, with the selected configurations.
        unfinished: Runs of packs that began and have not ended.
    """
    if not (spec.budget or spec.arm_budget):
        return frozenset()
    spent = _spent(spec, rows, labels, unfinished)
    return frozenset(
        name
        for name, arm in spent.items()
        if not arm.configurations and not _allows_another(spec, arm, spent.values())
    )


def _allows_another(spec: Spec, arm: _Spent, arms: Collection[_Spent]) -> bool:
    cost = len(spec.seeds) + len(spec.report_seeds) * arm.is_reported
    return all(
        not budget
        or allows(
            budget,
            cost + sum(one.committed + len(spec.report_seeds) for one in scope),
            sum(one.runs for one in scope),
            sum(one.seconds for one in scope),
        )
        for budget, scope in ((spec.arm_budget, [arm]), (spec.budget, arms))
    )


def _spent(
    spec: Spec, rows: pa.Table, labels: Membership, unfinished: Unfinished
) -> dict[str, _Spent]:
    """Return the cost of each arm, by its name."""
    spent = {arm.name: _Spent() for arm in spec.arms}
    costs = _by_configuration(spec, rows)
    names = ["configuration_id", *LABELS]
    members = [some.members.select(names) for some in (labels, unfinished.labels)]
    chosen = labels.members.filter(labels.members["selected"]).select(names).to_pylist()
    for row in pa.concat_tables(members).group_by(names).aggregate([]).to_pylist():
        cost = costs.get(row["configuration_id"], {})
        arm = spent[f"{row['estimator']} · {row['task']}"]
        is_open = not _is_closed(spec, cost)
        fresh = cost.get("fresh", 0)
        arm.configurations += is_open
        arm.committed += len(spec.seeds) if is_open else cost["searched"]
        if row in chosen:
            arm.is_reported |= fresh > 0  # which are counted as those to come
        else:
            arm.committed += fresh
        arm.runs += cost.get("searched", 0) + fresh
        arm.seconds += cost.get("seconds", 0.0)
    return spent


def _by_configuration(spec: Spec, rows: pa.Table) -> Mapping[str, Mapping[str, Any]]:
    """Return the cost and the ends of each configuration, without failed runs tried again."""
    failed = pc.equal(rows["status"], "failed")
    tried = pc.fill_null(pc.less(rows["attempts"], spec.resources.max_failures), False)
    rows = rows.filter(pc.invert(pc.and_(failed, tried)))
    stopped = pc.equal(rows["status"], "stopped")
    trained = pc.invert(pc.and_(stopped, pc.equal(pc.fill_null(rows["steps"], 0), 0)))
    searched, fresh = (
        pc.is_in(rows["seed"], pa.array(list(seeds), pa.int64()))
        for seeds in (spec.seeds, spec.report_seeds)
    )
    bad = pc.is_in(rows["status"].cast(pa.string()), pa.array(["failed", "diverged"]))
    marks = {
        "searched": pc.and_(searched, trained),
        "fresh": pc.and_(fresh, trained),
        "ended": searched,
        "stopped": pc.and_(searched, stopped),
        "bad": pc.and_(searched, bad),
    }
    columns = {name: mark.cast(pa.int64()) for name, mark in marks.items()}
    columns["seconds"] = pc.fill_null(rows["seconds"], 0.0)
    key = "configuration_id"
    table = pa.table({key: rows[key].cast(pa.string()), **columns}).group_by(key)
    sums = table.aggregate([(name, "sum") for name in columns]).to_pylist()
    return {row[key]: {name: row[f"{name}_sum"] for name in columns} for row in sums}


def _is_closed(spec: Spec, cost: Mapping[str, Any]) -> bool:
    """Return whether a configuration has ended; one bad seed ends it in a race."""
    races = spec.early_stopping is not None and not spec.early_stopping.by_steps
    return bool(cost) and (
        cost["ended"] >= len(spec.seeds) or cost["stopped"] > 0 or (races and cost["bad"] > 0)
    )

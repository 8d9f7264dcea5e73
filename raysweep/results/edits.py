"""Stored runs of changed code, and stored runs that the sweep file no longer plans."""

import collections
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import RunFrame
from raysweep.results.membership import KEYS, LABELS, in_arms, membership, planned_rows
from raysweep.results.outdated import outdated, without_outdated
from raysweep.results.reader import read_all
from raysweep.results.setting_column import Mask
from raysweep.store import sweep_paths
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Change, texts
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.sweep.sources import JOINT
from raysweep.sweep.spec import Spec
from raysweep.text import again_command, counted

MADE_BY = ("task_name", "estimator_name", "definition", "code")
MAX_LABELS = 5  # arms that a line names


def warnings(spec: Spec, store: SweepStore, *, defaults: bool = True) -> list[str]:
    """Return a line for each default, task and estimator that changed since runs were stored.

    All columns are read only if those that identify definition and code differ from the present.

    Args:
        spec: The sweep file as it is now.
        store: Store of the sweep.
        defaults: Whether to include changed defaults, besides changed code.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store):
        return []
    runs = without_outdated(spec, read_all(store, spec))
    return [*(texts(runs.outdated) if defaults else ()), *recoded(spec, runs)]


def changes_since(store: SweepStore) -> list[str]:
    """Return a line for each task and estimator that changed since runs of a sweep were stored.

    Raises:
        StoreError: If the store cannot be read.
    """
    return warnings(store.spec(), store, defaults=False)


def changed_defaults(
    spec: Spec, store: SweepStore, leaving: Collection[str] = ()
) -> Mapping[Change, int]:
    """Return, for each changed default, the number of planned runs stored with its former value.

    Args:
        spec: The sweep file as it is now.
        store: Store of the sweep.
        leaving: Ids of runs that are not counted.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store, code=False):
        return {}
    runs = read_all(store, spec)
    if leaving:
        kept = pc.invert(pc.is_in(runs.run_ids, pa.array(sorted(leaving), pa.string())))
        runs = runs.keep(kept.to_numpy(zero_copy_only=False))
    return outdated(spec, runs).counts


def former_ids(spec: Spec, store: SweepStore) -> pa.Array:
    """Return the ids of the stored runs with former defaults; see `changed_defaults`.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store, code=False):
        return pa.array([], pa.string())
    runs = read_all(store, spec)
    return runs.run_ids.filter(pa.array(outdated(spec, runs).rows))


def _differs(spec: Spec, store: SweepStore, *, code: bool = True) -> bool:
    """Return whether any row may have another definition or other code than the spec's arms."""
    if not store.names_of_rows():
        return False
    rows = store.counted(MADE_BY[: 4 if code else 3])
    names = rows.column_names
    groups = rows.unify_dictionaries().group_by(names).aggregate([]).to_pylist()
    definitions = {arm.definition for arm in spec.arms}
    if any(row.get("definition") not in definitions for row in groups):
        return True
    codes = [row for row in groups if row.get("code") is not None]
    present = _codes(spec) if codes else {}
    first: dict[tuple[str, str], str] = {}  # code that is not here now, by program
    for row in codes:
        program = _program(row)
        expected = present.get(program) or first.setdefault(program, row["code"])
        if row["code"] != expected:
            return True
    return False


def _program(row: dict[str, str]) -> tuple[str, str]:
    return row["task_name"], row["estimator_name"]


def _codes(spec: Spec) -> dict[tuple[str, str], str]:
    """Return the present code of each task with each estimator, where it is known."""
    codes = {(arm.task, arm.estimator): arm.code for arm in spec.arms}
    return {program: code for program, code in codes.items() if code is not None}


def recoded(spec: Spec, runs: RunFrame) -> list[str]:
    """Return a line for each task and estimator whose code changed since its planned runs.

    Where the present code is not known, as a file of the user is not there, the runs are compared
    with each other. Runs that failed do not count: they have no result, and are trained anew in any
    case.
    """
    if "code" not in runs.table.column_names:
        return []
    rows = runs.table.select(["task_name", "estimator_name", "code"])
    status = runs.table["status"].cast(pa.string())
    has_result = pc.fill_null(pc.not_equal(status, "failed"), True)
    rows = rows.filter(pc.and_(has_result, pa.array(planned_rows(spec, runs)))).unify_dictionaries()
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    present, several = _codes(spec), dict[str, collections.Counter[str]]()
    groups = rows.group_by(rows.column_names).aggregate([([], "count_all")]).to_pylist()
    for row in groups:
        now = present.get(_program(row))
        if now is not None and row["code"] is not None:
            counts.update(dict.fromkeys(_changed_parts(row, now), row["count_all"]))
        elif row["code"] is not None:
            versions = several.setdefault(row["task_name"], collections.Counter())
            versions[row["code"].partition(JOINT)[0]] += row["count_all"]
    mixed = [_mixed(name, codes) for name, codes in sorted(several.items()) if len(codes) > 1]
    return mixed + [
        f"the code of {kind} {name} changed since {counted(count)}; to train them anew: "
        + again_command(f"{kind}_name = '{name}' and code not like '{pattern}'")
        for (kind, name, pattern), count in sorted(counts.items())
    ]


def _mixed(task: str, codes: collections.Counter[str]) -> str:
    """Return a line for a task whose planned runs come from several versions of its code."""
    shown = [f"{digest} ({counted(count)})" for digest, count in codes.most_common()]
    latest = codes.most_common(1)[0][0]
    return (
        f"the runs of task {task} come from {len(codes)} versions of its code: {', '.join(shown)}; "
        f"copies are in {sweep_paths.CODE}/ in the sweep's folder; to train the others anew: "
        + again_command(
            f"task_name = '{task}' and code not like '{latest}{JOINT}%'", with_code=True
        )
    )


def _changed_parts(row: dict[str, str], now: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and pattern of the present code for each changed part of a row's code."""
    before, present = row["code"].partition(JOINT), now.partition(JOINT)
    if before[0] != present[0]:
        yield "task", row["task_name"], f"{present[0]}{JOINT}%"
    if before[2] != present[2] and row["estimator_name"] != NO_ESTIMATOR:
        yield "estimator", row["estimator_name"], f"%{JOINT}{present[2]}"


def hidden(spec: Spec, runs: RunFrame) -> list[str]:
    """Return lines about the stored runs that the file does not plan; none if it plans all.

    Runs of arms that the file does not have are counted by themselves: many of them mean that
    another file has the same name.

    Args:
        spec: The sweep file as it is now.
        runs: Stored runs, with the columns `task` and `estimator`.
    """
    labels = membership(spec, runs, selected=bool(spec.report_seeds))
    rows = labels.labelled(runs.table.select([*KEYS, *LABELS]))
    left = ~rows["in_plan"].to_numpy()
    if not left.any():
        return []
    formerly_selected = left & in_arms(spec, runs) & np.isin(runs.seeds, spec.report_seeds)
    counts = _counts_of_arms(rows, left & ~formerly_selected)
    present = {arm.name for arm in spec.arms}
    missing = {name: count for name, count in counts.items() if name not in present}
    others = {name: count for name, count in counts.items() if name in present}
    end = "they stay in the store"
    if left.all():
        end += (
            ", but the result table now follows this file; to keep the sweeps apart, choose "
            "another name"
        )
    lines = []
    if missing:
        lines.append(
            f"{spec.name} holds {counted(sum(missing.values()))} of {counted(len(missing), 'arm')} "
            f"that this file does not have ({_listed(missing)}); {end}"
        )
    if others:
        total = sum(others.values())
        no_more = f"plans none of the {counted(total)} of {spec.name} in the store"
        fewer = f"no longer plans {counted(total, 'stored run')}"
        verb = no_more if total == len(left) else fewer
        lines.append(f"the file {verb} ({_listed(others)}); {end}")
    if fresh := _counts_of_arms(rows, formerly_selected):
        number = sum(fresh.values())
        lines.append(
            f"{counted(number, 'stored run')} {'is' if number == 1 else 'are'} on fresh seeds of "
            f"configurations that are no longer selected ({_listed(fresh)}); they stay in the store"
        )
    return lines


def _counts_of_arms(rows: pa.Table, mask: Mask) -> dict[str, int]:
    """Return the number of rows in a mask by the name of their arm, the largest first."""
    labels = rows.select(["estimator", "task"]).filter(pa.array(mask)).unify_dictionaries()
    groups = labels.group_by(["estimator", "task"]).aggregate([([], "count_all")]).to_pylist()
    groups.sort(key=lambda row: (-row["count_all"], str(row["estimator"]), str(row["task"])))
    return {f"{row['estimator']} · {row['task']}": row["count_all"] for row in groups}


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name}: {count}" for name, count in list(counts.items())[:MAX_LABELS]]
    if len(counts) > MAX_LABELS:
        shown.append(f"and {len(counts) - MAX_LABELS} more arms")
    return ", ".join(shown)


def ids_of(runs: RunFrame, rows: Mask) -> set[str]:
    """Return the ids of these rows."""
    return set(pc.filter(runs.run_ids, pa.array(rows)).to_pylist())

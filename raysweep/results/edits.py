"""Stored runs after edits: those of other code, and those that the sweep file no longer plans."""

import collections
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import Mask, RunFrame
from raysweep.results.outdated import outdated, without_outdated
from raysweep.results.reader import read_all
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Change, texts
from raysweep.sweep.sources import JOINT
from raysweep.sweep.spec import Spec
from raysweep.text import counted

MADE_BY = ("task_name", "estimator_name", "definition", "code")
MAX_LABELS = 5  # arms that a line names


def warnings(spec: Spec, store: SweepStore, *, defaults: bool = True) -> list[str]:
    """A line for each default, task and estimator that changed since runs were stored.

    The rows are read whole only if the columns that tell what made them differ from the present.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder.
        defaults: Whether changed defaults are wanted, besides changed code.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store):
        return []
    runs = without_outdated(spec, read_all(store, spec))
    return [*(texts(runs.outdated) if defaults else ()), *recoded(spec, runs)]


def changed_defaults(
    spec: Spec, store: SweepStore, leaving: Collection[str] = ()
) -> Mapping[Change, int]:
    """The number of planned runs that have a former default instead of the present one, by default.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder.
        leaving: Ids of runs that do not count.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store, code=False):
        return {}
    runs = read_all(store, spec)
    if leaving:
        stays = pc.invert(pc.is_in(runs.run_ids, pa.array(sorted(leaving), pa.string())))
        runs = runs.keep(stays.to_numpy(zero_copy_only=False))
    return outdated(spec, runs).counts


def former_ids(spec: Spec, store: SweepStore) -> pa.Array:
    """Ids of the stored runs with values of former defaults; see `changed_defaults`.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not _differs(spec, store, code=False):
        return pa.array([], pa.string())
    runs = read_all(store, spec)
    return runs.run_ids.filter(pa.array(outdated(spec, runs).rows))


def _differs(spec: Spec, store: SweepStore, *, code: bool = True) -> bool:
    """Whether any row may be of another definition or of other code than the spec's arms are."""
    if not store.names_of_rows():
        return False
    rows = store.counted(MADE_BY[: 4 if code else 3])
    names = rows.column_names
    found = rows.unify_dictionaries().group_by(names).aggregate([]).to_pylist()
    definitions = {arm.definition for arm in spec.arms}
    if any(row.get("definition") not in definitions for row in found):
        return True
    codes = [row for row in found if row.get("code") is not None]
    present = _codes(spec) if codes else {}
    return any(row["code"] != present.get(_program(row)) for row in codes)


def _program(row: dict[str, str]) -> tuple[str, str]:
    return row["task_name"], row["estimator_name"]


def _codes(spec: Spec) -> dict[tuple[str, str], str]:
    """The present code of each task with each estimator, where it is known."""
    codes = {(arm.task, arm.estimator): arm.code for arm in spec.arms}
    return {program: code for program, code in codes.items() if code is not None}


def in_file(spec: Spec, runs: RunFrame) -> Mask:
    """The rows that are runs of the sweep file: configurations of its arms, on its seeds."""
    old = outdated(spec, runs).rows
    kept = runs.keep(~old)
    held = np.zeros(kept.count, bool)
    for arm in spec.arms:
        held[kept.of(arm)] = True
    planned = np.isin(kept.seeds, [*spec.seeds, *spec.report_seeds])
    found = ~old
    found[~old] = held[kept.codes] & planned
    return found


def recoded(spec: Spec, runs: RunFrame) -> list[str]:
    """A line for each task and estimator whose code changed since runs that the file plans."""
    if "code" not in runs.table.column_names:
        return []
    rows = runs.table.select(["task_name", "estimator_name", "code"])
    rows = rows.filter(pa.array(in_file(spec, runs))).unify_dictionaries()
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    present = _codes(spec)
    groups = rows.group_by(rows.column_names).aggregate([([], "count_all")]).to_pylist()
    for row in groups:
        now = present.get(_program(row))
        if now is not None and row["code"] is not None:
            counts.update(dict.fromkeys(_changed_parts(row, now), row["count_all"]))
    return [
        f"the code of {kind} {name} changed since {counted(count)}; raysweep run FILE --again "
        f"\"{kind}_name = '{name}' and code not like '{pattern}'\" trains them anew"
        for (kind, name, pattern), count in sorted(counts.items())
    ]


def _changed_parts(row: dict[str, str], now: str) -> Iterator[tuple[str, str, str]]:
    """Kind, name and pattern of the present code of each part of a row's code that changed."""
    before, present = row["code"].partition(JOINT), now.partition(JOINT)
    if before[0] != present[0]:
        yield "task", row["task_name"], f"{present[0]}{JOINT}%"
    if before[2] != present[2]:
        yield "estimator", row["estimator_name"], f"%{JOINT}{present[2]}"


def hidden(spec: Spec, runs: RunFrame) -> list[str]:
    """A line on the stored runs that the file does not plan, if there are any.

    Args:
        spec: The sweep file as it is now.
        runs: With the columns `task` and `estimator`.
    """
    left = ~in_file(spec, runs)
    count = int(left.sum())
    if not count:
        return []
    labels = runs.table.select(["estimator", "task"]).filter(pa.array(left)).unify_dictionaries()
    groups = labels.group_by(["estimator", "task"]).aggregate([([], "count_all")]).to_pylist()
    groups.sort(key=lambda row: (-row["count_all"], str(row["estimator"]), str(row["task"])))
    named = _listed([f"{row['estimator']} · {row['task']}: {row['count_all']}" for row in groups])
    if count == len(left):
        return [
            f"the file plans none of the {counted(count)} that the store has of {spec.name} "
            f"({named}); they stay in the store, but its table is this file's from now on; "
            "another name keeps them apart"
        ]
    return [
        f"the file no longer plans {counted(count, 'stored run')} ({named}); they stay in the store"
    ]


def _listed(texts_: Sequence[str]) -> str:
    shown = list(texts_[:MAX_LABELS])
    if len(texts_) > MAX_LABELS:
        shown.append(f"and {len(texts_) - MAX_LABELS} more arms")
    return ", ".join(shown)


def ids_of(runs: RunFrame, rows: Mask) -> set[str]:
    """The ids of these rows."""
    return set(pc.filter(runs.run_ids, pa.array(rows)).to_pylist())

"""Ended runs of a store as arrays, for selection."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from raysweep.errors import SpecError
from raysweep.results.frame import NEEDED, Labels, RunFrame
from raysweep.results.membership import ADDED, LABELS, Membership, membership
from raysweep.results.outdated import without_outdated
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec


def read_ended(
    store: SweepStore,
    spec: Spec,
    metrics: Sequence[str] = (),
    about: Sequence[str] = (),
    where: str | None = None,
) -> RunFrame:
    """Return every ended run with these final metrics, without runs of outdated defaults.

    Args:
        store: Store of the sweep.
        spec: The sweep file as it is now.
        metrics: Names of final metrics.
        about: Further columns of `runs` to read.
        where: Condition in SQL that the runs must meet.

    Raises:
        SpecError: If no run meets the condition, or it is not valid SQL.
    """
    return without_outdated(spec, read_all(store, spec, metrics, about, where))


def read_all(
    store: SweepStore,
    spec: Spec,
    metrics: Sequence[str] = (),
    about: Sequence[str] = (),
    where: str | None = None,
) -> RunFrame:
    """Return every ended run, including runs of outdated defaults; see `read_ended`.

    If there are fresh seeds, the metric that selects is always read: it decides which runs on
    fresh seeds are planned.
    """
    runs, dataset = _read(store, spec, metrics, about)
    if where is None:
        return runs
    matches = _meeting(store, spec, dataset, where, "where")
    if not matches.num_rows:
        raise SpecError(f"no run meets the condition {where!r}", field="where")
    table = runs.table
    kept = table.filter(pc.is_in(table["run_id"], matches["run_id"]))
    left_out: set[int] = set(pc.unique(table["seed"]).to_pylist())
    left_out -= set(pc.unique(kept["seed"]).to_pylist())
    frame = RunFrame(kept, frozenset(left_out), runs.same)
    if "task" in matches.column_names:
        frame.within = _arms_within(matches)
    return frame


def read_meeting(store: SweepStore, spec: Spec, where: str, field: str) -> pa.Array:
    """Return the ids of the ended runs that meet a condition in SQL, with their present labels.

    Args:
        store: Store of the sweep.
        spec: The sweep file as it is now.
        where: Condition in SQL.
        field: Name of the argument that holds the condition, for the error.

    Raises:
        SpecError: If it is not valid SQL.
    """
    dataset = store.dataset("runs", schema.runs_schema(spec))
    return _meeting(store, spec, dataset, where, field)["run_id"].unique()


def meeting_rows(rows: pa.Table, labels: Membership, where: str, field: str) -> list[str]:
    """Return the ids of rows of `runs`, in no file, that meet a condition; see `read_meeting`."""
    from raysweep.results.sql import meeting

    return meeting(rows, where, field, labels)["run_id"].unique().to_pylist()


def labels_for(store: SweepStore, spec: Spec, where: str) -> Membership | None:
    """Return the labels that a condition in SQL needs; None if the stored ones do."""
    from raysweep.results.sql import names_labels, names_plan

    if names_plan(where):
        return read_labels(store, spec)
    if names_labels(where) and not (store.labels_hold(spec) and not may_share(spec)):
        return read_labels(store, spec, selected=False)
    return None


def may_share(spec: Spec) -> bool:
    """Return whether two arms may have configurations in common, and so runs."""
    programs = [(arm.task, arm.estimator) for arm in spec.arms]
    return len(set(programs)) < len(programs)


def read_labels(store: SweepStore, spec: Spec, *, selected: bool = True) -> Membership:
    """Return the arms of the present file that stored runs belong to; see `membership`."""
    metrics = [spec.select.metric] if selected else []
    return membership(spec, read_all(store, spec, metrics, LABELS), selected=selected)


def with_labels(store: SweepStore, spec: Spec, rows: pa.Table) -> pa.Table:
    """Return rows of `runs`, which must have the columns `KEYS` and `LABELS`, with present labels.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not rows.num_rows or store.labels_hold(spec):
        return rows
    return read_labels(store, spec, selected=False).labelled(rows).drop_columns(list(ADDED))


def _meeting(
    store: SweepStore, spec: Spec, dataset: pads.Dataset, where: str, field: str
) -> pa.Table:
    from raysweep.results.sql import meeting

    labels = labels_for(store, spec, where)
    with store.reading(dataset):
        return meeting(dataset, where, field, labels)


def _arms_within(matches: pa.Table) -> Mapping[str, frozenset[Labels]]:
    """Return the labels of the arms in which each configuration meets a condition.

    Args:
        matches: A row for each run and each of its arms in which it meets the condition.

    Raises:
        SpecError: If two arms that share a configuration keep different runs of it.
    """
    names = ["configuration_id", *LABELS]
    counts = matches.group_by(names).aggregate([("run_id", "count")]).to_pylist()
    arms: dict[str, set[Labels]] = {}
    for row in counts:
        arms.setdefault(row["configuration_id"], set()).add((row["task"], row["estimator"]))
    runs = matches.group_by("configuration_id").aggregate([("run_id", "count_distinct")])
    columns = (runs[name].to_pylist() for name in ("configuration_id", "run_id_count_distinct"))
    distinct = dict(zip(*columns, strict=True))
    for row in counts:
        key = row["configuration_id"]
        if row["run_id_count"] < distinct[key]:
            shared = " and ".join(sorted(f"{estimator} · {task}" for task, estimator in arms[key]))
            raise SpecError(
                f"expected a condition that keeps the same runs of a configuration for all arms "
                f"that share it, got other runs of {key} for each of {shared}; leave the labels "
                "out of the condition, and choose arms by their labels instead",
                field="where",
            )
    return {key: frozenset(labels) for key, labels in arms.items()}


def _read(
    store: SweepStore, spec: Spec, metrics: Sequence[str], about: Sequence[str]
) -> tuple[RunFrame, pads.Dataset]:
    """Return every ended run, and the files that have them."""
    dataset = store.dataset("runs", schema.runs_schema(spec), encoded=True)
    selecting = [spec.select.metric] if spec.report_seeds else []
    wanted = {*NEEDED, *about, *(f"metric.{metric}" for metric in (*metrics, *selecting))}
    names = [name for name in dataset.schema.names if name in wanted or name.startswith("param.")]
    same = store.constants(dataset, names)
    fields = [dataset.schema.field(name) for name in same]
    fields = [field.with_type(same[field.name].type) for field in fields]
    one_row = pa.table([[value] for value in same.values()], schema=pa.schema(fields))
    table = store.read(dataset, [name for name in names if name not in same])
    return RunFrame(table, same=one_row), dataset

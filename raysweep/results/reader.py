"""Ended runs of a store as arrays, for selection."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from raysweep.results.frame import NEEDED, RunFrame
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
    """Return every ended run, including runs of outdated defaults; see `read_ended`."""
    runs, dataset = _read(store, spec, metrics, about)
    if where is None:
        return runs
    run_ids = _matching(store, spec, dataset, where)
    table = runs.table
    kept = table.filter(pc.is_in(table["run_id"], run_ids))
    left_out: set[int] = set(pc.unique(table["seed"]).to_pylist())
    left_out -= set(pc.unique(kept["seed"]).to_pylist())
    return RunFrame(kept, frozenset(left_out), runs.same)


def read_matching(store: SweepStore, spec: Spec, where: str) -> pa.ChunkedArray:
    """Return the ids of the runs that meet a condition in SQL, with their present labels.

    Raises:
        SpecError: If no run meets the condition, or it is not valid SQL.
    """
    return _matching(store, spec, store.dataset("runs", schema.runs_schema(spec)), where)


def labels_for(store: SweepStore, spec: Spec, where: str) -> Membership | None:
    """Return the labels that a condition in SQL needs; None if the stored ones do."""
    from raysweep.results.sql import names_labels, names_plan

    if names_plan(where):
        return read_labels(store, spec)
    if names_labels(where) and not store.labels_hold(spec):
        return read_labels(store, spec, selected=False)
    return None


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


def _matching(store: SweepStore, spec: Spec, dataset: pads.Dataset, where: str) -> pa.ChunkedArray:
    from raysweep.results.sql import matching

    labels = labels_for(store, spec, where)
    with store.reading(dataset):
        return matching(dataset, where, labels)


def _read(
    store: SweepStore, spec: Spec, metrics: Sequence[str], about: Sequence[str]
) -> tuple[RunFrame, pads.Dataset]:
    """Return every ended run, and the files that have them."""
    dataset = store.dataset("runs", schema.runs_schema(spec), encoded=True)
    wanted = {*NEEDED, *about, *(f"metric.{metric}" for metric in metrics)}
    names = [name for name in dataset.schema.names if name in wanted or name.startswith("param.")]
    same = store.constants(dataset, names)
    fields = [dataset.schema.field(name) for name in same]
    fields = [field.with_type(same[field.name].type) for field in fields]
    one_row = pa.table([[value] for value in same.values()], schema=pa.schema(fields))
    table = store.read(dataset, [name for name in names if name not in same])
    return RunFrame(table, same=one_row), dataset

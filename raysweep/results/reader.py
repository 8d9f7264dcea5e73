"""Ended runs of a store as arrays, for selection."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import NEEDED, RunFrame
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
    dataset = store.dataset("runs", schema.runs_schema(spec), encoded=True)
    wanted = {*NEEDED, *about, *(f"metric.{metric}" for metric in metrics)}
    names = [name for name in dataset.schema.names if name in wanted or name.startswith("param.")]
    same = store.constants(dataset, names)
    fields = [dataset.schema.field(name) for name in same]
    fields = [field.with_type(same[field.name].type) for field in fields]
    one_row = pa.table([[value] for value in same.values()], schema=pa.schema(fields))
    table = store.read(dataset, [name for name in names if name not in same])
    if where is None:
        return RunFrame(table, same=one_row)
    from raysweep.results.sql import matching

    with store.reading(dataset):
        run_ids = matching(dataset, where)
    kept = table.filter(pc.is_in(table["run_id"], run_ids))
    left_out: set[int] = set(pc.unique(table["seed"]).to_pylist())
    left_out -= set(pc.unique(kept["seed"]).to_pylist())
    return RunFrame(kept, frozenset(left_out), one_row)

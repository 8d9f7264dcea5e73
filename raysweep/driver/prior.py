"""Prior results of a search, from another sweep: `search: {from: NAME}`."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from raysweep.errors import SpecError
from raysweep.results.edits import former_ids
from raysweep.scheduling.warm_start import PriorConfiguration, PriorResults
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec


def prior_results(spec: Spec, store: SweepStore) -> PriorResults | None:
    """Return the results in `search.from`; None if the sweep file names no other sweep.

    A configuration is used if all its seeds in the other sweep finished; its value is their mean.
    Runs with former default values are ignored.

    Args:
        spec: The sweep whose searches use the results.
        store: Folder of this sweep; the other sweep is in the same store.

    Raises:
        SpecError: If the store has no sweep of that name, or its tasks lack a metric.
    """
    if spec.search.source is None:
        return None
    other = SweepStore(store.store.uri, spec.search.source)
    try:
        seeds = set(other.spec().seeds)
    except SpecError as error:
        raise SpecError(f"search.from: {error}") from error
    metrics = [f"metric.{objective.metric}" for objective in spec.select.all]
    table = other.runs()
    missing = [name for name in metrics if name not in table.column_names]
    if missing:
        raise SpecError(
            f"search.from: sweep {other.sweep!r} has no {missing[0]}, by which this sweep selects; "
            "name a sweep of the same tasks"
        )
    former = pc.is_in(table["run_id"], former_ids(spec, other))
    table = table.filter(pc.invert(former))
    by_configuration: dict[str, list[Mapping[str, Any]]] = {}
    for row in table.sort_by("run_id").to_pylist():
        if row["seed"] in seeds:
            by_configuration.setdefault(row["configuration_id"], []).append(row)
    complete = {
        key: rows for key, rows in by_configuration.items() if _complete(rows, seeds, metrics)
    }
    return PriorResults(
        other.sweep,
        [
            PriorConfiguration(
                key,
                schema.decode_settings(rows[0], table.schema),
                tuple(statistics.fmean(row[name] for row in rows) for name in metrics),
            )
            for key, rows in complete.items()
        ],
    )


def _complete(rows: Sequence[Mapping[str, Any]], seeds: set[int], metrics: Sequence[str]) -> bool:
    """Return whether every seed finished, with a value of each metric."""
    return {row["seed"] for row in rows} == seeds and all(
        row["status"] == "done" and all(row[name] is not None for name in metrics) for row in rows
    )

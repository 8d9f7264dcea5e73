"""Reads the sweep that a search learns from before it begins: `search: {from: NAME}`."""

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
    """The results of the sweep that the searches learn from; None if there is no such sweep.

    A configuration counts if all its seeds in the other sweep ended well; its value is their mean.
    Runs with values of former defaults do not count.

    Args:
        spec: The sweep whose searches learn.
        store: Its folder; the other sweep is in the same store.

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
    metrics = [f"metric.{each.metric}" for each in spec.select.all]
    table = other.runs()
    lacking = [name for name in metrics if name not in table.column_names]
    if lacking:
        raise SpecError(
            f"search.from: expected a sweep with {lacking[0]}, got {other.sweep!r}, whose tasks "
            "have no such metric"
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
    """Whether every seed ended well, with a value of each metric."""
    return {row["seed"] for row in rows} == seeds and all(
        row["status"] == "done" and all(row[name] is not None for name in metrics) for row in rows
    )

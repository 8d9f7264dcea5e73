"""Warm start: what another sweep of the store tells a search before it begins."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from raysweep.errors import SpecError
from raysweep.results.edits import former_ids
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.state import Outcome
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec


def learn(spec: Spec, store: SweepStore, searches: Sequence[ArmSearch]) -> dict[str, int]:
    """Tells each arm's study the other sweep's results of the same task and estimator.

    A configuration counts if it lies inside the arm's space, so that fixed settings agree, and all
    its seeds in the other sweep ended well; its value is their mean. Runs with values of former
    defaults do not count.

    Returns:
        How many configurations each arm learnt of, by its name; empty without another sweep.

    Raises:
        SpecError: If there is no such sweep, or nothing in it is inside any arm's space.
    """
    if spec.search.source is None:
        return {}
    other = SweepStore(store.store.uri, spec.search.source)
    try:
        their_seeds = set(other.spec().seeds)
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
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in table.sort_by("run_id").to_pylist():
        if row["seed"] in their_seeds:
            found.setdefault(row["configuration_id"], []).append(row)
    complete = {key: rows for key, rows in found.items() if _complete(rows, their_seeds, metrics)}
    learnt = {}
    for search in searches:
        learnt[search.arm.name] = 0
        for key, rows in complete.items():
            settings = schema.decode_settings(rows[0], table.schema)
            assignment = search.arm.locate(key, settings)
            if assignment is not None:
                values = (statistics.fmean(row[name] for row in rows) for name in metrics)
                search.study.learn(assignment, Outcome(tuple(values)))
                learnt[search.arm.name] += 1
    if not any(learnt.values()):
        raise SpecError(
            f"search.from: expected results inside the space of an arm, got {len(complete)} "
            f"finished configurations of {other.sweep!r}, none of them inside; the settings that "
            "are fixed here must be the same there"
        )
    return learnt


def _complete(rows: Sequence[Mapping[str, Any]], seeds: set[int], metrics: Sequence[str]) -> bool:
    """Whether every seed ended well, with a value of each metric."""
    return {row["seed"] for row in rows} == seeds and all(
        row["status"] == "done" and all(row[name] is not None for name in metrics) for row in rows
    )

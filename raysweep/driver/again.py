"""Retraining: planned runs that meet a condition lose their rows and are planned again."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.results.edits import ids_of, in_file
from raysweep.results.outdated import outdated
from raysweep.results.reader import labels_for, read_all
from raysweep.results.sql import meeting
from raysweep.store import again_file, checkpoints, schema
from raysweep.store.checkpoints import Manifest
from raysweep.store.files import Files
from raysweep.store.rows import run_row
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Counterparts
from raysweep.sweep.spec import Spec

StartedConfiguration = tuple[str, Mapping[str, Any]]  # its id and settings


@dataclasses.dataclass(frozen=True)
class Again:
    """Runs and packs to be trained again.

    Args:
        runs: Ids of runs that had ended.
        packs: Ids of packs in flight, which start over.
        configurations: Ids and settings of the configurations of both.
    """

    runs: frozenset[str] = frozenset()
    packs: frozenset[str] = frozenset()
    configurations: tuple[StartedConfiguration, ...] = ()


def chosen(spec: Spec, store: SweepStore, condition: str) -> Again:
    """Return the planned runs that meet a condition, and their packs; nothing is removed.

    A pack in flight with such a run is included whole. Runs that the sweep file does not plan
    are not included.

    Args:
        spec: Spec of the present sweep file.
        store: The sweep's folder, under the spec's schema.
        condition: SQL over the columns of `runs`.

    Raises:
        SpecError: If DuckDB refuses the condition, or no planned run meets it.
        StoreError: If the store cannot be read.
    """
    runs = read_all(store, spec)
    planned = np.isin(runs.seeds, [*spec.seeds, *spec.report_seeds])
    planned_rows = in_file(spec, runs) | (outdated(spec, runs).rows & planned)
    dataset = store.dataset("runs", schema.runs_schema(spec))
    labels = labels_for(store, spec, condition)
    with store.reading(dataset):
        matching = meeting(dataset, condition, "again", labels).to_pylist()
    run_ids = set(matching) & ids_of(runs, planned_rows)
    manifests = _matching_packs(spec, store, condition)
    if not run_ids and not manifests:
        raise SpecError(
            f"no stored run of the sweep file meets the condition {condition!r}; "
            "`raysweep rm --where` deletes runs that the file no longer plans",
            field="again",
        )
    rows = np.isin(runs.run_ids.to_numpy(zero_copy_only=False), list(run_ids))
    codes = sorted(set(runs.codes[rows].tolist()))
    settings = runs.settings_of(runs.first[codes])
    configurations = [
        *((runs.ids[code], values) for code, values in zip(codes, settings, strict=True)),
        *(
            (run.configuration_id, run.settings)
            for manifest in manifests
            for run in manifest.pack.runs
        ),
    ]
    packs = frozenset(manifest.pack.pack_id for manifest in manifests)
    return Again(frozenset(run_ids), packs, tuple(configurations))


def remove(spec: Spec, store: SweepStore, retrained: Again) -> None:
    """Remove the results of runs to be trained again; needs the driver's lease.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    _note(spec, store.files, retrained.configurations)
    store.remove_runs(retrained.runs, retrained.packs)


def remove_for_good(store: SweepStore, run_ids: Collection[str]) -> None:
    """Remove ended runs; a search does not finish configurations that lose all their runs.

    Args:
        store: The sweep's folder; its lease must be held.
        run_ids: Ids of the runs to remove.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    noted = again_file.read(store.files)
    removed = store.remove_runs(run_ids).configurations
    remaining = {key: settings for key, settings in noted.items() if key not in removed}
    if len(remaining) < len(noted):
        again_file.write(store.files, remaining)


def _note(spec: Spec, files: Files, configurations: Iterable[StartedConfiguration]) -> None:
    """Note the configurations that the search must keep, with the present defaults."""
    if spec.search.sampler == "grid":
        return  # its configurations follow from the file
    noted = again_file.read(files)
    for configuration_id, settings in configurations:
        noted[configuration_id] = _present(spec, configuration_id, settings)
    again_file.write(files, noted)


def _present(spec: Spec, configuration_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration, with the present values of changed defaults."""
    for arm in spec.arms:
        changed = Counterparts(arm).changed(configuration_id, settings)
        if changed is not None:
            return {**settings, **{key: arm.defaults[key] for key in changed}}
    return dict(settings)


def _matching_packs(spec: Spec, store: SweepStore, condition: str) -> list[Manifest]:
    """Return the packs in flight with a run that has not ended and meets the condition."""
    manifests = checkpoints.in_flight(store.files)
    columns = store.schema("runs", schema.runs_schema(spec))
    rows, owners = [], {}
    for manifest in manifests:
        for run in manifest.pack.runs:
            if run.run_id in manifest.active:
                known = {
                    key: value
                    for key, value in run.settings.items()
                    if f"param.{key}" in columns.names
                }
                stored = dataclasses.replace(run, settings=known)
                rows.append(run_row(spec.name, manifest.pack, stored, columns))
                owners[run.run_id] = manifest
    if not rows:
        return []
    table = schema.rows_table(rows, columns)
    run_ids = meeting(table, condition, "again").to_pylist()
    matching = {owners[run_id].pack.pack_id: owners[run_id] for run_id in run_ids}
    return list(matching.values())

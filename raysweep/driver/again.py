"""Training runs anew: the planned runs that meet a condition lose their rows, and are planned."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.results.edits import ids_of, in_file
from raysweep.results.outdated import outdated
from raysweep.results.reader import read_all
from raysweep.results.sql import meeting
from raysweep.store import again_file, checkpoints, schema
from raysweep.store.checkpoints import Manifest
from raysweep.store.files import Files
from raysweep.store.rows import run_row
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Counterparts
from raysweep.sweep.spec import Spec

Began = tuple[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Again:
    """What is to be trained anew.

    Args:
        runs: Ids of runs that had ended.
        packs: Ids of packs in flight, which begin anew.
        began: Configurations of both, with their settings.
    """

    runs: frozenset[str] = frozenset()
    packs: frozenset[str] = frozenset()
    began: tuple[Began, ...] = ()


def chosen(spec: Spec, store: SweepStore, condition: str) -> Again:
    """What the store has of planned runs that meet a condition; nothing is removed.

    Packs in flight with such a run go whole. Runs that the sweep file does not plan stay.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder, under the spec's schema.
        condition: SQL over the columns of `runs`.

    Raises:
        SpecError: If DuckDB refuses the condition, or no planned run meets it.
        StoreError: If the store cannot be read.
    """
    runs = read_all(store, spec)
    planned = np.isin(runs.seeds, [*spec.seeds, *spec.report_seeds])
    here = in_file(spec, runs) | (outdated(spec, runs).rows & planned)
    dataset = store.dataset("runs", schema.runs_schema(spec))
    with store.reading(dataset):
        met = set(meeting(dataset, condition, "again").to_pylist()) & ids_of(runs, here)
    manifests = _matching_packs(spec, store, condition)
    if not met and not manifests:
        raise SpecError(
            f"expected a condition that some stored run of the file meets, got "
            f"{condition!r}; `raysweep rm --where` removes runs that the file does not plan",
            field="again",
        )
    rows = np.isin(runs.run_ids.to_numpy(zero_copy_only=False), list(met))
    configurations = sorted(set(runs.codes[rows].tolist()))
    settings = runs.settings_of(runs.first[configurations])
    began = [
        *((runs.ids[code], own) for code, own in zip(configurations, settings, strict=True)),
        *((run.configuration_id, run.settings) for each in manifests for run in each.pack.runs),
    ]
    packs = frozenset(each.pack.pack_id for each in manifests)
    return Again(frozenset(met), packs, tuple(began))


def remove(spec: Spec, store: SweepStore, leaving: Again) -> None:
    """Removes what is to be trained anew; under the driver's lease.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    _note(spec, store.files, leaving.began)
    store.remove_runs(leaving.runs, leaving.packs)


def remove_for_good(store: SweepStore, run_ids: Collection[str]) -> None:
    """Removes ended runs; a search does not finish configurations of which none is left.

    Args:
        store: The sweep's folder, under the driver's lease.
        run_ids: Ids of the runs.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    noted = again_file.read(store.files)
    gone = store.remove_runs(run_ids).configurations
    left = {key: own for key, own in noted.items() if key not in gone}
    if len(left) < len(noted):
        again_file.write(store.files, left)


def _note(spec: Spec, files: Files, began: Iterable[Began]) -> None:
    """Notes what the search must not forget, with the present values of changed defaults."""
    if spec.search.sampler == "grid":
        return  # its configurations follow from the file
    noted = again_file.read(files)
    for configuration_id, settings in began:
        noted[configuration_id] = _present(spec, configuration_id, settings)
    again_file.write(files, noted)


def _present(spec: Spec, configuration_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the configuration of this id has now."""
    for arm in spec.arms:
        changed = Counterparts(arm).changed(configuration_id, settings)
        if changed is not None:
            return {**settings, **{key: arm.defaults[key] for key in changed}}
    return dict(settings)


def _matching_packs(spec: Spec, store: SweepStore, condition: str) -> list[Manifest]:
    """The packs in flight of which a run that has not ended meets the condition."""
    manifests = checkpoints.in_flight(store.files)
    columns = store.schema("runs", schema.runs_schema(spec))
    rows, owners = [], {}
    for manifest in manifests:
        for run in manifest.pack.runs:
            if run.run_id in manifest.active:
                known = {k: own for k, own in run.settings.items() if f"param.{k}" in columns.names}
                stored = dataclasses.replace(run, settings=known)
                rows.append(run_row(spec.name, manifest.pack, stored, columns))
                owners[run.run_id] = manifest
    if not rows:
        return []
    table = schema.rows_table(rows, columns)
    met = meeting(table, condition, "again").to_pylist()
    found = {owners[run_id].pack.pack_id: owners[run_id] for run_id in met}
    return list(found.values())

"""Retraining: planned runs that meet a condition lose their rows and are planned again."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.results.edits import ids_of
from raysweep.results.membership import planned_rows
from raysweep.results.outdated import outdated
from raysweep.results.reader import read_all, read_meeting
from raysweep.results.unfinished import unfinished
from raysweep.store import again_file
from raysweep.store.files import Files
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

    An unfinished pack with such a run is included whole. Runs that the sweep file does not plan
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
    seeds = [*spec.seeds, *spec.report_seeds]
    former = outdated(spec, runs).rows & np.isin(runs.seeds, seeds)
    wanted = ids_of(runs, planned_rows(spec, runs) | former)
    run_ids = wanted & set(read_meeting(store, spec, condition, "again").to_pylist())
    begun = unfinished(spec, store)
    in_packs = begun.planned_or_former(seeds) & begun.meeting(condition, "again")
    manifests = begun.packs_with(in_packs)
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


def remove_for_good(
    store: SweepStore, run_ids: Collection[str], packs: Collection[str] = ()
) -> None:
    """Remove ended runs and unfinished packs; a search forgets configurations without any run.

    Args:
        store: The sweep's folder; its lease must be held.
        run_ids: Ids of the ended runs to remove.
        packs: Ids of the unfinished packs to remove.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    noted = again_file.read(store.files)
    removed = store.remove_runs(run_ids, packs).configurations
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

"""Checks and warnings at the start of a session: changed defaults, code and sweep files."""

import collections
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from raysweep.driver import again, no_effect
from raysweep.driver.again import Again
from raysweep.errors import SpecError
from raysweep.results.edits import changed_defaults, hidden, warnings
from raysweep.results.reader import read_all
from raysweep.results.unfinished import stale_packs, unfinished
from raysweep.search import sampler_state
from raysweep.store import checkpoints, removal
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Change, Counterparts, texts
from raysweep.sweep.size import Total
from raysweep.sweep.spec import Spec
from raysweep.text import again_command, counted

NO_RUNS = Again()


class Planned(Protocol):
    """A planned sweep: the part of `Schedule` that warnings need."""

    spec: Spec
    store: SweepStore
    failures: dict[str, int]

    @property
    def planned(self) -> Mapping[str, Any]:
        """Planned runs by id."""

    @property
    def manifests(self) -> Sequence[checkpoints.Manifest]:
        """Packs that earlier sessions began and did not end."""

    @property
    def ended(self) -> Mapping[str, Any]:
        """Results of ended runs, by run id."""

    @property
    def total(self) -> Total:
        """Number of runs that the sweep will hold."""

    def resumes(self, manifest: checkpoints.Manifest) -> bool:
        """Return whether the session resumes a pack that an earlier one began."""


def begin(spec: Spec, store: SweepStore, condition: str | None) -> Again:
    """Check the stored runs, and return those to be trained again; no result is removed.

    The driver calls it under its lease, once the store has the spec's schema.

    Args:
        spec: Spec of the present sweep file.
        store: The sweep's folder.
        condition: SQL condition on the runs to be trained again; None if none are.

    Raises:
        SpecError: If no run meets the condition, or stored runs have former default values.
        StoreError: If the store cannot be read or written.
    """
    removal.end(store.files)
    sampler_state.set_aside_if_damaged(store.files)
    retrained = again.chosen(spec, store, condition) if condition is not None else NO_RUNS
    refuse_former_defaults(spec, store, retrained)
    return retrained


def refuse_former_defaults(spec: Spec, store: SweepStore, retrained: Again = NO_RUNS) -> None:
    """Refuse a store whose planned runs have default values that have since changed.

    Args:
        spec: Spec of the present sweep file.
        store: The sweep's folder.
        retrained: Runs and packs to ignore, as they will be trained again.

    Raises:
        SpecError: With a line for each default that changed.
        StoreError: If the store cannot be read.
    """
    counts = collections.Counter(changed_defaults(spec, store, retrained.runs))
    counts += _in_flight(spec, store, retrained.packs)
    if counts:
        conditions = " or ".join(sorted({change.condition for change in counts}))
        raise SpecError(
            f"{line}, or train them again: {again_command(conditions)}" for line in texts(counts)
        )


def _in_flight(
    spec: Spec, store: SweepStore, ignored: Collection[str]
) -> collections.Counter[Change]:
    """Count the runs of unfinished packs that have former default values, by changed default."""
    counts: collections.Counter[Change] = collections.Counter()
    definitions = {arm.definition for arm in spec.arms}
    planned = {*spec.seeds, *spec.report_seeds}
    for manifest in checkpoints.in_flight(store.files):
        pack = manifest.pack
        if pack.pack_id in ignored:
            continue
        arms = [
            arm for arm in spec.arms if (arm.task, arm.estimator) == (pack.task, pack.estimator)
        ]
        counterparts = [Counterparts(arm) for arm in arms]
        for run in pack.runs:
            if run.run_id not in manifest.active or run.seed not in planned:
                continue
            if run.definition in definitions:
                continue
            for counterpart in counterparts:
                keys = counterpart.changed(run.configuration_id, run.settings, run.definition)
                if keys is not None:
                    counts.update(
                        Change.of(counterpart.arm, key, run.settings[key]) for key in keys
                    )
                    break
    return counts


def resuming(schedule: Planned, retrained: Again = NO_RUNS) -> list[str]:
    """Return lines on what earlier sessions have done; none for a new sweep.

    Args:
        schedule: The planned sweep, before any result is removed.
        retrained: Runs and packs that will be trained again from their start.
    """
    ended = sum(
        1 for key in schedule.planned if key in schedule.ended and key not in retrained.runs
    )
    steps = sorted(
        manifest.step
        for manifest in schedule.manifests
        if schedule.resumes(manifest) and manifest.pack.pack_id not in retrained.packs
    )
    lines = []
    if retrained != NO_RUNS:
        counts = [counted(len(retrained.runs))] if retrained.runs else []
        counts += [counted(len(retrained.packs), "unfinished pack")] if retrained.packs else []
        lines.append(f"training again from the start: {' and '.join(counts)}")
    if not ended and not steps:
        return lines
    line = f"resuming: {schedule.total.after(ended)} ended"
    if steps:
        reached = f"{steps[0]:,}" if steps[0] == steps[-1] else f"{steps[0]:,} to {steps[-1]:,}"
        noun = "step" if steps[0] == steps[-1] else "steps"
        line += f", {counted(len(steps), 'pack')} from {noun} {reached}"
    return [*lines, line]


def nothing_missing(schedule: Planned) -> list[str]:
    """Return a line for a session that has nothing to train."""
    ended = sum(1 for run_id in schedule.planned if run_id in schedule.ended)
    return [f"nothing to train: {counted(ended)} ended before"]


def notices(schedule: Planned) -> list[str]:
    """Return warnings, a line each: settings without effect, edited code, what the file leaves out.

    Raises:
        StoreError: If the store cannot be read.
    """
    spec, store = schedule.spec, schedule.store
    lines = [*no_effect.warnings(spec), *warnings(spec, store)]
    if (schedule.ended.keys() | schedule.failures.keys()) - schedule.planned.keys():
        lines += hidden(spec, read_all(store, spec, about=("task", "estimator")))
    if not all(map(schedule.resumes, schedule.manifests)):
        lines += filter(None, [stale_packs(spec.name, unfinished(spec, store).stale)])
    return lines

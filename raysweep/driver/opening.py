"""What a session does and says before it plans: former defaults, edited code, an edited file."""

import collections
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from raysweep.driver import again
from raysweep.driver.again import Again
from raysweep.errors import SpecError
from raysweep.results.edits import changed_defaults, hidden, warnings
from raysweep.results.reader import read_all
from raysweep.search import sampler_state
from raysweep.store import checkpoints, removal
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.defaults import Change, Counterparts, texts
from raysweep.sweep.spec import Spec

NOTHING = Again()


class Planned(Protocol):
    """What is known of a sweep once it is planned: a `Schedule`."""

    spec: Spec
    store: SweepStore
    failures: dict[str, int]

    @property
    def planned(self) -> Mapping[str, Any]:
        """Runs of the sweep, by id."""

    @property
    def ended(self) -> Mapping[str, Any]:
        """How runs ended, by id."""


def begin(spec: Spec, store: SweepStore, condition: str | None) -> Again:
    """Refuses a store of former defaults, and says what is to be trained anew; removes nothing.

    For the driver, under its lease, once the store has the spec's schema.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder.
        condition: In SQL, on runs to be trained anew, if there are such.

    Raises:
        SpecError: If no run meets the condition, or runs have values of former defaults.
        StoreError: If the store cannot be read or written.
    """
    removal.end(store.files)
    sampler_state.set_aside_if_damaged(store.files)
    leaving = again.chosen(spec, store, condition) if condition is not None else NOTHING
    refuse_former_defaults(spec, store, leaving)
    return leaving


def refuse_former_defaults(spec: Spec, store: SweepStore, leaving: Again = NOTHING) -> None:
    """Refuses a store in which planned runs have other values than they would have now.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder.
        leaving: Runs and packs that do not count, as they will train anew.

    Raises:
        SpecError: With a line for each default that changed.
        StoreError: If the store cannot be read.
    """
    counts = collections.Counter(changed_defaults(spec, store, leaving.runs))
    counts += _in_flight(spec, store, leaving.packs)
    if counts:
        conditions = " or ".join(sorted({each.condition for each in counts}))
        raise SpecError(
            f'{line}, or train them anew: raysweep run FILE --again "{conditions}"'
            for line in texts(counts)
        )


def _in_flight(
    spec: Spec, store: SweepStore, leaving: Collection[str]
) -> collections.Counter[Change]:
    """The same of packs that began and did not end: how many of their runs, by default."""
    counts: collections.Counter[Change] = collections.Counter()
    definitions = {arm.definition for arm in spec.arms}
    planned = {*spec.seeds, *spec.report_seeds}
    for manifest in checkpoints.in_flight(store.files):
        pack = manifest.pack
        if pack.pack_id in leaving:
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
            for each in counterparts:
                keys = each.changed(run.configuration_id, run.settings, run.definition)
                if keys is not None:
                    counts.update(Change.of(each.arm, key, run.settings[key]) for key in keys)
                    break
    return counts


def notices(schedule: Planned) -> list[str]:
    """What else is to be said of stored runs, a line each: edited code, runs that left the file.

    Raises:
        StoreError: If the store cannot be read.
    """
    spec, store = schedule.spec, schedule.store
    found = warnings(spec, store)
    if (schedule.ended.keys() | schedule.failures.keys()) - schedule.planned.keys():
        found += hidden(spec, read_all(store, spec, about=("task", "estimator")))
    return found

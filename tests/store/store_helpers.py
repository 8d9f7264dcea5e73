"""A small sweep in a store, and its rows, without training anything."""

import os
import time

from raysweep.store import compaction, schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec

SPEC = read_spec(
    {
        "name": "small",
        "tasks": {"walk": {"task": "toy"}},
        "estimators": {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]}},
        "seeds": 3,
    }
)


def row(arm, run, status="done"):
    """A row of `runs`."""
    columns = schema.runs_schema(SPEC)
    return {
        "run_id": run.run_id,
        "pack_id": run.run_id,
        "status": status,
        "seed": run.seed,
        "task_name": arm.task,
        "estimator_name": arm.estimator,
        "configuration_id": run.configuration.configuration_id,
        "definition": arm.definition,
        "attempts": 1,
        "metric.train_loss": float(run.seed),
        **schema.encode_settings(run.configuration.settings, columns),
    }


def fill(folder, status=lambda run: "done"):
    """A store with a file for each of six runs, written a while ago."""
    store = SweepStore(str(folder), SPEC.name)
    store.prepare(SPEC)
    (arm,) = SPEC.arms
    for cell in arm.cells():
        for seed in SPEC.seeds:
            run = Run(arm.configuration(cell), seed)
            store.write_runs(run.run_id, [row(arm, run, status(run))], schema.runs_schema(SPEC))
    aged(store)
    return store


def aged(store, seconds=2 * compaction.SETTLED_S):
    """As if the files had been written before."""
    then = time.time() - seconds
    for name in store.files.names("runs"):
        os.utime(store.files.path(name), (then, then))


def ids(store):
    """Ids of the runs that a reader sees."""
    return sorted(store.runs()["run_id"].to_pylist())


def cut_merge(store, changes):
    """Merges until so many changes were made: the first two write the rows and the plan."""
    steps = compaction.merges(store.files)
    for _ in range(changes + 1):
        next(steps, None)


def flipped(data, bit):
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)

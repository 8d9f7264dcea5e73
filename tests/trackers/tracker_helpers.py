"""What the tests of trackers train, and what they read back with the trackers' own readers."""

import collections
import contextlib
import json

import pytest

import raysweep
from raysweep.driver import session
from raysweep.store.sweep_store import SweepStore
from raysweep.trackers.live import Follower

SWEEP = {
    "name": "watched",
    "description": "two walks",
    "tags": ["draft", "c++"],
    "tasks": {"a walk": {"task": "toy", "steps": 20, "report_every": 5}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 2,
}
METRICS = ("train_loss", "distance")
SMALL = {"resources": {"checkpoint_s": 0, "pack": 2}}


def trained(store, **changes):
    """The results of the sweep, or of one with other sections, after its missing runs trained."""
    return raysweep.run({**SWEEP, **changes}, store=store, inline=True)


def rows_of(results):
    return {row["run_id"]: row for row in results.runs().to_pylist()}


def curves_of(results):
    """The stored curves: values by run, metric and step."""
    return {
        (point["run_id"], name, point["step"]): point[name]
        for point in results.curves().to_pylist()
        for name in METRICS
    }


def times_of(results):
    """The time that a tracker shows for each point: the start of the run, plus its training."""
    rows = rows_of(results)
    return {
        (point["run_id"], point["step"]): rows[point["run_id"]]["started_at"].timestamp()
        + point["seconds"]
        for point in results.curves().to_pylist()
    }


def event_files(folder):
    """The event file of each run, by run id."""
    files = sorted(folder.rglob("*tfevents*"))
    assert len({file.name for file in files}) == len(files)
    return {file.name.rpartition(".")[2]: file for file in files}


def scalars_of(folder):
    """What TensorBoard reads: lists of events by run, tag and step; each should have one."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard, which reads the events, is not installed",
    )
    scalars = collections.defaultdict(list)
    for run_id, file in event_files(folder).items():
        reader = accumulator.EventAccumulator(str(file.parent), size_guidance={"scalars": 0})
        reader.Reload()
        for tag in reader.Tags()["scalars"]:
            for event in reader.Scalars(tag):
                scalars[run_id, tag, event.step].append(event)
    return scalars


def scalar_values(folder):
    """The curves that TensorBoard reads, each point once."""
    scalars = scalars_of(folder)
    assert {len(events) for events in scalars.values()} <= {1}
    return {key: events[0].value for key, events in scalars.items() if key[1] in METRICS}


def wandb_run(file):
    """The run, history, summary and exit code of an offline run."""
    from raysweep.trackers.wandb_file import records

    run, history, summary, code = None, [], {}, None
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
        elif kind == "history":
            history.append(_items(record.history.item))
        elif kind == "summary":
            summary |= _items(record.summary.update)
        elif kind == "exit":
            code = record.exit.exit_code
    return run, history, summary, code


def _items(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


class Stopped(Exception):
    """End of a session in the middle of a pack, as after a kill."""


class Watcher:
    """Progress display that keeps the lines, and calls a function after each slice of training."""

    def __init__(self, look=lambda progress: None):
        self.look, self.lines = look, []

    def say(self, lines):
        self.lines += lines

    def shows(self, line):
        return False

    @contextlib.contextmanager
    def watching(self, schedule):
        yield self.look


def drive(store, progress, **changes):
    return session.drive(
        session.load({**SWEEP, **changes}),
        store=store,
        data=None,
        address=None,
        inline=True,
        progress=progress,
    )


def follower_of(store, opener, *arguments):
    """A follower of the sweep in a store, for a tracker that a function of `opening` opens."""
    spec = session.load(SWEEP)
    return Follower(SweepStore(str(store), "watched"), spec, lambda: opener(*arguments, spec))


def stored(store):
    """The curves in a store, as `curves_of` returns them."""
    points = SweepStore(str(store), "watched").curves().to_pylist()
    return {
        (point["run_id"], name, point["step"]): point[name] for point in points for name in METRICS
    }

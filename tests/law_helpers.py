"""Sessions of small sweeps that end well, are stopped, or are killed at any change of a store."""

import contextlib
import dataclasses
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import raysweep
from raysweep.driver import session
from raysweep.engine import inline, pack, work
from raysweep.store import lease, local_file
from raysweep.store.files import Files

METRICS = ("metric.train_loss", "metric.distance")
CHANGES = ("write", "write_table", "create", "move", "remove")


def examples(count):
    """Settings of a law: so many examples by default, more under a profile that asks for more."""
    scaled = max(1, count * settings.default.max_examples // 100)
    return settings(max_examples=scaled, deadline=None, suppress_health_check=list(HealthCheck))


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is written after it."""


@contextlib.contextmanager
def killed_at(change):
    """Kills whoever makes the n-th change to a store from here on; suppresses the kill.

    A lease is left alone, as this process, which would have to be dead, lives on. A folder is
    removed file by file, in either order.
    """
    left = [change]

    def count(name):
        if name != lease.NAME:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    def counted(real):
        def call(self, name, *args):
            count(name)
            return real(self, name, *args)

        return call

    remove_folder = Files.remove_folder

    def one_by_one(self, folder):
        for name in self.names(folder)[:: -1 if change % 2 else 1]:
            self.remove(name)
        count(folder)
        remove_folder(self, folder)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        for each in CHANGES:
            patch.setattr(Files, each, counted(getattr(Files, each)))
        patch.setattr(Files, "remove_folder", one_by_one)
        yield


@contextlib.contextmanager
def stopped_after(slices):
    """Stops an inline session after so many slices, as a signal does."""
    real, left = inline.run_inline, iter(range(slices))

    def run(schedule, job, stopping, watch):
        real(schedule, job, lambda: next(left, None) is None, watch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "run_inline", run)
        yield


ENDINGS = {"whole": lambda at: contextlib.nullcontext(), "stop": stopped_after, "kill": killed_at}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The content of a small sweep file.

    Args:
        seeds: As in the file, a mapping as pairs.
        lrs: Choices of the learning rate.
        temperatures: Choices of the estimator's temperature, by the estimator's name.
        pack: Most runs of a pack.
        suffix: Of the labels of tasks and estimators.
    """

    seeds: tuple = (0, 1)
    lrs: tuple = (0.1, 0.3)
    temperatures: tuple = (("straight_through", (1.0,)),)
    pack: int | str = "auto"
    suffix: str = ""

    def spec(self, trouble):
        """The file's content; `trouble` is the path of the toy task's file of troubles."""
        reports = isinstance(self.seeds[0], tuple)
        return {
            "name": "laws",
            "tasks": {
                f"walk{self.suffix}": {
                    "task": "toy",
                    "steps": 6,
                    "report_every": 2,
                    "window": 3,
                    "trouble": str(trouble),
                }
            },
            "estimators": {
                f"{name}{self.suffix}": {"estimator": name, "temperature": list(choices)}
                for name, choices in self.temperatures
            },
            "training": {"lr": list(self.lrs)},
            "seeds": dict(self.seeds) if reports else list(self.seeds),
            "resources": {"pack": self.pack, "checkpoint_s": 0.001, "max_failures": 99},
        }

    def having(self, **changes):
        """The sweep with some keys changed."""
        return dataclasses.replace(self, **changes)


def some(values):
    """Some of the values, in any order."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True).map(
        tuple
    )


listed = some(range(4)).filter(lambda seeds: len(seeds) < 4)
reporting = st.tuples(st.integers(1, 3), st.integers(1, 2)).map(
    lambda both: (("search", both[0]), ("report", both[1]))
)
methods = st.sampled_from(
    [
        (("straight_through", (1.0,)),),
        (("straight_through", (1.0, 2.0)),),
        (("reinmax", (1.5,)),),
        (("straight_through", (1.0,)), ("reinmax", (1.5,))),
    ]
)


def sweeps(seeds=listed | reporting):
    """Small sweep files."""
    packs = st.sampled_from(["auto", 1, 2, 3])
    return st.builds(
        Sweep, seeds, some((0.1, 0.3)), methods, packs, st.sampled_from(["", " again"])
    )


class Place:
    """A store of its own, and the file that says which seeds make trouble."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.trouble = self.folder / "trouble.json"

    def sit(self, sweep, ending="whole", at=0, trouble=None, store="store"):
        """One session; its results, or None where it was killed.

        Args:
            sweep: The file.
            ending: One of `ENDINGS`.
            at: Number of the slice or change after which the session ends.
            trouble: What the toy task does wrong, if anything.
            store: Folder of the store.
        """
        self.trouble.write_text(json.dumps(trouble or {}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, "SLICE_S", 0.0)
            patch.setattr(pack, "CHECKPOINT_SHARE", 0)
            # Neither matters to a process that is killed, and both take most of the time.
            patch.setattr(local_file.os, "fsync", lambda handle: None)
            patch.setattr(session, "command_origin", dict)
            with ENDINGS[ending](at):
                return raysweep.run(
                    sweep.spec(self.trouble), store=self.folder / store, inline=True
                )
        return None

    def undisturbed(self, sweep):
        """The results of a sweep that nothing ever happened to."""
        return self.sit(sweep, store="undisturbed")


@contextlib.contextmanager
def place():
    """A place, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Place(folder)


def metrics(results, run_ids=None):
    """Status and final metrics of each row, by run, sorted."""
    rows = results.runs().to_pylist()
    return sorted(
        (row["run_id"], row["status"], *(row[name] for name in METRICS))
        for row in rows
        if run_ids is None or row["run_id"] in run_ids
    )


def curves(results, run_ids=None):
    """Each row of the curves, sorted."""
    rows = results.curves().to_pylist()
    return sorted(
        (row["run_id"], row["step"], row["train_loss"], row["distance"])
        for row in rows
        if run_ids is None or row["run_id"] in run_ids
    )

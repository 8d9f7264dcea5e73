"""Short packs that one worker trains one after another, without Ray."""

import time

import pytest

import raysweep
from raysweep.driver.session import pack_size
from raysweep.engine import batch
from raysweep.engine.batch import Batch
from raysweep.engine.job import Job
from raysweep.scheduling.scheduler import Schedule
from raysweep.store import checkpoints, lease, schema
from raysweep.store.lease import Lease
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec


class Setting:
    """A store under a lease, the packs of a sweep with one run each, and a worker's job."""

    def __init__(self, folder, described):
        self.spec = read_spec(described)
        self.store = SweepStore(str(folder), self.spec.name)
        self.lease = Lease(self.store.files)
        self.described = described

    def __enter__(self):
        self.lease.__enter__()
        self.store.prepare(self.spec)
        schedule = Schedule(self.spec, self.store)
        schedule.arrange(pack_size(self.spec, 1))
        self.packs = list(iter(schedule.next_pack, None))
        columns = [schema.runs_schema(self.spec), schema.curves_schema(self.spec)]
        self.job = Job(
            store=self.store.store.uri,
            sweep=self.spec.name,
            token=self.lease.token,
            checkpoint_s=60.0,
            cpu=1,
            gpu=0,
            data=None,
            origin={"version": "0", "git_commit": None, "git_dirty": None},
            runs_schema=columns[0].serialize().to_pybytes(),
            curves_schema=columns[1].serialize().to_pybytes(),
        )
        return self

    def __exit__(self, *error):
        self.lease.__exit__(*error)

    @property
    def files(self):
        return self.store.files.names("runs", ".parquet")


@pytest.fixture
def setting(tmp_path, toy):
    def make(task=(), **keys):
        described = toy(task=task, resources={"pack": 1}, **keys)
        return Setting(tmp_path / "store", described)

    return make


def test_a_slice_writes_one_file_for_the_packs_that_ended(setting):
    with setting() as sweep:
        result = Batch(sweep.job, sweep.packs).step()
        assert (result["done"], len(result["took"]), result["kept"]) == (True, 6, 0)
        assert len(sweep.files) == 1
        assert not sweep.store.files.folders("checkpoints")


def test_the_results_are_those_of_packs_alone(setting, tmp_path):
    columns = ["run_id", "pack_id", "status", "steps", "attempts"]
    columns += ["metric.train_loss", "metric.distance"]
    with setting() as sweep:
        Batch(sweep.job, sweep.packs).step()
        rows = sweep.store.runs().select(columns).sort_by("run_id").to_pylist()
        curves = sweep.store.curves().drop(["seconds"])
    alone = raysweep.run(sweep.described, store=tmp_path / "alone", inline=True)
    assert rows == alone.runs().select(columns).sort_by("run_id").to_pylist()
    order = [("run_id", "ascending"), ("step", "ascending")]
    assert curves.sort_by(order) == alone.curves().drop(["seconds"]).sort_by(order)


def test_a_pack_that_fails_ends_the_batch_and_those_before_are_written(setting, trouble):
    trouble.make(**{"raise": [1], "at": 2})
    with setting(trouble.task, training={"lr": 0.1}) as sweep:
        result = Batch(sweep.job, sweep.packs).step()
        assert (result["failure"], len(result["took"]), result["kept"]) == ("run", 1, 2)
        assert sweep.store.runs()["seed"].to_pylist() == [0]


def test_only_the_pack_in_training_is_saved_when_the_batch_stops(setting):
    with setting({"delay_s": 0.1}) as sweep:
        batch_of_six = Batch(sweep.job, sweep.packs)
        assert not batch_of_six.step()["done"]
        batch_of_six.stop()
        [manifest] = checkpoints.in_flight(sweep.store.files)
        assert manifest.pack.pack_id == sweep.packs[0].pack_id
        assert manifest.step > 0


def test_a_slice_takes_about_a_second_though_more_packs_wait(setting):
    with setting({"delay_s": 0.02}, seeds=20) as sweep:
        began = time.monotonic()
        result = Batch(sweep.job, sweep.packs).step()
        assert not result["done"]
        assert 0 < len(result["took"]) < len(sweep.packs)
        assert time.monotonic() - began < 3


def test_a_batch_that_takes_too_long_leaves_the_packs_that_it_has_not_begun(setting, monkeypatch):
    monkeypatch.setattr(batch, "LONGEST_S", 0.0)
    with setting({"delay_s": 0.1}) as sweep:
        result = Batch(sweep.job, sweep.packs).step()
        assert (result["done"], result["took"], result["kept"]) == (False, [], 1)


def test_nothing_is_written_for_a_driver_that_was_replaced(setting):
    with setting() as sweep:
        batch_of_six = Batch(sweep.job, sweep.packs)
        files, token = sweep.store.files, sweep.lease.token.encode()
        files.write(lease.NAME, files.read(lease.NAME).replace(token, b"0" * len(token)))
        result = batch_of_six.step()
        assert (result["failure"], result["took"]) == ("orphan", [])
        assert sweep.files == []

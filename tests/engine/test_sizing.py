"""Packs that are divided while they train, as smaller ones train faster."""

import pytest
from stopped_helpers import stopped

import raysweep
from raysweep.engine import sizing, work
from raysweep.engine.sizing import Measured, program_of
from raysweep.scheduling.scheduler import Schedule
from raysweep.store import pack_sizes
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.packs import make_pack
from raysweep.sweepfile.reader import read_spec

SEEDS = 8


@pytest.fixture
def at_once(monkeypatch):
    """Sizes are measured from the first step on, however short the training is."""
    monkeypatch.setattr(sizing, "LOOK_S", 0.0)
    monkeypatch.setattr(sizing, "LEAST_S", 0.0)
    monkeypatch.setattr(sizing, "SHARE", 0)
    monkeypatch.setattr(sizing, "SAMPLE_S", 0.01)
    monkeypatch.setattr(work, "SLICE_S", 0.05)


def described(toy, task=(), **keys):
    return toy(task=task, training={"lr": [0.1]}, seeds=SEEDS, **keys)


def rows_of(results):
    columns = ["run_id", "metric.train_loss", "pack_id", "replicas"]
    return {row["run_id"]: row for row in results.runs().select(columns).to_pylist()}


def sizes_in(folder):
    return list(pack_sizes.read(SweepStore(str(folder), "toys").files).values())


def test_smaller_packs_train_where_they_are_faster(toy, inline, at_once, tmp_path):
    spec = described(toy, {"steps": 20, "crowding_s": 0.002})
    rows = rows_of(inline(spec))
    assert {row["replicas"] for row in rows.values()} == {1}
    (found,) = sizes_in(tmp_path / "store")
    assert (found["size"], found["largest"]) == (1, SEEDS)
    assert 0 < found["steps_per_s"] < 500  # of one run, whose step sleeps for 2 ms


def test_runs_are_the_same_in_packs_that_were_divided(toy, inline, at_once):
    spec = described(toy, {"steps": 20, "crowding_s": 0.002})
    divided = rows_of(inline(spec))
    alone = rows_of(inline({**spec, "resources": {"pack": 1}}, store="alone"))
    assert divided.keys() == alone.keys()
    for run_id, row in divided.items():
        loss = row["metric.train_loss"]
        assert loss == pytest.approx(alone[run_id]["metric.train_loss"], rel=1e-9)


def test_a_pack_stays_whole_where_it_is_fastest(toy, inline, at_once, tmp_path):
    rows = rows_of(inline(described(toy, {"steps": 30, "delay_s": 0.01})))
    assert {row["replicas"] for row in rows.values()} == {SEEDS}
    (found,) = sizes_in(tmp_path / "store")
    assert found["size"] == found["largest"] == SEEDS


def test_curves_of_a_divided_pack_have_each_step_once(toy, inline, at_once):
    results = inline(described(toy, {"steps": 20, "crowding_s": 0.002, "report_every": 1}))
    curves = results.curves().select(["run_id", "step"]).to_pylist()
    seen = {(row["run_id"], row["step"]) for row in curves}
    assert len(seen) == len(curves) == SEEDS * 20


def test_what_was_measured_is_remembered(toy, inline, at_once, tmp_path, monkeypatch):
    spec = described(toy, {"steps": 20, "crowding_s": 0.002})
    inline(spec)
    monkeypatch.setattr(sizing, "LOOK_S", 1e9)  # nothing is measured again
    rows = rows_of(inline({**spec, "seeds": 2 * SEEDS}))
    assert {row["replicas"] for row in rows.values()} == {1}


def test_a_short_training_is_not_measured(toy, inline, tmp_path):
    inline(described(toy, {"steps": 5, "crowding_s": 0.001}))
    assert sizes_in(tmp_path / "store") == []


def test_a_size_in_the_file_is_kept(toy, inline, at_once, tmp_path):
    spec = described(toy, {"steps": 20, "crowding_s": 0.002}, resources={"pack": 4})
    assert {row["replicas"] for row in rows_of(inline(spec)).values()} == {4}
    assert sizes_in(tmp_path / "store") == []


def test_a_pack_that_resumes_keeps_its_runs(toy, inline, at_once, tmp_path, monkeypatch):
    """What it trained so far was trained together."""
    spec = described(toy, {"steps": 12, "crowding_s": 0.002})
    monkeypatch.setattr(sizing, "LOOK_S", 1e9)
    stopped(monkeypatch, tmp_path / "store", spec, reports=1)
    monkeypatch.setattr(sizing, "LOOK_S", 0.0)
    assert {row["replicas"] for row in rows_of(inline(spec)).values()} == {SEEDS}


@pytest.mark.ray
def test_workers_of_ray_divide_their_packs(toy, tmp_path, shared_ray):
    spec = described(toy, {"steps": 60, "crowding_s": 0.008}, resources={"cpu": 2})
    rows = rows_of(raysweep.run(spec, store=tmp_path / "store"))
    assert {row["replicas"] for row in rows.values()} == {1}
    assert sizes_in(tmp_path / "store")[0]["size"] == 1


def test_a_program_is_what_the_runs_of_a_pack_share(toy, tmp_path):
    def programs(**keys):
        spec = read_spec(toy(**keys))
        schedule = Schedule(spec, SweepStore(str(tmp_path / "none"), spec.name))
        return {
            program_of(make_pack("toy", "straight_through", [run.planned()]))
            for run in schedule.planned.values()
        }

    assert len(programs()) == 1  # of three seeds and two learning rates
    assert programs() == programs(training={"lr": 0.7})
    assert programs() != programs(training={"steps": 99})


@pytest.mark.parametrize(
    ("measured", "count", "kept"),
    [
        (Measured(4, 30, 1.0), 64, 4),
        (Measured(4, 30, 1.0), 3, 3),
        (Measured(30, 30, 1.0), 64, 64),
    ],
)
def test_more_than_was_measured_may_be_faster(measured, count, kept):
    assert measured.keep(count) == kept

"""Packs larger than the device of their worker, which keeps their first runs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_helpers import Driver

import raysweep
from raysweep.engine import inline
from raysweep.scheduling.division import keep_first
from raysweep.store import checkpoints
from raysweep.sweep.packs import PlannedRun, make_pack
from raysweep.sweepfile.reader import read_spec


def pack_of(seeds):
    """A pack with so many seeds of each configuration."""
    runs = [
        PlannedRun(f"{number:04x}{seed:012x}", str(number), seed, "t", "e", {})
        for number, count in enumerate(seeds)
        for seed in range(count)
    ]
    return make_pack("toy", "straight_through", runs)


def lengths(packs):
    return [len(pack.runs) for pack in packs]


@pytest.mark.parametrize(
    ("seeds", "most", "expected"),
    [
        ([8], 3, [3, 5]),
        ([3, 3, 3], 4, [3, 6]),
        ([1, 7], 4, [4, 4]),
        ([2, 2], 4, [4]),
    ],
    ids=["one configuration", "between configurations", "not far from the most", "that fits"],
)
def test_the_first_part_has_at_most_as_many_runs_as_fit(seeds, most, expected):
    assert lengths(pack_of(seeds).divided(most)) == expected


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 20))
def test_division_keeps_every_run_in_order(seeds, most):
    pack = pack_of(seeds)
    first, *others = pack.divided(most)
    runs = list(itertools.chain(first.runs, *(other.runs for other in others)))
    assert runs == list(pack.runs)
    assert len(first.runs) <= most


def spec_of(**task):
    return read_spec(
        {
            "name": "toys",
            "tasks": {"walk": {"task": "toy", **task}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": {"lr": [0.1, 0.3]},
            "seeds": 8,
        }
    )


def test_the_rest_of_a_pack_is_queued_and_trains_on_a_device_that_holds_it(tmp_path):
    driver = Driver(tmp_path, spec_of(), value=lambda settings, seed: seed)
    pack = driver.take()
    first = keep_first(driver.schedule, pack.pack_id, 5)
    assert list(driver.schedule.in_flight) == [first.pack_id]
    rest = driver.take()
    driver.end(first)
    driver.end(rest)
    assert lengths([first, rest]) == [5, 11]
    assert len({row["run_id"] for row in driver.rows}) == len(driver.rows) == 16
    assert driver.schedule.finished


def test_a_resumed_session_cuts_the_parts_of_a_divided_pack(tmp_path):
    driver = Driver(tmp_path, spec_of(), value=lambda settings, seed: seed)
    first = keep_first(driver.schedule, driver.take().pack_id, 5)
    rest = driver.take()
    driver.end(first)
    later = Driver(tmp_path, spec_of(), value=lambda settings, seed: seed)
    assert later.take().pack_id == rest.pack_id


def values(results):
    rows = results.runs().to_pylist()
    return {row["run_id"]: (row["metric.train_loss"], row["steps_executed"]) for row in rows}


def test_a_stopped_pack_of_a_larger_machine_resumes_in_parts(tmp_path, monkeypatch):
    """The parts have the state and the curves of the pack, and every run ends once."""
    content = {
        "name": "toys",
        "tasks": {"walk": {"task": "toy", "delay_s": 0.2, "size": 2**17}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "training": {"lr": 0.1},
        "seeds": 8,
    }
    real, polls = inline.run_inline, iter(range(2))
    whole = values(raysweep.run(content, store=tmp_path / "whole", inline=True))
    with monkeypatch.context() as patch:
        stopping = lambda: next(polls, None) is None  # noqa: E731
        patch.setattr(inline, "run_inline", lambda *given: real(*given[:2], stopping, given[3]))
        part = raysweep.run(content, store=tmp_path / "store", inline=True)
    [manifest] = checkpoints.in_flight(part.store.files)
    assert (0 < manifest.step < 20, len(manifest.pack.runs)) == (True, 8)
    monkeypatch.setattr(inline, "limit_of_machine", lambda *_: 3 * 2**20)
    ended = raysweep.run(content, store=tmp_path / "store", inline=True)
    assert values(ended) == whole
    assert sorted({row["replicas"] for row in ended.runs().to_pylist()}) == [2, 3]

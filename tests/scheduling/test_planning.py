"""Which runs are missing, and how they are cut into packs."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.sweep.packs import MAX_REPLICAS, ArmRun, PackSize, cut
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec


def members_of(temperatures=2, lrs=2, seeds=3, sizes=1):
    spec = read_spec(
        {
            "name": "plan",
            "tasks": {"walk": {"task": "toy", "size": list(range(1, sizes + 1))}},
            "estimators": {
                "ST": {
                    "estimator": "straight_through",
                    "temperature": [1 + each / 4 for each in range(temperatures)],
                }
            },
            "training": {"lr": [0.1 / (each + 1) for each in range(lrs)]},
            "seeds": seeds,
        }
    )
    (arm,) = spec.arms
    return [
        ArmRun(arm, Run(arm.configuration(cell), seed))
        for cell in arm.cells()
        for seed in spec.seeds
    ]


def size(wanted="auto", workers=1, replica_bytes=8):
    return PackSize(wanted, workers, lambda member: replica_bytes)


def ids(packs):
    return [run.run_id for pack in packs for run in pack.runs]


sweeps = st.builds(
    members_of, st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 2)
)
sizes = st.builds(size, st.one_of(st.just("auto"), st.integers(1, 9)), st.integers(1, 4))


@given(sweeps, sizes, st.randoms())
def test_every_missing_run_is_in_exactly_one_pack(members, size, random):
    done = {member.run.run_id for member in members if random.random() < 0.5}
    packs = cut(members, lambda member: member.run.run_id not in done, {}, size)
    wanted = [member.run.run_id for member in members if member.run.run_id not in done]
    assert sorted(ids(packs)) == sorted(wanted)


@given(sweeps, sizes)
def test_a_pack_holds_one_program_and_no_more_runs_than_it_may(members, size):
    programs = {member.run.run_id: member.program for member in members}
    for pack in cut(members, lambda _: True, {}, size):
        assert len({programs[run.run_id] for run in pack.runs}) == 1
        assert len(pack.runs) <= (MAX_REPLICAS if size.wanted == "auto" else size.wanted)


@given(sweeps, sizes, st.randoms())
def test_packs_that_ended_leave_the_others_as_they_were(members, size, random):
    """What is cut after a kill is cut as it was before: results then agree to the last bit."""
    packs = cut(members, lambda _: True, {}, size)
    ended = {pack.pack_id for pack in packs if random.random() < 0.5}
    done = {run.run_id for pack in packs if pack.pack_id in ended for run in pack.runs}
    again = cut(members, lambda member: member.run.run_id not in done, {}, size)
    assert [pack.pack_id for pack in again] == [
        pack.pack_id for pack in packs if pack.pack_id not in ended
    ]


@given(sweeps, sizes, st.randoms())
def test_runs_that_failed_before_go_alone(members, size, random):
    chosen = {member.run.run_id for member in members if random.random() < 0.3}
    packs = cut(members, lambda _: True, dict.fromkeys(chosen, 1), size)
    for pack in packs:
        if chosen & set(ids([pack])):
            assert len(pack.runs) == 1
            assert pack.runs[0].failures == 1


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_worker_gets_a_pack(workers):
    members = members_of(seeds=5)
    assert len(cut(members, lambda _: True, {}, size(workers=workers))) >= workers


def test_packs_of_a_program_are_of_even_size():
    packs = cut(members_of(seeds=25), lambda _: True, {}, size())
    assert [len(pack.runs) for pack in packs] == [50, 50]


def test_memory_bounds_a_pack():
    packs = cut(members_of(), lambda _: True, {}, size(replica_bytes=2**28))
    assert max(len(pack.runs) for pack in packs) == 4


def test_a_run_larger_than_the_bound_trains_alone():
    packs = cut(members_of(), lambda _: True, {}, size(replica_bytes=2**31))
    assert {len(pack.runs) for pack in packs} == {1}


def test_replicas_of_equal_optimizer_settings_stand_side_by_side():
    (pack,) = cut(members_of(lrs=3, seeds=4), lambda _: True, {}, size())
    lrs = [run.settings["training.lr"] for run in pack.runs]
    changes = sum(a != b for a, b in itertools.pairwise(lrs))
    assert changes == len(set(lrs)) - 1


def test_added_seeds_leave_most_packs_whole():
    old = members_of(seeds=6)
    new = members_of(seeds=12)
    done = {member.run.run_id for member in old}
    packs = cut(new, lambda member: member.run.run_id not in done, {}, size(8))
    assert len(packs) <= math.ceil(len(old) / 8) + 1


def test_half_packs_keep_the_order_of_their_runs():
    (pack,) = cut(members_of(), lambda _: True, {}, size())
    halves = pack.split()
    assert ids(halves) == ids([pack])
    assert len({pack.pack_id, *(half.pack_id for half in halves)}) == 3


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_pack_is_split_between_two_configurations(seeds):
    members = members_of(seeds=seeds)
    (pack,) = cut(members, lambda member: True, {}, size(len(members)))
    halves = pack.split()
    sides = [{run.configuration_id for run in half.runs} for half in halves]
    assert not set.intersection(*sides)
    assert [len(half.runs) for half in halves] == [2 * seeds, 2 * seeds]


def test_a_pack_of_one_configuration_is_split_between_its_seeds():
    members = members_of(temperatures=1, lrs=1, seeds=5)
    (pack,) = cut(members, lambda member: True, {}, size(5))
    assert [len(half.runs) for half in pack.split()] == [2, 3]

"""The order in which submitted sweeps start."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from raysweep.service.queue import Limits, Waiting, in_order, to_start

SWEEPS = st.lists(
    st.builds(
        Waiting,
        sweep=st.uuids().map(str),
        owner=st.sampled_from("abc"),
        priority=st.integers(-1, 1),
        submitted_at=st.floats(0, 10),
    ),
    max_size=8,
    unique_by=lambda sweep: sweep.sweep,
)
RUNNING = st.lists(st.sampled_from("abc"), max_size=5)
LIMITS = st.builds(Limits, running=st.integers(1, 6), per_user=st.integers(1, 4))


def waiting(sweep, owner, priority=0, submitted_at=0.0):
    return Waiting(sweep, owner, priority, submitted_at)


@given(SWEEPS, RUNNING)
def test_the_order_has_every_sweep_once(sweeps, running):
    assert sorted(map(repr, in_order(sweeps, running))) == sorted(map(repr, sweeps))


@given(SWEEPS, RUNNING)
def test_a_higher_priority_is_always_first(sweeps, running):
    priorities = [sweep.priority for sweep in in_order(sweeps, running)]
    assert priorities == sorted(priorities, reverse=True)


@given(SWEEPS, RUNNING)
def test_sweeps_of_one_user_and_priority_start_as_they_were_submitted(sweeps, running):
    groups = {}
    for sweep in in_order(sweeps, running):
        groups.setdefault((sweep.owner, sweep.priority), []).append(sweep.submitted_at)
    assert all(times == sorted(times) for times in groups.values())


@given(SWEEPS, RUNNING)
def test_the_order_does_not_depend_on_that_of_the_list(sweeps, running):
    assert in_order(sweeps, running) == in_order(sweeps[::-1], running)


@given(SWEEPS, RUNNING, LIMITS)
def test_no_limit_is_exceeded_by_what_starts(sweeps, running, limits):
    starting = to_start(sweeps, running, limits)
    assert len(starting) <= max(0, limits.running - len(running))
    before = Counter(running)
    for owner, number in Counter(sweep.owner for sweep in starting).items():
        assert before[owner] + number <= limits.per_user


@given(SWEEPS, RUNNING, LIMITS)
def test_nothing_waits_that_could_start(sweeps, running, limits):
    starting = to_start(sweeps, running, limits)
    share = Counter(running) + Counter(sweep.owner for sweep in starting)
    if len(running) + len(starting) < limits.running:
        left = set(sweeps) - set(starting)
        assert all(share[sweep.owner] >= limits.per_user for sweep in left)


def test_users_take_turns():
    sweeps = [waiting(f"a{n}", "a", submitted_at=n) for n in range(3)]
    sweeps += [waiting(f"b{n}", "b", submitted_at=10 + n) for n in range(3)]
    assert [sweep.sweep for sweep in in_order(sweeps, [])] == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_a_user_whose_sweeps_run_waits_for_others():
    assert in_order([waiting("a", "a"), waiting("b", "b", submitted_at=9)], ["a"])[0].owner == "b"


def test_a_user_at_the_limit_does_not_hold_back_others():
    sweeps = [waiting("a", "a", 5), waiting("b", "b")]
    assert to_start(sweeps, ["a"], Limits(4, 1)) == [sweeps[1]]


def test_equal_sweeps_start_by_name_in_any_order_of_the_list():
    sweeps = [waiting(name, name) for name in "abc"]
    orders = {
        tuple(sweep.sweep for sweep in in_order(list(some), []))
        for some in itertools.permutations(sweeps)
    }
    assert orders == {("a", "b", "c")}

"""Workers that make no step for too long, without Ray."""

import pytest

from raysweep.engine.hangs import HangWatch

PROCESS = {"pid": 7}


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ended():
    return []


def pass_time(watch, clock, seconds):
    """Lets time pass with a look every second, as a driver has it."""
    for _ in range(seconds):
        clock.now += 1
        watch.check()


def test_a_pack_without_a_step_for_the_patience_is_ended(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    pass_time(watch, clock, 10)
    assert ended == []
    pass_time(watch, clock, 1)
    assert (ended, watch.left("a")) == ([PROCESS], True)


def test_a_step_renews_the_patience(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    for step in range(5):
        watch.stepped("a", step)
        pass_time(watch, clock, 8)
    assert (ended, watch.left("a")) == ([], False)


def test_the_same_step_again_does_not_renew_the_patience(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    for _ in range(3):
        watch.stepped("a", 4)
        pass_time(watch, clock, 5)
    assert ended == [PROCESS]


def test_a_worker_that_survives_is_ended_again(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    pass_time(watch, clock, 22)
    assert ended == [PROCESS, PROCESS]


def test_time_in_which_the_driver_was_suspended_does_not_count(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    clock.now += 1000
    watch.check()
    pass_time(watch, clock, 9)
    assert ended == []


def test_nothing_is_ended_without_a_patience(clock, ended):
    watch = HangWatch(None, ended.append, clock=clock)
    watch.began("a", PROCESS)
    pass_time(watch, clock, 1000)
    assert ended == []


def test_packs_that_left_are_not_followed(clock, ended):
    watch = HangWatch(10, ended.append, clock=clock)
    watch.began("a", PROCESS)
    assert watch.left("a") is False
    pass_time(watch, clock, 20)
    assert (ended, watch.process("a")) == ([], (None, None))


def test_time_in_which_the_store_is_away_does_not_count(clock, ended):
    away = [True]
    watch = HangWatch(10, ended.append, lambda: away[0], clock)
    watch.began("a", PROCESS)
    pass_time(watch, clock, 60)
    away[0] = False
    pass_time(watch, clock, 10)
    assert ended == []
    pass_time(watch, clock, 1)
    assert ended == [PROCESS]

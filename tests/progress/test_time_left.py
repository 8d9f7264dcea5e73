"""The estimate of the time left, in sessions that are played by a clock that is set by hand."""

import dataclasses
import gc
import heapq
import itertools

import pytest

from raysweep.driver import session
from raysweep.progress import View
from raysweep.sweep.outcomes import RunResult
from raysweep.sweepfile.reader import read_spec

STEPS = 20
TASKS = (("small", 1), ("large", 2))


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self):
        return self.now


def spec_of(runs, pack):
    return read_spec(
        {
            "name": "played",
            "tasks": {name: {"task": "toy", "steps": STEPS, "size": size} for name, size in TASKS},
            "estimators": {
                "A": {"estimator": "straight_through"},
                "B": {"estimator": "reinforce_loo", "samples": 2},
            },
            "seeds": runs,
            "resources": {"pack": pack},
        }
    )


def plan(tmp_path, *, workers=1, **sizes):
    """The schedule of a session of so many workers."""
    schedule = session.plan(spec_of(**sizes), tmp_path)
    schedule.size = dataclasses.replace(schedule.size, workers=workers)
    return schedule


def train(schedule, view, costs, idle):
    """Train packs in one worker; gives the seconds until its next move.

    Args:
        schedule: The schedule that gives the packs.
        view: The display that is told of the steps.
        costs: Seconds of a run, by the labels of its arm.
        idle: Seconds before and after each pack.
    """
    while (pack := schedule.next_pack()) is not None:
        cost = costs[pack.arm]
        view.note({"pack_id": pack.pack_id, "began": True})
        yield idle
        for step in range(STEPS + 1):
            view.note({"pack_id": pack.pack_id, "step": step, "steps": STEPS})
            yield cost * len(pack.runs) / STEPS if step < STEPS else idle
        schedule.in_flight.take(pack.pack_id)
        for run in pack.runs:
            schedule.ended[run.run_id] = RunResult("done", (0.0,), STEPS, cost)


def play(schedule, costs, idle, start):
    """Play a session; return the time and the estimate after every move, and the end."""
    clock = Clock()
    view = View(schedule, clock)
    clock.now += start  # while Ray starts
    workers = [train(schedule, view, costs, idle) for _ in range(schedule.size.workers)]
    moves = [(clock.now, index) for index in range(len(workers))]
    estimates = []
    while moves:
        clock.now, index = heapq.heappop(moves)
        pause = next(workers[index], None)
        estimates.append((clock.now, view.time_left.seconds))
        if pause is not None:
            heapq.heappush(moves, (clock.now + pause, index))
    return estimates, clock.now


EVEN = {(task, estimator): 3.0 for task, _ in TASKS for estimator in "AB"}
UNEVEN = {("small", "A"): 1.0, ("small", "B"): 1.2, ("large", "A"): 5.0, ("large", "B"): 6.0}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("costs", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("idle", [0.0, 2.0], ids=["busy", "idle"])
@pytest.mark.parametrize("start", [0.0, 60.0], ids=["warm", "cold"])
def test_the_time_left_is_right_within_a_factor_from_a_tenth_on(
    tmp_path, workers, costs, idle, start
):
    schedule = plan(tmp_path, runs=24, pack=3, workers=workers)
    estimates, end = play(schedule, costs, idle, start)
    began = estimates[0][0]
    for now, left in estimates:
        if 0.1 <= (now - began) / (end - began) <= 0.95:
            assert (end - now) / 1.5 < left < (end - now) * 1.5


def test_no_time_is_named_before_training_was_measured(tmp_path):
    schedule = plan(tmp_path, runs=4, pack=2)
    view = View(schedule, Clock())
    assert view.line() == "0 of 16 runs"
    pack = schedule.next_pack()
    view.note({"pack_id": pack.pack_id, "began": True})
    assert view.line() == "0 of 16 runs, 1 pack in training"


def test_a_pack_that_resumes_is_measured_from_where_it_resumed(tmp_path):
    clock = Clock()
    schedule = plan(tmp_path, runs=1, pack=1)
    view = View(schedule, clock)
    pack = schedule.next_pack()
    for step in (10, 11, 12, 13, 14, 15):
        clock.now += 1.0
        view.note({"pack_id": pack.pack_id, "step": step, "steps": STEPS})
    schedule.ended.update({key: RunResult("done", (0.0,)) for key in schedule.planned})
    assert view.time_left.seconds == pytest.approx(5.0)


@pytest.fixture
def collecting():
    """The garbage collector, at every tenth object, with what happens then."""
    before, started = gc.get_threshold(), len(gc.callbacks)
    gc.set_threshold(10)
    yield gc.callbacks
    gc.set_threshold(*before)
    del gc.callbacks[started:]


def test_runs_that_end_while_the_time_is_estimated_do_no_harm(tmp_path, collecting):
    """While garbage is collected, another thread may run: here, one that ends runs."""
    schedule = plan(tmp_path, runs=30, pack=10)
    view = View(schedule, Clock())
    view.note({"pack_id": schedule.next_pack().pack_id, "began": True})
    schedule.ended.update({str(number): RunResult("done") for number in range(5000)})
    numbers = itertools.count(5000)
    collecting.append(
        lambda *_: schedule.ended.update({str(next(numbers)): RunResult("done", (), 1, 1.0)})
    )
    assert view.time_left.seconds is None  # no planned run has ended yet

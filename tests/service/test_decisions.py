"""What the supervisor does, for every state of a submission and its job."""

import itertools

import pytest

from raysweep.engine.jobs import Job
from raysweep.results.status import Driver
from raysweep.service.drive import TRY_AGAIN
from raysweep.service.queue import Limits
from raysweep.service.state import Entry
from raysweep.service.supervisor import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    after_end,
    decide,
)
from raysweep.store.submission import Event, Outcome, Submission

NOW = 1000.0
LIMITS = Limits(4, 2)
WANTED = ("running", "stopped")
OUTCOMES = (None, Outcome("done", "", 1.0), Outcome("failed", "2 runs failed", 1.0))
JOBS = (None, Job("j", True), Job("j", False, 0))
EVERY = list(itertools.product(WANTED, OUTCOMES, (False, True), JOBS, (0.0, NOW + 1)))


def submission(**changes):
    return Submission("text", "ada", 1.0, **changes)


def decided(job=None, driver="none", **changes):
    entry = Entry("a", submission(**changes), driver=Driver(driver, "process 1 on h"))
    return decide([entry], {} if job is None else {"a": job}, NOW, LIMITS)


@pytest.mark.parametrize(("wanted", "outcome", "has_job", "job", "not_before"), EVERY)
def test_at_most_one_thing_is_done_with_a_sweep(wanted, outcome, has_job, job, not_before):
    decisions = decided(job, wanted=wanted, outcome=outcome, has_job=has_job, not_before=not_before)
    assert len(decisions.start) + len(decisions.ended) + len(decisions.stop) <= 1


@pytest.mark.parametrize(("wanted", "outcome", "has_job", "job", "not_before"), EVERY)
def test_a_driver_starts_only_where_one_is_wanted_and_none_is_there(
    wanted, outcome, has_job, job, not_before
):
    decisions = decided(job, wanted=wanted, outcome=outcome, has_job=has_job, not_before=not_before)
    is_active = job is not None and job.active
    expected = (
        wanted == "running"
        and outcome is None
        and not has_job
        and not is_active
        and not_before <= NOW
    )
    assert bool(decisions.start) == expected


@pytest.mark.parametrize("wanted", WANTED)
def test_a_driver_that_runs_is_stopped_where_nobody_wants_it(wanted):
    decisions = decided(Job("j", True), wanted=wanted, has_job=True)
    assert bool(decisions.stop) == (wanted == "stopped")


@pytest.mark.parametrize(
    ("pause_s", "starts"), [(0.0, True), (1.0, False), (LONGEST_PAUSE_S, False), (86_400.0, True)]
)
def test_a_pause_that_no_driver_has_is_of_a_clock_that_was_set_back(pause_s, starts):
    assert bool(decided(not_before=NOW + pause_s).start) == starts


def test_a_job_that_the_cluster_has_lost_has_ended():
    assert decided(has_job=True).ended == {"a": None}


@pytest.mark.parametrize(("state", "starts"), [("alive", False), ("dead", True), ("none", True)])
def test_no_driver_starts_beside_one_that_somebody_started_by_hand(state, starts):
    assert bool(decided(driver=state).start) == starts


def test_a_sweep_that_nobody_submitted_is_left_alone():
    decisions = decide([Entry("a")], {"a": Job("j", True)}, NOW, LIMITS)
    assert not decisions.start
    assert not decisions.stop
    assert not decisions.ended


def test_sweeps_that_run_count_towards_the_limit_of_their_owner():
    entries = [
        *(Entry(name, submission(has_job=True)) for name in "ab"),
        Entry("c", submission()),
    ]
    jobs = {name: Job(name, True) for name in "ab"}
    assert not decide(entries, jobs, NOW, LIMITS).start
    assert decide(entries, {"a": jobs["a"]}, NOW, LIMITS).start == ["c"]


@pytest.mark.parametrize(
    ("code", "state"), [(0, "done"), (1, "failed"), (2, "failed")], ids=["done", "some", "wrong"]
)
def test_a_session_that_ran_to_its_end_is_not_repeated(code, state):
    after = after_end(submission(has_job=True), Job("j", False, code), "reason", NOW)
    assert after.outcome.state == state
    assert not after.has_job
    assert after.outcome.text == ("" if code == 0 else "reason")


@pytest.mark.parametrize("code", [-9, 137, TRY_AGAIN, 3, None])
def test_a_driver_that_died_starts_again_after_a_pause(code):
    after = after_end(submission(has_job=True), Job("j", False, code), "reason", NOW)
    assert after.outcome is None
    assert after.failures == 1
    assert after.not_before == NOW + FIRST_PAUSE_S
    assert after.events[-1].action == "died"


def test_pauses_double_and_end_at_the_longest():
    before, pauses = submission(), []
    for _ in range(12):
        before = after_end(before, None, "", NOW)
        pauses.append(before.not_before - NOW)
    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert pauses == sorted(pauses)


def test_a_driver_that_ran_for_long_starts_again_soon():
    started = Event(NOW - LONGEST_PAUSE_S - 1, "", "started")
    before = submission(failures=7, events=(started,))
    assert after_end(before, Job("j", False, -9), "", NOW).failures == 1


@pytest.mark.parametrize("code", [-9, 143, 130, TRY_AGAIN, None])
def test_a_driver_that_ended_after_a_cancellation_stays_ended(code):
    after = after_end(submission(wanted="stopped", failures=2), Job("j", False, code), "", NOW)
    assert after.wanted == "stopped"
    assert after.outcome is None
    assert after.failures == 0
    assert after.events[-1].action == "stopped"


@pytest.mark.parametrize("job", [Job("j", False, 143), Job("j", False, None, "", True)])
def test_a_driver_that_was_interrupted_starts_again_at_once(job):
    after = after_end(submission(has_job=True), job, "", NOW)
    assert after.failures == 0
    assert after.not_before <= NOW
    assert after.events[-1].action == "interrupted"


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (None, "the cluster no longer has the driver's job"),
        (Job("j", False, -9), "the driver was killed by signal 9"),
        (Job("j", False, 139), "the driver was killed by signal 11"),
        (Job("j", False, 75), "store away"),
    ],
)
def test_the_history_says_why_a_driver_died(job, text):
    event = after_end(submission(), job, "store away", NOW).events[-1]
    assert event.text == f"{text}; the next one starts in 5 s"

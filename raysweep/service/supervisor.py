"""Supervision of drivers: starts, stops and restarts them, until each sweep is as users want."""

import contextlib
import dataclasses
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from raysweep.engine.jobs import Job, Load
from raysweep.errors import ClusterError, DamagedFile, StoreError
from raysweep.service.catalogue import Catalogue
from raysweep.service.queue import Limits, Waiting, to_start
from raysweep.service.state import Entry
from raysweep.service.submissions import Submissions
from raysweep.store.submission import Event, Outcome, Submission

POLL_S = 1.0
DRAIN_S = 0.3
MOST_SILENT = 10  # questions without an answer, after which a cluster is taken to be gone
FIRST_PAUSE_S = 5.0  # after a driver died, doubled for each further one
LONGEST_PAUSE_S = 600.0
# By exit codes of drivers; after others the driver starts again.
OUTCOMES: Mapping[int | None, Literal["done", "failed"]] = {0: "done", 1: "failed", 2: "failed"}
STOPPED = (129, 130, 143)  # exit codes of a driver after a signal to stop

log = logging.getLogger("raysweep.service")


class Jobs(Protocol):
    """Jobs on a cluster; see `raysweep.engine.jobs.RayJobs`."""

    def start(self, job_id: str, command: Sequence[str]) -> None:
        """Start a job, unless it was started before."""

    def jobs(self, prefix: str) -> Mapping[str, Job]:
        """Return the jobs whose identities begin with a prefix."""

    def stop(self, job_id: str) -> None:
        """Let a driver stop."""

    def logs(self, job_id: str) -> str:
        """Return what a driver printed."""

    def load(self) -> Load:
        """Return the load of the cluster."""


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Next actions of the supervision.

    Args:
        start: Sweeps whose drivers start, in order.
        stop: Sweeps whose drivers stop.
        ended: Sweeps whose driver ended, with its job; None if the cluster no longer has it.
    """

    start: Sequence[str]
    stop: Sequence[str]
    ended: Mapping[str, Job | None]


def decide(
    entries: Iterable[Entry], jobs: Mapping[str, Job], now: float, limits: Limits
) -> Decisions:
    """Return what is to be done, from the store and the cluster's jobs alone.

    Args:
        entries: The sweeps of the store.
        jobs: Last job of each sweep that has one on the cluster.
        now: Time in seconds since 1970.
        limits: The most sweeps that run at the same time.
    """
    waiting, running, stop = [], [], []
    ended: dict[str, Job | None] = {}
    for entry in entries:
        submission, job = entry.submission, jobs.get(entry.name)
        if submission is None:
            continue
        if job is not None and job.active:
            running.append(submission.owner)
            if submission.wanted == "stopped":
                stop.append(entry.name)
        elif submission.has_job:
            ended[entry.name] = job
        elif entry.is_driven:
            running.append(submission.owner)
        elif is_waiting(submission) and _is_due(submission, now):
            waiting.append(
                Waiting(entry.name, submission.owner, submission.priority, submission.submitted_at)
            )
    start = [sweep.sweep for sweep in to_start(waiting, running, limits)]
    return Decisions(start, stop, ended)


def is_waiting(submission: Submission) -> bool:
    """Return whether a driver is to run, and no job of one was started."""
    return submission.wanted == "running" and submission.outcome is None and not submission.has_job


def _is_due(submission: Submission, now: float) -> bool:
    """Return whether a pause is over; one that looks too long is of a clock that was set back."""
    return not 0 < submission.not_before - now <= LONGEST_PAUSE_S


def after_end(submission: Submission, job: Job | None, reason: str, now: float) -> Submission:
    """Return the submission of a sweep whose driver has ended.

    Args:
        submission: The submission before.
        job: Job of the driver; None if the cluster no longer has it.
        reason: Last line that the driver printed; empty if not known.
        now: Time in seconds since 1970.
    """
    code = None if job is None else job.exit_code
    if code in OUTCOMES:
        outcome = Outcome(OUTCOMES[code], reason if code else "", now, code)
        event = Event(now, "", outcome.state, outcome.text)
        return submission.with_event(event, has_job=False, failures=0, outcome=outcome)
    if submission.wanted == "stopped":
        return submission.with_event(Event(now, "", "stopped"), has_job=False, failures=0)
    if code in STOPPED or (job is not None and job.stopped):
        return submission.with_event(Event(now, "", "interrupted"), has_job=False)
    failures = 1 if _ran_long(submission, now) else submission.failures + 1
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20))
    text = f"{_cause(job, reason)}; the next one starts in {pause_s:.0f} s"
    return submission.with_event(
        Event(now, "", "died", text), has_job=False, failures=failures, not_before=now + pause_s
    )


def _ran_long(submission: Submission, now: float) -> bool:
    starts = [event.at for event in submission.events if event.action == "started"]
    return bool(starts) and now - starts[-1] > LONGEST_PAUSE_S


def _cause(job: Job | None, reason: str) -> str:
    """Return why a driver ended that should not have."""
    if job is None:
        return "the cluster no longer has the driver's job"
    code = job.exit_code
    if code is not None and (code < 0 or code > 128):
        return f"the driver was killed by signal {-code if code < 0 else code - 128}"
    return reason or "the driver ended without a message"


class Supervisor:
    """Supervision of the drivers of a store's sweeps, in a thread.

    Args:
        catalogue: The sweeps of the store.
        submissions: Submissions of the sweeps.
        jobs: Jobs on the cluster.
        command: Function from the name of a sweep to the command of its driver.
        limits: The most sweeps that run at the same time.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        submissions: Submissions,
        jobs: Jobs,
        command: Callable[[str], Sequence[str]],
        limits: Limits,
    ) -> None:
        self.catalogue, self.submissions, self.jobs = catalogue, submissions, jobs
        self.problem = ""  # of the store or the cluster at the last look
        self._command, self._limits = command, limits
        self._prefix = f"raysweep-{_digest(catalogue.store.uri)}-"
        self._stopping: set[str] = set()  # jobs that were asked to stop
        self._damaged: set[str] = set()  # sweeps whose submission cannot be read
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._threads: list[threading.Thread] = []
        self._draining = False
        self.check: Callable[[], None] = lambda: None  # raises once another service has the store
        self.on_end: Callable[[str, Submission], None] = lambda sweep, submission: None

    def start(self) -> None:
        """Begin to supervise."""
        for name, action in (("catalogue", self.catalogue.poll), ("drivers", self.step)):
            thread = threading.Thread(
                target=self._repeat, args=(action,), name=f"raysweep-{name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End the supervision; drivers continue."""
        self._ended.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()

    def drain(self, most_s: float) -> None:
        """Let all drivers stop, and wait for their ends; they start again with the next service.

        Args:
            most_s: Seconds to wait at most.
        """
        self._draining = True
        until, silent = time.monotonic() + most_s, 0
        while time.monotonic() < until:
            self.wake()
            try:
                active = [job for job in self.jobs.jobs(self._prefix).values() if job.active]
            except ClusterError:  # if it has ended, then so have the drivers
                silent += 1
                if silent == MOST_SILENT:
                    return
                time.sleep(DRAIN_S)
                continue
            silent = 0
            if not active and not any(
                entry.submission is not None and entry.submission.has_job
                for entry in self.catalogue.entries()
            ):
                return
            for job in active:
                self._stop(job.job_id)
            time.sleep(DRAIN_S)

    def wake(self) -> None:
        """Look at the sweeps now, as a submission has changed."""
        self._wake.set()

    def job_id(self, sweep: str, number: int) -> str:
        """Return the identity of a job of a sweep's driver."""
        return f"{self._prefix}{number}-{sweep}"

    def step(self) -> None:
        """Look at the sweeps and their jobs once, and do what is to be done.

        Raises:
            ClusterError: If the cluster does not answer.
            StoreError: If the store cannot be reached.
        """
        self.check()
        entries = [entry for entry in self.catalogue.entries() if entry.submission is not None]
        everything = self.jobs.jobs(self._prefix)
        last = {
            entry.name: everything[job_id]
            for entry in entries
            if (job_id := self._last_job(entry)) in everything
        }
        decisions = decide(entries, last, time.time(), self._limits)
        for sweep, job in decisions.ended.items():
            with self._alone(sweep):
                self._end(sweep, job)
        for sweep in decisions.stop:
            self._stop(last[sweep].job_id)
        for sweep in () if self._draining else decisions.start:
            with self._alone(sweep):
                self._start(sweep)

    @contextlib.contextmanager
    def _alone(self, sweep: str) -> Iterator[None]:
        """Let a sweep whose files are damaged, as its page says, hold up no other one."""
        try:
            yield
        except DamagedFile as error:
            if sweep not in self._damaged:
                log.warning("%s: %s", sweep, error)
            self._damaged.add(sweep)
        else:
            self._damaged.discard(sweep)

    def _stop(self, job_id: str) -> None:
        if job_id not in self._stopping:
            self.jobs.stop(job_id)
            self._stopping.add(job_id)

    def _last_job(self, entry: Entry) -> str:
        return self.job_id(entry.name, entry.submission.jobs if entry.submission else 0)

    def _start(self, sweep: str) -> None:
        """Start a driver; what is to start is written first, so that none starts twice."""

        def started(submission: Submission | None) -> Submission | None:
            if submission is None or not is_waiting(submission):
                return None
            event = Event(time.time(), "", "started")
            return submission.with_event(event, has_job=True, jobs=submission.jobs + 1)

        submission = self.submissions.change(sweep, started)
        if submission is not None and submission.has_job:
            self.jobs.start(self.job_id(sweep, submission.jobs), self._command(sweep))
            self.catalogue.refresh(sweep, runs=False)

    def _end(self, sweep: str, job: Job | None) -> None:
        reason = "" if job is None else _last_line(job.text)
        entry = self.catalogue.refresh(sweep)
        counts = {} if entry is None else entry.ends

        def ended(submission: Submission | None) -> Submission | None:
            if submission is None or not submission.has_job:
                return None
            if job is not None and job.job_id != self.job_id(sweep, submission.jobs):
                return None
            after = after_end(submission, job, reason, time.time())
            return dataclasses.replace(after, ended=counts)

        submission = self.submissions.change(sweep, ended)
        self.catalogue.refresh(sweep, runs=False)
        if submission is not None:
            log.info("%s: %s", sweep, submission.events[-1].action)
            self.on_end(sweep, submission)

    def _repeat(self, action: Callable[[], None]) -> None:
        while not self._ended.is_set():
            try:
                action()
                if action == self.step:
                    self.problem = ""
            except (ClusterError, StoreError) as error:
                if str(error) != self.problem:
                    log.warning("%s", error)
                self.problem = str(error)
            except Exception as error:  # ours must not end the supervision of all sweeps
                log.exception("supervision failed; it is tried again")
                self.problem = f"supervision failed: {error}"
            self._wake.wait(POLL_S)
            if action == self.step:
                self._wake.clear()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

"""State of a sweep, from its submission, its driver and its progress."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from raysweep.results.status import Driver, SweepStatus
from raysweep.store.submission import Submission
from raysweep.sweep.outcomes import ENDS

State = Literal["queued", "running", "stopped", "done", "failed"]
STATES: tuple[State, ...] = ("queued", "running", "stopped", "done", "failed")
SILENT_S = 60.0  # after which a driver on another machine is taken to be gone
NO_DRIVER = Driver("none")


@dataclasses.dataclass(frozen=True)
class Entry:
    """Knowledge of the service about a sweep.

    Args:
        name: Name of the sweep.
        submission: Submission of the sweep; None if `raysweep run` started it.
        status: State of the sweep in the store; None before its first session, and if it cannot be
            read.
        problem: Reason why the store's files cannot be read; empty if they can.
        driver: Driver that holds its folder.
        refreshed_at: Time when the store was read, in seconds of the monotonic clock.
        cost_s: Duration of that reading.
        rate: Runs per second of late; None where it is not known.
    """

    name: str
    submission: Submission | None = None
    status: SweepStatus | None = None
    problem: str = ""
    driver: Driver = NO_DRIVER
    refreshed_at: float = float("-inf")
    cost_s: float = 0.0
    rate: float | None = None

    @property
    def state(self) -> State:
        """State of the sweep."""
        if self.is_driven or (self.submission is not None and self.submission.has_job):
            return "running"
        if self.submission is None:
            return "stopped" if self.status is None else self._stored_state()
        if self.submission.outcome is not None:
            return self.submission.outcome.state
        return "queued" if self.submission.wanted == "running" else "stopped"

    @property
    def trouble(self) -> str:
        """Reason of a failure, or why the sweep waits or cannot be read; empty for none."""
        submission = self.submission
        if self.problem or submission is None:
            return self.problem
        if submission.outcome is not None:
            return submission.outcome.text
        deaths = [event.text for event in submission.events if event.action == "died"]
        return deaths[-1] if submission.failures and deaths else ""

    @property
    def is_driven(self) -> bool:
        """Whether a driver that is alive, as far as it is known, holds the folder."""
        recent = self.driver.heartbeat_ago_s < SILENT_S
        return self.driver.state == "alive" or (self.driver.state == "elsewhere" and recent)

    def _stored_state(self) -> State:
        """Return the state of a sweep that was not submitted."""
        counts = self.runs
        if counts["failed"]:
            return "failed"
        planned = counts["planned"]
        return "done" if planned is not None and self.ended >= planned else "stopped"

    @property
    def runs(self) -> Mapping[str, int | None]:
        """Number of planned runs, None where only a budget ends the search, and of ended ones."""
        ends: Counter[str] = Counter()
        if self.status is None:
            planned, last = (
                (None, {})
                if self.submission is None
                else (self.submission.planned, self.submission.ended)
            )
            return {"planned": planned, **{end: last.get(end, 0) for end in ENDS}}
        progress = self.status.progress
        for name, count in progress.arms:
            if not name.endswith(" (others)"):
                ends += count
        return {"planned": progress.total.runs, **{end: ends[end] for end in ENDS}}

    @property
    def ends(self) -> dict[str, int]:
        """Number of ended runs by the way they ended."""
        runs = self.runs
        return {end: runs[end] or 0 for end in ENDS}

    @property
    def ended(self) -> int:
        """Number of ended runs."""
        return sum(self.ends.values())

    @property
    def work(self) -> float:
        """Number of ended runs, and shares of those in flight that are done."""
        if self.status is None:
            return 0.0
        parts = (pack.runs * pack.step / pack.steps for pack in self.status.packs if pack.steps)
        return self.status.progress.ended + sum(parts)

    @property
    def left_s(self) -> float | None:
        """Seconds until the last planned run ends, at the pace of late; None if not known."""
        planned = self.runs["planned"]
        if self.state != "running" or not self.rate or planned is None:
            return None
        return max(0.0, planned - self.work) / self.rate

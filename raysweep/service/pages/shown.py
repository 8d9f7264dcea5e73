"""Sweeps as pages show them."""

import dataclasses
from collections.abc import Iterable, Mapping

from raysweep.service.access.roles import User
from raysweep.service.queue import Waiting, in_order
from raysweep.service.state import Entry
from raysweep.service.supervisor import is_waiting
from raysweep.store.submission import Submission


@dataclasses.dataclass(frozen=True)
class ShownSweep:
    """Sweep on a page.

    Args:
        entry: Knowledge of the service about the sweep.
        position: Position in the queue, from 1; None if the sweep does not wait.
    """

    entry: Entry
    position: int | None = None

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.entry.name

    @property
    def submission(self) -> Submission | None:
        """Submission of the sweep; None if nobody submitted it."""
        return self.entry.submission

    @property
    def state(self) -> str:
        """State in one word, which a stylesheet has a colour for."""
        return self.entry.state

    @property
    def is_stopping(self) -> bool:
        """Whether the sweep still runs, but was cancelled."""
        submission = self.submission
        return self.state == "running" and submission is not None and submission.wanted == "stopped"

    @property
    def word(self) -> str:
        """State in words."""
        if self.is_stopping:
            return "stopping"
        return self.state if self.position is None else f"queued, number {self.position}"

    @property
    def lull(self) -> str:
        """Why a sweep that runs trains nothing at present; empty if it trains, or is to stop."""
        status = self.entry.status
        if self.word != "running" or (status is not None and status.packs):
            return ""
        if not self.entry.is_driven:
            return "Its driver starts."
        if self.planned is not None and self.ended >= self.planned:
            return ""
        return "Nothing trains yet: its packs start, or wait for room on the cluster."

    @property
    def description(self) -> str:
        """Text that the sweep file gives about itself."""
        return self.entry.status.spec.description if self.entry.status else ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Words that the sweep file gives to be found by."""
        return self.entry.status.spec.tags if self.entry.status else ()

    @property
    def owner(self) -> str:
        """Name of the user who submitted the sweep; empty for nobody."""
        return self.submission.owner if self.submission else ""

    @property
    def planned(self) -> int | None:
        """Number of planned runs; None where only a budget ends the search."""
        return self.entry.runs["planned"]

    @property
    def ends(self) -> Mapping[str, int]:
        """Number of ended runs by the way they ended."""
        return self.entry.ends

    @property
    def ended(self) -> int:
        """Number of ended runs."""
        return self.entry.ended

    @property
    def version(self) -> str:
        """Text that changes when results do."""
        status = self.entry.status
        failed = status.failed_count if status else 0
        return "-".join(map(str, (*self.ends.values(), self.planned, failed, self.state)))

    @property
    def seeds(self) -> int:
        """Number of seeds that results are reported on; 0 if it is not known."""
        if self.entry.status is None:
            return 0
        spec = self.entry.status.spec
        return len(spec.report_seeds or spec.seeds)

    @property
    def quarantined(self) -> int:
        """Number of failed runs that no session retries by itself, as far as they are known."""
        status = self.entry.status
        if status is None:
            return 0
        limit = status.spec.resources.max_failures
        return sum(row["runs"] for row in status.failed if row["attempts"] >= limit)

    def actions(self, user: User) -> frozenset[str]:
        """Return the actions that a user may take, and that make sense now.

        Args:
            user: User who looks at the page.
        """
        if not user.may_change(self.submission):
            return frozenset()
        submission = self.submission
        if self.state in ("queued", "running"):
            if submission is None or submission.wanted == "stopped":
                return frozenset()
            return frozenset({"cancel"} | ({"delete"} if self.state == "queued" else set()))
        resumable = {"resume"} if self.state != "done" or self.quarantined else set()
        extensible = {"extend"} if self.seeds else set()
        return frozenset({"delete", *resumable, *extensible})


def shown(entries: Iterable[Entry], every: Iterable[Entry]) -> list[ShownSweep]:
    """Return sweeps as pages show them, with their positions in the queue.

    Args:
        entries: Sweeps to show.
        every: All sweeps of the store, which may wait, too.
    """
    positions = _positions(every)
    return [ShownSweep(entry, positions.get(entry.name)) for entry in entries]


def _positions(entries: Iterable[Entry]) -> Mapping[str, int]:
    waiting, running = [], []
    for entry in entries:
        submission = entry.submission
        if submission is None:
            continue
        if entry.state == "running":
            running.append(submission.owner)
        elif is_waiting(submission):
            waiting.append(
                Waiting(entry.name, submission.owner, submission.priority, submission.submitted_at)
            )
    return {sweep.sweep: index for index, sweep in enumerate(in_order(waiting, running), start=1)}

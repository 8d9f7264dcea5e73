"""Actions of users on sweeps: check, submit, cancel, resume, extend and delete."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from raysweep.driver import deletion as deletions
from raysweep.driver.deletion import Deletion
from raysweep.driver.size import check_size
from raysweep.errors import LeaseHeld, RaysweepError, SpecError
from raysweep.results.sweep_results import SweepResults
from raysweep.service.access.roles import User
from raysweep.service.catalogue import Catalogue
from raysweep.service.config import Config
from raysweep.service.state import Entry
from raysweep.service.submissions import FILE, Submissions, read_file, spec_of
from raysweep.store import sweep_paths
from raysweep.store.submission import Event, Submission
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.size import planned_runs
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.seed_edit import with_seeds

PRIORITIES = range(-100, 101)
MEMBERS_HIGHEST = 0
_LINE = re.compile(rf"{re.escape(FILE)}: line (\d+): (.*)", re.DOTALL)


class Forbidden(RaysweepError):
    """Refusal of something that the user's role does not allow."""


class Conflict(RaysweepError):
    """Refusal of something that the sweep's present state does not allow."""


class SweepRuns(Conflict, LeaseHeld):
    """Refusal of something that a sweep's driver, which runs or waits to run, does not allow."""


class NoSuchSweep(RaysweepError):
    """Absence of a sweep from the store."""


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Mistake in a sweep file.

    Args:
        line: Line of the file; None for a mistake that has none.
        message: Message in one line.
        field: Name of the parameter with which the message begins; None for none.
        in_file: Whether the mistake is in the file.
    """

    line: int | None
    message: str
    field: str | None = None
    in_file: bool = False


def mistakes(error: SpecError) -> list[Mistake]:
    """Return the mistakes of a submitted file, with their lines."""
    listed = []
    for problem in error.problems:
        match = _LINE.fullmatch(problem)
        line, message = (int(match[1]), match[2]) if match else (None, problem)
        of_file = message.removeprefix(f"{FILE}: ")
        in_file = line is not None or of_file != message
        listed.append(Mistake(line, of_file, error.field, in_file))
    return listed


class Sweeps:
    """Actions of users on the sweeps of a store.

    Args:
        config: Settings of the service.
        catalogue: The sweeps of the store.
        submissions: Submissions of the sweeps.
        wake: Function that lets the supervisor look at the sweeps.
    """

    def __init__(
        self,
        config: Config,
        catalogue: Catalogue,
        submissions: Submissions,
        wake: Callable[[], None],
    ) -> None:
        self.config, self.catalogue, self.submissions = config, catalogue, submissions
        self._wake = wake

    def check(self, text: str, changes: Sequence[str] = (), *, smoke: bool = False) -> Spec:
        """Return the spec of a sweep file that may be submitted.

        Args:
            text: Text of the file.
            changes: `KEY=VALUE` texts that override dotted keys of the file.
            smoke: Whether only a short version is trained, for a test.

        Raises:
            SpecError: With one line for each mistake.
        """
        return self._checked(read_file(text, changes, smoke=smoke))

    def _checked(self, spec: Spec) -> Spec:
        try:
            check_size(spec, self.config.max_runs)
        except SpecError as error:
            limit = "max_runs, which an admin of the service sets"
            raise SpecError(error.text.replace("this limit", limit)) from error
        if spec.trackers and not self.config.trackers:
            raise SpecError(
                "expected no tracker, as its folder or server would be written to by the service; "
                "remove it, or ask an admin to set trackers: true"
            )
        return spec

    def entry(self, name: str) -> Entry:
        """Return a sweep.

        Raises:
            NoSuchSweep: If the store has no such sweep.
        """
        try:
            return self.catalogue.entry(name)
        except SpecError as error:
            raise NoSuchSweep(str(error)) from error

    def file(self, entry: Entry) -> str:
        """Return a sweep's file, as submitted or as last run; empty if the store lacks it."""
        if entry.submission is not None:
            return entry.submission.text
        data = self.catalogue.store.below(entry.name).read(sweep_paths.FILE)
        return (data or b"").decode(errors="replace")

    def submit(
        self,
        user: User,
        text: str,
        priority: int = 0,
        changes: Sequence[str] = (),
        *,
        smoke: bool = False,
    ) -> Entry:
        """Submit a sweep file; one of an existing sweep continues it with the new file.

        Args:
            user: User who submits.
            text: Text of the file.
            priority: Sweeps of higher priority start first.
            changes: `KEY=VALUE` texts that override dotted keys of the file.
            smoke: Whether only a short version is trained, for a test.

        Raises:
            SpecError: If the file is wrong.
            Forbidden: If the sweep is another user's, or the priority is too high.
            Conflict: If the sweep runs.
        """
        self._check_role(user)
        self._check_priority(user, priority)
        spec = self.check(text, changes, smoke=smoke)
        return self._run(user, spec, spec.text, "submitted", priority=priority)

    def cancel(self, user: User, name: str) -> Entry:
        """Let a sweep stop, or leave the queue; what it has trained is kept.

        Raises:
            NoSuchSweep: If the store has no such sweep.
            Forbidden: If the sweep is another user's.
            Conflict: If it neither runs nor waits, or the service did not start it.
        """
        entry = self.entry(name)
        self._check_owner(user, entry)
        if entry.submission is None:
            driver = entry.driver.name or "nobody"
            raise Conflict(
                f"{name} was not submitted to this service, so it cannot stop it; it is run by "
                f"{driver}"
            )

        def cancelled(before: Submission | None) -> Submission:
            if before is None or before.wanted == "stopped" or before.outcome is not None:
                raise Conflict(f"expected {name} to run or to wait, but it is {entry.state}")
            return before.with_event(Event(time.time(), user.name, "cancelled"), wanted="stopped")

        self.submissions.change(name, cancelled)
        return self._changed(name)

    def resume(self, user: User, name: str, *, retry_failed: bool = False) -> Entry:
        """Let a sweep continue from its checkpoints, and retry runs that failed.

        Args:
            user: User who resumes.
            name: Name of the sweep.
            retry_failed: Whether quarantined runs are retried, too.

        Raises:
            NoSuchSweep: If the store has no such sweep.
            Forbidden: If the sweep is another user's.
            Conflict: If it runs or waits already.
            SpecError: If its file is wrong, e.g. as a later version reads it.
        """
        entry = self.entry(name)
        self._check_owner(user, entry)
        return self._continue(user, entry, self._text(entry), "resumed", retry_failed)

    def extend(self, user: User, name: str, seeds: int) -> Entry:
        """Let a sweep continue with more seeds.

        Args:
            user: User who extends.
            name: Name of the sweep.
            seeds: Number of seeds of each configuration, all together.

        Raises:
            NoSuchSweep: If the store has no such sweep.
            Forbidden: If the sweep is another user's.
            Conflict: If it runs or waits.
            SpecError: If it has so many seeds already.
        """
        entry = self.entry(name)
        self._check_owner(user, entry)
        text = with_seeds(self._text(entry), seeds, FILE)
        spec = spec_of(name, text)
        if len(spec.report_seeds or spec.seeds) < seeds:
            raise Conflict(f"{name} is a short version with one seed; extend the sweep itself")
        return self._continue(user, entry, text, f"extended to {seeds} seeds")

    def delete(self, user: User, name: str) -> None:
        """Delete a sweep with all its results.

        Raises:
            NoSuchSweep: If the store has no such sweep.
            Forbidden: If the sweep is another user's.
            Conflict: If it runs.
        """
        entry = self.entry(name)
        self._check_owner(user, entry)
        store = SweepStore(self.catalogue.store.uri, name)
        with self._held(store):
            store.remove()
        self.catalogue.refresh(name)

    def deletion(self, user: User, name: str, where: str | None = None) -> Deletion:
        """Return what would be deleted; nothing is.

        Args:
            user: User who wants to delete.
            name: Name of the sweep.
            where: SQL condition over the columns of `runs`; None for the whole sweep.

        Raises:
            NoSuchSweep: If the store has no such sweep.
            Forbidden: If the sweep is another user's.
            SpecError: If no run meets the condition, or it is not valid SQL.
        """
        entry = self.entry(name)
        self._check_owner(user, entry)
        if where is None:
            return deletions.of_sweep(SweepStore(self.catalogue.store.uri, name))
        if entry.status is None:
            raise NoSuchSweep(f"{name} has no results yet")
        return deletions.of_runs(SweepResults(self.catalogue.store.uri, name), where)

    def delete_runs(self, user: User, name: str, where: str) -> Deletion:
        """Delete the runs that meet a condition, and return what was deleted; see `deletion`.

        Raises:
            Conflict: If the sweep runs.
        """
        chosen = self.deletion(user, name, where)
        store = SweepStore(self.catalogue.store.uri, name)
        if not chosen.is_empty:
            with self._held(store):
                deletions.delete_runs(store, chosen)
            self.catalogue.refresh(name)
        return chosen

    @contextlib.contextmanager
    def _held(self, store: SweepStore) -> Iterator[None]:
        """Hold the lease of a sweep that has no driver."""
        try:
            with (
                deletions.held(store, lambda text: None),
                self.submissions.unchanged(store.sweep),
            ):
                self._check_idle(store.sweep, self.submissions.read(store.sweep))
                yield
        except LeaseHeld as error:
            raise SweepRuns(str(error)) from error

    def _continue(
        self, user: User, entry: Entry, text: str, action: str, retry_failed: bool = False
    ) -> Entry:
        spec = self._checked(spec_of(entry.name, text))
        return self._run(user, spec, text, action, retry_failed=retry_failed)

    def _run(self, user: User, spec: Spec, text: str, action: str, **changes: Any) -> Entry:
        """Let a sweep wait for its next driver, with this text of its file."""
        now = time.time()
        word, _, details = action.partition(" ")

        def queued(before: Submission | None) -> Submission:
            self._check_free(user, spec.name, before)
            base = before or Submission(text, user.name, now)
            return base.with_event(
                Event(now, user.name, word, details),
                text=text,
                submitted_at=now,
                planned=planned_runs(spec) or None,
                wanted="running",
                outcome=None,
                failures=0,
                not_before=0.0,
                **{"retry_failed": False, **changes},
            )

        self.submissions.change(spec.name, queued)
        return self._changed(spec.name)

    def _text(self, entry: Entry) -> str:
        text = self.file(entry)
        if not text:
            raise Conflict(f"{entry.name} has no sweep file in the store; submit the file again")
        return text

    def _check_role(self, user: User) -> None:
        if not user.has("member"):
            raise Forbidden(f"{user.name} is a {user.role}; submitting sweeps needs a member")

    def _check_priority(self, user: User, priority: int) -> None:
        if priority not in PRIORITIES:
            raise SpecError(
                f"expected {PRIORITIES[0]} to {PRIORITIES[-1]}, got {priority}", field="priority"
            )
        if priority > MEMBERS_HIGHEST and not user.has("admin"):
            raise Forbidden(f"a priority above {MEMBERS_HIGHEST} needs an admin")

    def _check_owner(self, user: User, entry: Entry) -> None:
        if not user.may_change(entry.submission):
            owner = entry.submission.owner if entry.submission else "nobody"
            raise Forbidden(
                f"{user.name} is a {user.role}, and {entry.name} is {owner}'s: only its owner and "
                "admins may change it"
                if entry.submission
                else f"{entry.name} was not submitted to this service: only admins may change it"
            )

    def _check_free(self, user: User, name: str, before: Submission | None) -> None:
        """Check that a user may continue a sweep that may exist, and that it does not run."""
        entry = self.catalogue.refresh(name, runs=False)
        if entry is None:
            self._check_empty(name)
            return
        self._check_owner(user, entry)
        self._check_idle(name, before)
        if before is not None and before.wanted == "running" and before.outcome is None:
            raise SweepRuns(f"{name} waits to run already; cancel it first")
        if entry.is_driven:
            raise SweepRuns(f"{name} is already being run by {entry.driver.name}; cancel it first")

    def _check_empty(self, name: str) -> None:
        """Check that the store has no other folder of that name, which the sweep would share."""
        folder = self.catalogue.store.below(name)
        if folder.infos("") or folder.folders():
            raise Conflict(
                f"the store has a folder {name} that is no sweep's; give the sweep another name"
            )

    def _check_idle(self, name: str, submission: Submission | None) -> None:
        if submission is not None and submission.has_job:
            state = (
                "is stopping; wait" if submission.wanted == "stopped" else "runs; cancel it first"
            )
            raise SweepRuns(f"{name} {state}")

    def _changed(self, name: str) -> Entry:
        entry = self.catalogue.refresh(name, runs=False)
        self._wake()
        if entry is None:
            raise NoSuchSweep(f"{name} was deleted meanwhile")
        return entry

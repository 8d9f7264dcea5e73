"""Submission of a sweep to the service: owner, priority, wanted state, history, sweep file."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from raysweep.store import json_file, sweep_paths
from raysweep.store.files import Files

NAME = sweep_paths.SUBMISSION
MOST_EVENTS = 200  # of a sweep's history; older ones are dropped
Wanted = Literal["running", "stopped"]


@dataclasses.dataclass(frozen=True)
class Event:
    """Entry of a sweep's history.

    Args:
        at: Time, in seconds since 1970.
        user: Name of the user who caused it; empty if the service did.
        action: Action in one word, such as `submitted`, `cancelled` or `ended`.
        text: Details in one line; empty for none.
    """

    at: float
    user: str
    action: str
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """End of the last session that is not to be repeated.

    Args:
        state: `done` if every run ended, `failed` if runs failed or no session can start.
        text: Reason for a failure, in one line; empty for none.
        at: Time of the end, in seconds since 1970.
        exit_code: Exit code of the driver; None in files of earlier versions.
    """

    state: Literal["done", "failed"]
    text: str
    at: float
    exit_code: int | None = None


@dataclasses.dataclass(frozen=True)
class Submission:
    """Submission of a sweep: all that the service needs to continue with it after a restart.

    Args:
        text: Text of the sweep file.
        owner: Name of the user who submitted it last.
        submitted_at: Time of the last submission, in seconds since 1970.
        planned: Number of runs that the file plans; None if only a budget ends the search.
        priority: Sweeps of higher priority start first.
        wanted: State that the users want.
        jobs: Number of jobs that were started; the last one has this number.
        has_job: Whether that job was started and its end has not been seen.
        failures: Number of drivers in a row that died, or could not run.
        not_before: Time before which no driver is started, in seconds since 1970.
        outcome: End of the sweep; None while a session is to run.
        retry_failed: Whether the next session also retries quarantined runs.
        ended: Number of ended runs by status when the last driver ended.
        events: History, the oldest first.
    """

    text: str
    owner: str
    submitted_at: float
    planned: int | None = None
    priority: int = 0
    wanted: Wanted = "running"
    jobs: int = 0
    has_job: bool = False
    failures: int = 0
    not_before: float = 0.0
    outcome: Outcome | None = None
    retry_failed: bool = False
    ended: Mapping[str, int] = dataclasses.field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def with_event(self, event: Event, **changes: Any) -> "Submission":
        """Return the submission with an entry added to its history, and with other changes."""
        events = (*self.events, event)[-MOST_EVENTS:]
        return dataclasses.replace(self, events=events, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the submission as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Submission":
        """Return the submission that `to_json` wrote.

        Raises:
            KeyError: If a value is missing.
            TypeError: If a value is unknown, or of another type.
        """
        known = json_file.mapping(data)
        outcome = known["outcome"]
        return cls(
            **{
                **known,
                "outcome": None if outcome is None else Outcome(**outcome),
                "events": tuple(Event(**event) for event in known["events"]),
            }
        )


def read(files: Files) -> Submission | None:
    """Return the submission of a sweep, or None if it was not submitted to a service.

    Args:
        files: The sweep's folder.

    Raises:
        DamagedFile: If the file holds something else.
        StoreError: If the file cannot be reached.
    """

    def build(data: Any) -> Submission:
        json_file.check_digest(data, required=True)
        plain = {name: value for name, value in data.items() if name != "sha256"}
        return Submission.from_json(plain)

    return json_file.read_json(files, NAME, build, "a submission")


def write(files: Files, submission: Submission) -> None:
    """Write the submission of a sweep."""
    files.write(NAME, json_file.with_digest(submission.to_json()))

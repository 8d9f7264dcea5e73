"""Answers of the HTTP interface, with which its OpenAPI document is made."""

from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, Field

from raysweep.driver.deletion import Deletion as Chosen
from raysweep.results.status import SweepStatus
from raysweep.service.access.roles import Role
from raysweep.service.state import Entry, State
from raysweep.sweep.outcomes import ENDS


class Health(BaseModel):
    """Health of the service."""

    status: Literal["ok", "degraded"]
    version: str
    problem: str = Field("", description="Reason why drivers cannot be supervised; empty for none")


class Mistake(BaseModel):
    """Mistake in a sweep file, or in a parameter."""

    line: int | None = Field(description="Line of the file; null for a mistake that has none")
    message: str
    field: str | None = Field(None, description="Parameter that is wrong; null for none")
    in_file: bool = Field(False, description="Whether the mistake is in the file")


class Problem(BaseModel):
    """Reason why a request was refused."""

    detail: str
    kind: str = Field("", description="Name of the error in Python")
    field: str | None = Field(None, description="Parameter that is wrong; null for none")


class Runs(BaseModel):
    """Number of runs of a sweep."""

    planned: int | None = Field(description="Null where only a budget ends the search")
    done: int
    diverged: int
    stopped: int
    failed: int


class Event(BaseModel):
    """Entry of a sweep's history."""

    at: datetime
    user: str = Field(description="Empty if the service did it")
    action: str
    text: str


class Sweep(BaseModel):
    """Sweep in a list."""

    name: str
    state: State
    runs: Runs
    owner: str | None = Field(description="Null if the sweep was not submitted to the service")
    priority: int
    submitted_at: datetime | None
    left_s: float | None = Field(description="Seconds to the end, as far as they are known")
    description: str
    tags: list[str]
    problem: str = Field(description="Reason of a failure, or why the sweep cannot be read")
    exit_code: int | None = Field(
        description="0 if all runs ended, 1 if some failed or are missing, 2 if the sweep cannot "
        "run as it is; null before the end"
    )


class ArmRuns(BaseModel):
    """Number of an arm's runs by the way they ended."""

    arm: str
    done: int
    diverged: int
    stopped: int
    failed: int


class Pack(BaseModel):
    """Pack that began and has not ended."""

    pack_id: str
    runs: int
    step: int
    steps: int
    metric: str | None
    value: float | None


class Failure(BaseModel):
    """Failed run, of the runs with its error."""

    run_id: str
    estimator: str
    task: str
    attempts: int
    error: str
    runs: int


class SweepDetail(Sweep):
    """Sweep with its progress."""

    driver: str
    arms: list[ArmRuns]
    packs: list[Pack]
    silent_s: dict[str, float] = Field(description="Seconds without a step, by pack that may hang")
    warnings: list[str]
    failures: list[Failure]
    metrics: list[str]
    select: str
    history: list[Event]
    file: str = Field(description="Text of the sweep file")


class Checked(BaseModel):
    """Sweep file without a mistake."""

    name: str
    planned: int | None
    arms: int
    exists: bool = Field(description="Whether the store has a sweep of this name")


class Seeds(BaseModel):
    """Extension of a sweep."""

    seeds: int = Field(ge=1, le=1_000_000, description="Number of seeds, all together")


class Name(BaseModel):
    """Name of a sweep."""

    name: str


class Deletion(BaseModel):
    """Part of a sweep that is deleted, or would be."""

    text: str = Field(description="Such as '3 of 12 runs of small in /store/small'")
    note: str = Field(description="Line on unfinished packs that are kept; empty for none")
    runs: int
    packs: int
    folder: str = Field(description="Path or URI of the sweep's folder")


class Me(BaseModel):
    """User who asks."""

    name: str
    role: Role


def sweep(entry: Entry) -> Sweep:
    """Return a sweep as it is in a list."""
    return Sweep(**_sweep(entry))


def detail(entry: Entry, file: str) -> SweepDetail:
    """Return a sweep with its progress.

    Args:
        entry: What the service knows of the sweep.
        file: Text of its sweep file.
    """
    status, submission = entry.status, entry.submission
    driver = entry.driver.name if entry.is_driven else ""
    history = [] if submission is None else list(map(_event, submission.events))
    return SweepDetail(
        **_sweep(entry), **_progress(status), driver=driver, history=history, file=file
    )


def deletion(chosen: Chosen, folder: str) -> Deletion:
    """Return the part of a sweep that is deleted, or would be.

    Args:
        chosen: Part of the sweep, as it was chosen.
        folder: Path or URI of the sweep's folder.
    """
    return Deletion(
        text=chosen.text,
        note=chosen.note,
        runs=len(chosen.runs),
        packs=len(chosen.packs),
        folder=folder,
    )


def _sweep(entry: Entry) -> dict[str, Any]:
    submission, status = entry.submission, entry.status
    return {
        "name": entry.name,
        "state": entry.state,
        "runs": Runs.model_validate(dict(entry.runs)),
        "owner": submission.owner if submission else None,
        "priority": submission.priority if submission else 0,
        "submitted_at": _time(submission.submitted_at) if submission else None,
        "left_s": entry.left_s,
        "description": status.spec.description if status else "",
        "tags": list(status.spec.tags) if status else [],
        "problem": entry.trouble,
        "exit_code": _exit_code(entry),
    }


def _exit_code(entry: Entry) -> int | None:
    """Return the exit code of the last session, by its outcome or else by its runs."""
    outcome = entry.submission.outcome if entry.submission else None
    if outcome is not None and outcome.exit_code is not None:
        return outcome.exit_code
    return {"done": 0, "failed": 1}.get(entry.state)


def _progress(status: SweepStatus | None) -> dict[str, Any]:
    if status is None:
        lists: dict[str, Any] = {
            name: [] for name in ("arms", "packs", "warnings", "failures", "metrics")
        }
        return {**lists, "silent_s": {}, "select": ""}
    return {
        "arms": [
            ArmRuns(arm=arm, **{end: count[end] for end in ENDS})
            for arm, count in status.progress.arms
        ],
        "packs": [Pack(**vars(pack)) for pack in status.packs],
        "silent_s": dict(status.silent),
        "warnings": list(status.warnings),
        "failures": [
            Failure(**{name: row[name] for name in Failure.model_fields}) for row in status.failed
        ],
        "metrics": list(status.spec.metrics),
        "select": status.spec.select.metric,
    }


def _event(event: Any) -> Event:
    return Event(at=_time(event.at), user=event.user, action=event.action, text=event.text)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)

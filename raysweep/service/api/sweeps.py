"""Endpoints that submit, list, show and change sweeps."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from raysweep.errors import SpecError
from raysweep.service.api import models
from raysweep.service.api.access import AnyUser, Member, Parts, Service_, record
from raysweep.service.state import Entry, State
from raysweep.sweep.size import planned_runs

router = APIRouter(tags=["sweeps"])
MISTAKES: dict[int | str, dict[str, object]] = {
    422: {"model": list[models.Mistake], "description": "Mistakes of the file or the parameters"}
}
YAML_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/yaml": {"schema": {"type": "string"}}},
    }
}


async def file_text(request: Request) -> str:
    """Return the sweep file that is the body of a request.

    Raises:
        SpecError: If it is not UTF-8 text.
    """
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("expected a sweep file as UTF-8 text") from error


FileText = Annotated[str, Depends(file_text)]


class Changes:
    """Changes of a sweep file.

    Args:
        changes: `KEY=VALUE` texts that override dotted keys of the file, given as `set`.
        smoke: Whether only a short version is trained, for a test, in the sweep `NAME-smoke`.
    """

    def __init__(
        self,
        changes: Annotated[list[str] | None, Query(alias="set")] = None,
        smoke: bool = False,
    ) -> None:
        self.given: dict[str, Any] = {"changes": tuple(changes or ()), "smoke": smoke}


Changed = Annotated[Changes, Depends()]


@router.post("/sweeps", status_code=201, responses=MISTAKES, openapi_extra=YAML_BODY)
def submit(
    request: Request,
    text: FileText,
    user: Member,
    parts: Service_,
    changed: Changed,
    priority: int = 0,
) -> models.Sweep:
    """Submit a sweep file; one whose sweep exists, and does not run, continues that sweep."""
    entry = parts.service.sweeps.submit(user, text, priority, **changed.given)
    record(request, user, "submit", entry.name)
    return models.sweep(entry)


@router.post("/sweeps/check", responses=MISTAKES, openapi_extra=YAML_BODY)
def check(text: FileText, user: AnyUser, parts: Service_, changed: Changed) -> models.Checked:
    """Check a sweep file; nothing is stored."""
    return check_text(parts, text, **changed.given)


@router.get("/sweeps")
def list_sweeps(
    user: AnyUser,
    parts: Service_,
    state: Annotated[list[State] | None, Query()] = None,
    owner: str | None = None,
    search: str | None = None,
    tag: Annotated[list[str] | None, Query()] = None,
) -> list[models.Sweep]:
    """List the sweeps, the last submitted first."""
    entries = parts.service.catalogue.entries()
    return [models.sweep(entry) for entry in in_order(selected(entries, state, owner, search, tag))]


@router.get("/sweeps/{name}")
def show(name: str, user: AnyUser, parts: Service_) -> models.SweepDetail:
    """Show a sweep with its progress."""
    entry = parts.service.sweeps.entry(name)
    return models.detail(entry, parts.service.sweeps.file(entry))


@router.post("/sweeps/{name}/cancel")
def cancel(request: Request, name: str, user: Member, parts: Service_) -> models.Sweep:
    """Let a sweep stop, or leave the queue; what it has trained is kept."""
    entry = parts.service.sweeps.cancel(user, name)
    record(request, user, "cancel", name)
    return models.sweep(entry)


@router.post("/sweeps/{name}/resume", responses=MISTAKES)
def resume(
    request: Request, name: str, user: Member, parts: Service_, retry_failed: bool = False
) -> models.Sweep:
    """Let a sweep continue from its checkpoints."""
    entry = parts.service.sweeps.resume(user, name, retry_failed=retry_failed)
    record(request, user, "resume", name)
    return models.sweep(entry)


@router.post("/sweeps/{name}/extend", responses=MISTAKES)
def extend(
    request: Request,
    name: str,
    seeds: Annotated[models.Seeds, Body()],
    user: Member,
    parts: Service_,
) -> models.Sweep:
    """Let a sweep continue with more seeds."""
    entry = parts.service.sweeps.extend(user, name, seeds.seeds)
    record(request, user, "extend", name, f"to {seeds.seeds} seeds")
    return models.sweep(entry)


@router.get("/sweeps/{name}/deletion", responses=MISTAKES)
def deletion(name: str, user: Member, parts: Service_, where: str | None = None) -> models.Deletion:
    """Return what would be deleted: the sweep, or its runs that meet a condition in SQL."""
    with parts.readings.turn():
        return models.deletion(
            parts.service.sweeps.deletion(user, name, where), parts.service.store.below(name).uri
        )


@router.delete("/sweeps/{name}/runs", responses=MISTAKES)
def delete_runs(
    request: Request, name: str, user: Member, parts: Service_, where: str
) -> models.Deletion:
    """Delete the runs of a sweep that meet a condition in SQL."""
    with parts.readings.turn():
        deleted = parts.service.sweeps.delete_runs(user, name, where)
    record(request, user, "delete runs", name, deleted.text)
    return models.deletion(deleted, parts.service.store.below(name).uri)


@router.delete("/sweeps/{name}", status_code=204, response_class=Response)
def delete(request: Request, name: str, user: Member, parts: Service_) -> None:
    """Delete a sweep with all its results."""
    parts.service.sweeps.delete(user, name)
    record(request, user, "delete", name)


def selected(
    entries: list[Entry],
    states: list[State] | None,
    owner: str | None,
    search: str | None,
    tags: list[str] | None,
) -> list[Entry]:
    """Return the sweeps in one of these states, of an owner, with a text and with all tags."""
    wanted = (search or "").lower()
    return [
        entry
        for entry in entries
        if (not states or entry.state in states)
        and (not owner or (entry.submission is not None and entry.submission.owner == owner))
        and (not wanted or wanted in _text(entry))
        and set(tags or ()) <= set(entry.status.spec.tags if entry.status else ())
    ]


def in_order(entries: list[Entry]) -> list[Entry]:
    """Return sweeps with the last submitted first, and then those that nobody submitted."""
    return sorted(
        entries,
        key=lambda entry: (-(entry.submission.submitted_at if entry.submission else 0), entry.name),
    )


def check_text(parts: Parts, text: str, **changes: Any) -> models.Checked:
    """Return the size of the sweep of a file without a mistake.

    Args:
        parts: Parts of the service.
        text: Text of the file.
        changes: Changes of the file, as `Changes` has them.

    Raises:
        SpecError: With one line for each mistake.
    """
    spec = parts.service.sweeps.check(text, **changes)
    known = {entry.name for entry in parts.service.catalogue.entries()}
    return models.Checked(
        name=spec.name,
        planned=planned_runs(spec) or None,
        arms=len(spec.arms),
        exists=spec.name in known,
    )


def _text(entry: Entry) -> str:
    description = entry.status.spec.description if entry.status else ""
    return f"{entry.name} {description}".lower()

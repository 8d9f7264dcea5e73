"""Endpoints of the state of sweeps as text, as `raysweep ls` and `raysweep status` print it."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from raysweep.formats.failed_runs import failed_text
from raysweep.formats.status import list_grid, no_sweeps, status_text
from raysweep.formats.text import as_text
from raysweep.results.status import ListedSweep, latest_sweep
from raysweep.service.api import models
from raysweep.service.api.access import AnyUser, Service_
from raysweep.service.api.answers import text_answer
from raysweep.service.api.parameters import Roomy
from raysweep.service.state import Entry
from raysweep.text import counted

router = APIRouter(tags=["sweeps"])
CANNOT_RUN = 2  # exit code of a driver whose sweep cannot run as it is


@router.get("/list", response_class=Response)
def list_text(
    user: AnyUser,
    parts: Service_,
    room: Roomy,
    tag: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """List the sweeps as text; those that wait, or whose driver starts, have their states."""
    tags = tag or ()
    sweeps = [_listed(entry) for entry in parts.service.catalogue.entries()]
    listed = [sweep for sweep in sweeps if set(tags) <= set(sweep.tags)]
    if not listed:
        return text_answer("text", no_sweeps(parts.service.store, tags, sweeps))
    return text_answer("text", as_text([list_grid(listed)], room.screen))


def _listed(entry: Entry) -> ListedSweep:
    state = entry.state if entry.state in ("queued", "running") and not entry.is_driven else ""
    if entry.problem:
        return ListedSweep(entry.name, problem="unreadable", state=state)
    status = entry.status
    if status is None:
        return ListedSweep(entry.name, entry.ended, driver=entry.driver, state=state)
    spec, runs = status.spec, entry.ended + status.progress.others
    return ListedSweep(entry.name, runs, "", entry.driver, spec.description, spec.tags, state=state)


@router.get("/latest")
def latest(user: AnyUser, parts: Service_) -> models.Name:
    """Return the sweep whose last session started last."""
    with parts.readings.turn():
        return models.Name(name=latest_sweep(parts.service.store))


@router.get("/sweeps/{name}/status", response_class=Response)
def status(
    name: str, user: AnyUser, parts: Service_, room: Roomy, failed: bool = False
) -> Response:
    """Return the progress of a sweep as text, or its failed runs with all their attempts."""
    entry = parts.service.sweeps.entry(name)
    store = parts.service.store
    if entry.status is None and not entry.problem:
        total = counted(entry.runs["planned"] or 0, "planned run")
        text = f"{name} in {store.below(name).uri}\n0 of {total} ended; no driver\n"
        return text_answer("text", text + _of_service(entry))
    with parts.readings.turn():
        if failed:
            return text_answer("text", failed_text(store.uri, name))
        text = status_text(store.uri, name, room.screen)
    return text_answer("text", text + _of_service(entry))


def _of_service(entry: Entry) -> str:
    """Return a line on what the service alone knows of a sweep; empty for nothing."""
    submission = entry.submission
    if submission is None or entry.state in ("running", "done"):
        return ""
    last = submission.events[-1]
    by = f" by {last.user}" if last.user else ""
    outcome = submission.outcome
    if outcome is not None:
        cannot = outcome.exit_code == CANNOT_RUN and outcome.text
        return f"{outcome.text}\n" if cannot else ""
    if entry.state == "stopped":
        return f"{last.action}{by}; 'raysweep resume {entry.name}' continues it\n"
    why = f": {last.text}" if last.action == "died" else ""
    return f"queued, {last.action}{by}{why}\n"

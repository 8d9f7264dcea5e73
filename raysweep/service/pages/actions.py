"""Actions on a sweep from its page: cancel, resume, extend, delete."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from raysweep.service.api.access import Service_, record
from raysweep.service.pages.rendering import html
from raysweep.service.pages.sweep import shown_sweep
from raysweep.service.pages.users import FormUser, PageUser
from raysweep.service.sweeps import Forbidden

router = APIRouter(include_in_schema=False)


@router.post("/sweeps/{name}/cancel")
def cancel(request: Request, name: str, user: FormUser, parts: Service_) -> Response:
    """Let a sweep stop, or leave the queue."""
    parts.service.sweeps.cancel(user, name)
    record(request, user, "cancel", name)
    return _back(name)


@router.post("/sweeps/{name}/resume")
def resume(
    request: Request,
    name: str,
    user: FormUser,
    parts: Service_,
    retry_failed: Annotated[bool, Form()] = False,
) -> Response:
    """Let a sweep continue from its checkpoints."""
    parts.service.sweeps.resume(user, name, retry_failed=retry_failed)
    record(request, user, "resume", name)
    return _back(name)


@router.post("/sweeps/{name}/extend")
def extend(
    request: Request,
    name: str,
    user: FormUser,
    parts: Service_,
    seeds: Annotated[int, Form(ge=1, le=1_000_000)],
) -> Response:
    """Let a sweep continue with more seeds."""
    parts.service.sweeps.extend(user, name, seeds)
    record(request, user, "extend", name, f"to {seeds} seeds")
    return _back(name)


@router.get("/sweeps/{name}/delete")
def confirm_deletion(request: Request, name: str, user: PageUser, parts: Service_) -> Response:
    """Ask whether a sweep is to be deleted."""
    one = shown_sweep(parts, name)
    if not user.may_change(one.submission):
        raise Forbidden(f"only the owner of {name} and admins may delete it")
    return html(request, "delete.html", sweep=one, actions=one.actions(user))


@router.post("/sweeps/{name}/delete")
def delete(request: Request, name: str, user: FormUser, parts: Service_) -> Response:
    """Delete a sweep with all its results."""
    parts.service.sweeps.delete(user, name)
    record(request, user, "delete", name)
    return RedirectResponse("/", 303)


def _back(name: str) -> Response:
    return RedirectResponse(f"/sweeps/{name}", 303)

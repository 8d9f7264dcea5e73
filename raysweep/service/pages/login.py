"""Page to log in, with a token or with a link that works once."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from raysweep.service.access.limits import address_of
from raysweep.service.access.roles import User
from raysweep.service.access.sessions import (
    FIELD,
    check_origin,
    csrf_token,
    open_session,
    start_session,
)
from raysweep.service.api.access import Service_, record
from raysweep.service.pages.rendering import html
from raysweep.service.pages.users import START, FormUser, local_path

router = APIRouter(include_in_schema=False)
WRONG_CODE = "this link was used before, or is too old; log in with a token"
WRONG_TOKEN = "the token is unknown or has expired; ask an admin for a new one"
NO_COOKIE = "the browser sent no cookie; allow cookies of this site, and log in again"


@router.get("/login")
def login_page(request: Request, parts: Service_, code: str = "", next: str = START) -> Response:
    """Show the form for a token; a link with a valid code needs none."""
    if not code:
        return _form(request, next)
    user = parts.codes.take(code)
    if user is None:
        parts.limits.count_refused(address_of(request))
        return _form(request, next, WRONG_CODE)
    return _opened(request, user, next)


@router.post("/login")
def login(
    request: Request,
    parts: Service_,
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = START,
    given: Annotated[str, Form(alias=FIELD)] = "",
) -> Response:
    """Open a session for the holder of a token."""
    if not csrf_token(request.session):
        return _form(request, next, NO_COOKIE)
    check_origin(request, given)
    user = parts.service.tokens.user(token.strip())
    if user is None:
        parts.limits.count_refused(address_of(request))
        return _form(request, next, WRONG_TOKEN)
    return _opened(request, user, next)


@router.post("/logout")
def logout(request: Request, user: FormUser) -> Response:
    """End the session."""
    request.session.clear()
    return RedirectResponse("/login", 303)


def _form(request: Request, next: str, problem: str = "") -> Response:
    if not csrf_token(request.session):
        start_session(request.session)
    status = 401 if problem else 200
    return html(request, "login.html", status, next=local_path(next), problem=problem)


def _opened(request: Request, user: User, next: str) -> Response:
    open_session(request.session, user)
    record(request, user, "login")
    return RedirectResponse(local_path(next), 303)

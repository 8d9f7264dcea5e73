"""Page of tokens, for admins: list, make and revoke them."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from raysweep.errors import SpecError
from raysweep.service.access.roles import ROLES, Role
from raysweep.service.api.access import Parts, Service_, record
from raysweep.service.pages.rendering import html
from raysweep.service.pages.users import FormUser, PageAdmin, page_admin

router = APIRouter(include_in_schema=False)


@router.get("/tokens")
def tokens(request: Request, user: PageAdmin, parts: Service_) -> Response:
    """List the tokens, without their secret parts."""
    return _page(request, parts)


@router.post("/tokens")
def create(
    request: Request,
    user: FormUser,
    parts: Service_,
    name: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = "viewer",
    days: Annotated[str, Form()] = "",
) -> Response:
    """Make a token, and show it once."""
    page_admin(user)
    try:
        token = parts.service.tokens.create(name.strip(), role, _number(days))
    except SpecError as error:
        return _page(request, parts, problem=str(error))
    record(request, user, "token", text=f"made one of the {role} {name.strip()}")
    return _page(request, parts, made=token, made_for=name.strip())


@router.post("/tokens/{token_id}/revoke")
def revoke(request: Request, token_id: str, user: FormUser, parts: Service_) -> Response:
    """Revoke a token; sessions that it opened end, too."""
    page_admin(user)
    parts.service.tokens.revoke(token_id)
    record(request, user, "token", text=f"revoked {token_id}")
    return RedirectResponse("/tokens", 303)


def _number(text: str) -> float | None:
    """Return a number of days; None for a token that does not expire.

    Raises:
        SpecError: If it is no number.
    """
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise SpecError(f"expected a number of days, got {text!r}", field="days") from error


def _page(
    request: Request, parts: Parts, *, made: str = "", made_for: str = "", problem: str = ""
) -> Response:
    return html(
        request,
        "tokens.html",
        422 if problem else 200,
        tokens=parts.service.tokens.all(),
        roles=ROLES,
        made=made,
        made_for=made_for,
        problem=problem,
    )

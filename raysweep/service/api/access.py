"""Users of requests, and what their roles allow, as dependencies of endpoints."""

import dataclasses
import time
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from raysweep.service.access.audit import AuditEntry
from raysweep.service.access.limits import RequestLimits, address_of
from raysweep.service.access.roles import User
from raysweep.service.access.sessions import (
    HEADER,
    BadToken,
    LoginCodes,
    check_origin,
    user_of,
)
from raysweep.service.readings import Readings
from raysweep.service.service import Service
from raysweep.service.sweeps import Forbidden

BEARER = HTTPBearer(auto_error=False, description="Token made by `raysweep token create`")


@dataclasses.dataclass(frozen=True)
class Parts:
    """Parts of the service that endpoints need, besides their parameters.

    Args:
        service: The parts of the service.
        readings: Results of the sweeps.
        limits: Limits on the number of requests.
        codes: Codes of links that open a session.
    """

    service: Service
    readings: Readings
    limits: RequestLimits
    codes: LoginCodes


def parts_of(request: Request) -> Parts:
    """Return the parts of the service that answers a request."""
    parts: Parts = request.app.state.parts
    return parts


def known_user(request: Request) -> User:
    """Return the user of a request, whatever sent it.

    Raises:
        BadToken: If it has no token that is known and valid.
        TooManyRequests: If the user, or the machine, sent too many requests.
    """
    parts, address = parts_of(request), address_of(request)
    try:
        user = user_of(request, parts.service.tokens)
        if user is None:
            raise BadToken("expected a token: send the header 'Authorization: Bearer TOKEN'")
    except BadToken:
        if "authorization" in request.headers:  # others share the address, so only this is refused
            parts.limits.count_refused(address)
        raise
    parts.limits.count(user.name)
    return user


def current_user(request: Request) -> User:
    """Return the user of a request.

    Raises:
        BadToken: If it has no token that is known and valid.
        ForeignRequest: If it changes something and may have been sent by another site.
        TooManyRequests: If the user, or the machine, sent too many requests.
    """
    user = known_user(request)
    check_origin(request, request.headers.get(HEADER, ""))
    return user


def current_member(user: Annotated[User, Depends(current_user)]) -> User:
    """Return the user of a request that needs a member or an admin.

    Raises:
        Forbidden: If the user is a viewer.
    """
    if not user.has("member"):
        raise Forbidden(f"{user.name} is a {user.role}; this needs a member or an admin")
    return user


AnyUser = Annotated[User, Depends(current_user)]
Member = Annotated[User, Depends(current_member)]
Service_ = Annotated[Parts, Depends(parts_of)]


def record(request: Request, user: User, action: str, sweep: str = "", text: str = "") -> None:
    """Add an action of a user to the audit log."""
    entry = AuditEntry(
        time.time(), user.name, user.token_id, address_of(request), action, sweep, text
    )
    parts_of(request).service.audit.add(entry)

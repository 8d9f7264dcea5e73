"""Sessions of browsers: a signed cookie, and protection against requests from other sites."""

import hmac
import secrets
import threading
import time
from typing import Any

from starlette.requests import Request

from raysweep.errors import RaysweepError
from raysweep.service.access.roles import User
from raysweep.service.access.tokens import Tokens

SAFE = ("GET", "HEAD", "OPTIONS")
SESSION_S = 14 * 86_400
CODE_S = 600.0  # for which a link that opens a session is valid
FIELD, HEADER = "csrf_token", "x-csrf-token"


class BadToken(RaysweepError):
    """Refusal of a request without a token that is known and valid."""


class ForeignRequest(RaysweepError):
    """Refusal of a change that may have been sent by another site."""


def open_session(session: dict[str, Any], user: User) -> None:
    """Open a session for the holder of a token; what the session held before is dropped."""
    session.clear()
    session.update(token_id=user.token_id, csrf=secrets.token_urlsafe(24))


def start_session(session: dict[str, Any]) -> None:
    """Start a session of nobody, for the form to log in."""
    session["csrf"] = secrets.token_urlsafe(24)


def csrf_token(session: dict[str, Any]) -> str:
    """Return the text that forms of a session must send."""
    return str(session.get("csrf", ""))


def user_of(request: Request, tokens: Tokens) -> User | None:
    """Return the user of a request by its token or session; None if it has neither.

    Raises:
        BadToken: If its token is unknown, or has expired.
    """
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, token = header.partition(" ")
        user = tokens.user(token.strip()) if kind.lower() == "bearer" else None
        if user is None:
            raise BadToken("the token is unknown or has expired; ask an admin for a new one")
        return user
    token_id = request.session.get("token_id")
    return tokens.holder(token_id) if isinstance(token_id, str) else None


def is_by_cookie(request: Request) -> bool:
    """Return whether a request is known by its session alone, which browsers send by themselves."""
    return "authorization" not in request.headers


def check_origin(request: Request, given: str) -> None:
    """Check that a change was sent by a page of the service.

    Args:
        request: Request that changes something.
        given: Text that the form or the header sent.

    Raises:
        ForeignRequest: If it may have been sent by another site.
    """
    if request.method in SAFE or not is_by_cookie(request):
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    expected = csrf_token(request.session)
    if site not in ("same-origin", "none") or not expected:
        raise ForeignRequest("expected a request from a page of this service")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForeignRequest("the page is too old; load it again, and repeat")


class LoginCodes:
    """Codes of links that open a session once, so that no link holds a token."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[User, float]] = {}
        self._lock = threading.Lock()

    def create(self, user: User) -> str:
        """Return a new code for a user."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = (user, time.monotonic() + CODE_S)
        return code

    def take(self, code: str) -> User | None:
        """Return the user of a code, which is then no longer valid; None if it is not valid."""
        with self._lock:
            user, until = self._codes.pop(code, (None, 0.0))
        return user if time.monotonic() < until else None

"""Users of pages: known by their session; forms send a text that other sites do not know."""

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Form, Request

from raysweep.service.access.roles import User
from raysweep.service.access.sessions import FIELD, check_origin
from raysweep.service.api.access import known_user
from raysweep.service.sweeps import Forbidden

START = "/"


def page_user(request: Request) -> User:
    """Return the user of a page.

    Raises:
        BadToken: If nobody is logged in.
        TooManyRequests: If the user, or the machine, sent too many requests.
    """
    user = known_user(request)
    request.state.user = user
    return user


def form_user(request: Request, given: Annotated[str, Form(alias=FIELD)] = "") -> User:
    """Return the user who sent a form.

    Raises:
        BadToken: If nobody is logged in.
        ForeignRequest: If another site may have sent it.
        TooManyRequests: If the user, or the machine, sent too many requests.
    """
    user = page_user(request)
    check_origin(request, given)
    return user


def page_admin(user: Annotated[User, Depends(page_user)]) -> User:
    """Return the user of a page that needs an admin.

    Raises:
        Forbidden: If the user is none.
    """
    if not user.has("admin"):
        raise Forbidden(f"{user.name} is a {user.role}; this page needs an admin")
    return user


PageUser = Annotated[User, Depends(page_user)]
FormUser = Annotated[User, Depends(form_user)]
PageAdmin = Annotated[User, Depends(page_admin)]


def local_path(text: str) -> str:
    """Return a path of this service that a link gave, or that of the start for anything else."""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as of a host in brackets without an end
        return START
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    is_plain = text.isprintable() and "\\" not in text and not parts.netloc and not parts.scheme
    return text if is_local and is_plain else START


def login_path(request: Request) -> str:
    """Return the path of the page to log in, which leads back to a request."""
    query = f"?{request.url.query}" if request.url.query else ""
    back = f"{request.url.path}{query}"
    return "/login" if back == START else f"/login?next={quote(back, safe='/')}"

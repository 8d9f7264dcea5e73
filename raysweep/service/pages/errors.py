"""Errors as pages for browsers; others get them as the HTTP interface answers."""

import http
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from raysweep.errors import RaysweepError
from raysweep.service.access.headers import HEADERS
from raysweep.service.access.roles import User
from raysweep.service.access.sessions import user_of
from raysweep.service.api.access import parts_of
from raysweep.service.pages.rendering import FRAGMENT, html
from raysweep.service.pages.users import login_path

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]
TITLES = {
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible now",
    413: "Too large",
    422: "Wrong input",
    429: "Too many requests",
    503: "Not available",
}
TEXTS = {
    "Not Found": "this service has no such page",
    "Method Not Allowed": "this page takes no such request",
}


def add_handlers(app: FastAPI) -> None:
    """Let an application, whose other handlers are there, show errors to browsers as pages."""
    for kind, handler in list(app.exception_handlers.items()):
        if kind is not WebSocketRequestValidationError:
            app.add_exception_handler(kind, _for_browsers(handler))
    app.add_exception_handler(Exception, _failed)


def is_page(request: Request) -> bool:
    """Return whether a request is that of a browser for a page."""
    is_api = request.url.path.startswith(("/api/", "/static/", "/metrics"))
    wants_html = "text/html" in request.headers.get("accept", "")
    return wants_html and not is_api and FRAGMENT not in request.headers


def _for_browsers(handler: Any) -> Handler:
    """Return a handler that shows the answer of another one as a page, if a browser asked."""

    async def shown(request: Request, error: Exception) -> Response:
        answer = handler(request, error)
        response: Response = await answer if inspect.isawaitable(answer) else answer
        if not is_page(request):
            return response
        if response.status_code == 401 and request.method == "GET":
            return RedirectResponse(login_path(request), 303)
        return error_page(request, response.status_code, _lines(response))

    return shown


def error_page(request: Request, status: int, lines: list[str]) -> Response:
    """Return the page of an error.

    Args:
        request: Request that failed.
        status: HTTP status of the answer.
        lines: Messages, one line each.
    """
    if not hasattr(request.state, "user"):
        request.state.user = _user(request)
    title = TITLES.get(status) or http.HTTPStatus(status).phrase
    response = html(request, "error.html", status, title=title, status=status, lines=lines)
    if status == 429:
        response.headers["Retry-After"] = "60"
    return response


def too_large(request: Request, text: str) -> Response:
    """Return the answer to a request whose body is too large."""
    if is_page(request):
        return error_page(request, 413, [text])
    return JSONResponse({"detail": text}, 413)


def _user(request: Request) -> User | None:
    """Return the user of a request that failed before its user was known."""
    if "session" not in request.scope:
        return None
    try:
        return user_of(request, parts_of(request).service.tokens)
    except RaysweepError:
        return None


def _lines(response: Response) -> list[str]:
    """Return the messages of an answer of the HTTP interface."""
    data = json.loads(bytes(response.body))
    if isinstance(data, list):  # mistakes in a sweep file, or in parameters
        return [
            f"line {one['line']}: {one['message']}" if one["line"] else one["message"]
            for one in data
        ]
    return [TEXTS.get(data["detail"], str(data["detail"]))]


def _failed(request: Request, error: Exception) -> Response:
    """Return the answer for a mistake of ours, which the server's log has."""
    text = "the service failed at this; its log says more"
    response: Response = PlainTextResponse("Internal Server Error", 500)
    if is_page(request):
        response = error_page(request, 500, [text])
    response.headers.update({**HEADERS, "Cache-Control": "no-store"})  # no middleware adds them
    return response

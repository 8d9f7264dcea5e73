"""Pages from templates: texts are escaped, and a missing value is an error."""

import functools
import math
import time
from datetime import datetime, timezone
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from markupsafe import Markup

from raysweep.report.templates import environment, looks
from raysweep.service.access.sessions import FIELD, csrf_token
from raysweep.service.pages.static import address
from raysweep.text import about, one_line, printable

FRAGMENT = "x-fragment"  # header of requests for the content of a page alone
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def html(request: Request, template: str, code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: Request that it answers.
        template: Name of its template.
        code: HTTP status of the answer.
        values: Values that the template shows.
    """
    return HTMLResponse(render(template, **common(request), **values), code)


def common(request: Request) -> dict[str, Any]:
    """Return the values that every page has."""
    session = request.scope.get("session", {})
    return {
        "user": getattr(request.state, "user", None),
        "csrf": csrf_token(session),
        "is_fragment": FRAGMENT in request.headers,
        "path": request.url.path,
    }


def render(template: str, **values: Any) -> str:
    """Return a template with values."""
    return templates().get_template(template).render(values)


@functools.cache
def templates() -> Environment:
    """Return the environment of the templates."""
    pages = environment("raysweep.service.pages")
    pages.globals.update(static=address, looks=Markup(looks()), csrf_field=FIELD)
    pages.filters.update(ago=ago, about=about, iso=iso, line=one_line, printable=printable, utc=utc)
    return pages


def iso(seconds: float) -> str:
    """Return a time, in seconds since 1970, in the form of HTML."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(seconds: float) -> str:
    """Return a time, in seconds since 1970, as text."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def ago(seconds: float, now: float | None = None) -> str:
    """Return how long ago a time was, roughly.

    Args:
        seconds: Time in seconds since 1970.
        now: Present time in seconds since 1970; that of the clock if None.
    """
    past_s = (time.time() if now is None else now) - seconds
    if past_s < MINUTE_S:
        return "just now" if past_s > -MINUTE_S else utc(seconds)
    for unit_s, name in ((DAY_S, "day"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if past_s >= unit_s:
            count = math.floor(past_s / unit_s)
            plural = "s" if name == "day" and count > 1 else ""
            return f"{count} {name}{plural} ago"
    return utc(seconds)

"""Refusals of a service as the errors that the same mistake has without a service."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from raysweep.errors import (
    ClusterError,
    DamagedFile,
    FormatTooNew,
    LeaseHeld,
    RaysweepError,
    ServerError,
    SpecError,
    StoreError,
    TrackerError,
)

KINDS: Mapping[str, type[RaysweepError]] = {
    kind.__name__: kind
    for kind in (
        *(ClusterError, DamagedFile, FormatTooNew, LeaseHeld, RaysweepError, StoreError),
        TrackerError,
    )
}
OF_ACCESS = (401, 403, 413, 429)  # statuses that no mistake without a service has


def refusal(response: httpx.Response, url: str, *, has_token: bool, file: str) -> RaysweepError:
    """Return the error of an answer that is not a success.

    Args:
        response: Answer of the service.
        url: Address of the service.
        has_token: Whether the request had a token.
        file: Name of the sweep file that was sent, with which messages begin.
    """
    status, body = response.status_code, _body(response)
    if status == 401:
        return ServerError(_login(url, has_token=has_token))
    if isinstance(body, list):
        return _mistakes(body, file)
    detail = body.get("detail")
    if not isinstance(detail, str) or ("kind" not in body and status not in OF_ACCESS):
        return ServerError(_strange(response, url))
    field = body.get("field")
    text = detail.removeprefix(f"{field}: ") if field else detail
    if status == 404:
        return SpecError(text, field=field)
    kind = ServerError if status in OF_ACCESS else KINDS.get(str(body["kind"]), ServerError)
    return kind(text) if kind is DamagedFile else kind(text, field=field)


def _body(response: httpx.Response) -> Any:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict | list) else {}


def _mistakes(body: list[Any], file: str) -> SpecError:
    """Return the mistakes of a sweep file or of parameters."""
    mistakes = [one for one in body if isinstance(one, dict)]
    field = mistakes[0].get("field") if len(mistakes) == 1 else None
    if field:
        return SpecError(str(mistakes[0].get("message")).removeprefix(f"{field}: "), field=field)
    return SpecError([_line(one, file) for one in mistakes] or "the service refused the request")


def _line(mistake: Mapping[str, Any], file: str) -> str:
    line, message = mistake.get("line"), str(mistake.get("message"))
    if line is not None:
        return f"{file}: line {line}: {message}"
    return f"{file}: {message}" if mistake.get("in_file") else message


def _login(url: str, *, has_token: bool) -> str:
    command = f"'raysweep login --server {url}'"
    if has_token:
        return (
            f"{url} does not know the token, or it has expired; ask an admin for a new one, and "
            f"log in with {command}"
        )
    return f"{url} needs a token, and none is saved for it; log in with {command}"


def _strange(response: httpx.Response, url: str) -> str:
    """Return the message for an answer that is not the service's own."""
    status, reason = response.status_code, response.reason_phrase
    if 300 <= status < 400:
        to = response.headers.get("location", "elsewhere")
        return f"{url} redirects to {to}; give that address instead"
    if status >= 500:
        return f"{url} failed with {status} {reason}; its log has the reason, try again later"
    return (
        f"expected an answer of raysweep from {url}, got {status} {reason}; check the address, "
        "and that the service is as new as this raysweep"
    )

"""Connection to a service: requests, repeated where that is safe, and errors of raysweep."""

import logging
import os
import re
import ssl
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote

import httpx

from raysweep.client import credentials
from raysweep.client.events import events, lines
from raysweep.client.refusals import refusal
from raysweep.errors import RaysweepError, ServerError, SpecError

API = "api/v1"
TIMEOUT_S = 300.0  # for an answer, which may take a while to compute
CONNECT_S = 10.0
PAUSES_S = (0.2, 0.5, 1.0)  # before a request is repeated
LONGEST_WAIT_S = 90.0  # that a service may ask for
SILENCE_S = 60.0  # of a stream of events, which is never silent for so long
PATIENCE_S = 300.0  # while a stream of events cannot be opened again
REOPEN_S = (0.5, 1.0, 2.0, 5.0)
BUSY = (429, 502, 503)
SAFE = ("GET", "HEAD")

log = logging.getLogger("raysweep")
Options = Mapping[str, Any]


class Connection:
    """Connection to a service.

    Args:
        url: Address of the service.
        token: Token of the user; the saved one if None.
        timeout_s: Seconds to wait for an answer.
        pauses_s: Seconds before each repetition of a request that failed; some if None.
        transport: Transport of httpx, for tests.

    Raises:
        SpecError: If the address or the token cannot be one.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        pauses_s: Sequence[float] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = credentials.normal(url)
        given = credentials.token_for(self.url) if token is None else token
        self._has_token = given is not None
        self._pauses_s = PAUSES_S if pauses_s is None else pauses_s
        headers = {"User-Agent": f"raysweep/{metadata.version('raysweep')}"}
        if given is not None:
            headers["Authorization"] = f"Bearer {credentials.check(given)}"
        self._client = httpx.Client(
            base_url=f"{self.url}/{API}/",
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            trust_env=not credentials.is_here(self.url),  # no proxy is between
            # Without TLS nothing is to verify, and reading the certificates takes a while.
            verify=_certificates() if self.url.startswith("https:") else False,
            transport=transport,
        )
        weakref.finalize(self, self._client.close)

    def text(self, path: str, **options: Any) -> str:
        """Return the answer to a query as text."""
        return self.send("GET", path, options).text

    def data(self, path: str, **options: Any) -> Any:
        """Return the answer to a query as data."""
        return self.send("GET", path, options).json()

    def send(
        self,
        method: str,
        path: str,
        options: Options | None = None,
        *,
        content: str | None = None,
        json: Any = None,
        file: str = "",
    ) -> httpx.Response:
        """Return the answer to a request.

        Args:
            method: Method of HTTP.
            path: Path below that of the interface.
            options: Parameters of the query; those that are None or empty are left out.
            content: Text of the body, such as a sweep file.
            json: Data of the body.
            file: Name of the sweep file, with which messages about it begin.

        Raises:
            RaysweepError: If the service refuses the request, as the same error without a service.
            ServerError: If the service cannot be reached, or refuses the user.
        """
        request = self._client.build_request(
            method, path, params=query(options or {}), content=content, json=json
        )
        pauses = iter(self._pauses_s)
        while True:
            try:
                response = self._client.send(request)
            except httpx.TransportError as error:
                pause = next(pauses, None) if _may_repeat(method, error) else None
                if pause is None:
                    raise self._unreachable(error) from error
            else:
                pause = self._pause_after(method, response, pauses)
                if pause is None:
                    return self._checked(response, file)
            time.sleep(pause)

    def _pause_after(
        self, method: str, response: httpx.Response, pauses: Iterator[float]
    ) -> float | None:
        """Return the seconds after which a request is repeated; None if its answer stays."""
        status = response.status_code
        # A service that has too many requests has not done what was asked; another one may have.
        if status not in BUSY or (method not in SAFE and status != 429):
            return None
        if (pause := next(pauses, None)) is None:
            return None
        wanted = response.headers.get("Retry-After", "")
        if not wanted.isdecimal():
            return pause
        if int(wanted) > LONGEST_WAIT_S:
            return None
        log.warning("%s is busy; trying again in %s s", self.url, wanted)
        return float(wanted)

    def _checked(self, response: httpx.Response, file: str = "") -> httpx.Response:
        if response.is_success:
            return response
        raise self._refusal(response, file)

    def _refusal(self, response: httpx.Response, file: str = "") -> RaysweepError:
        return refusal(response, self.url, has_token=self._has_token, file=file)

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Yield names and data of events until one is named `end`; reopen a stream that breaks.

        Raises:
            RaysweepError: If the service refuses the request.
            ServerError: If the service cannot be reached for several minutes.
        """
        pauses, since = iter(REOPEN_S), time.monotonic()
        trouble: RaysweepError | None = None
        while True:
            try:
                for name, data in self._stream(path):
                    pauses, since, trouble = iter(REOPEN_S), time.monotonic(), None
                    yield name, data
                    if name == "end":
                        return
            except _Interrupted as error:
                if trouble is None:
                    log.warning("%s; trying again for %g min", error.reason, PATIENCE_S / 60)
                trouble = error.reason
            if trouble is not None and time.monotonic() - since > PATIENCE_S:
                raise trouble
            time.sleep(next(pauses, REOPEN_S[-1]))

    def _stream(self, path: str) -> Iterator[tuple[str, Any]]:
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            with self._client.stream("GET", path, timeout=timeout) as response:
                if response.is_success:
                    yield from events(lines(response.iter_text()))
                    return
                response.read()
        except httpx.TransportError as error:
            raise _Interrupted(self._unreachable(error)) from error
        refused = self._refusal(response)
        raise _Interrupted(refused) if response.status_code in BUSY else refused

    def _unreachable(self, error: httpx.TransportError) -> ServerError:
        reason = _reason(error)
        if "wrong version number" in reason:
            return ServerError(
                f"cannot reach {self.url}: it answers without TLS; give the address with http:"
            )
        if "certificate" in reason.lower():
            return ServerError(
                f"cannot reach {self.url}: its certificate is not trusted ({reason}); set "
                "SSL_CERT_FILE to the file of its authority's certificate"
            )
        return ServerError(f"cannot reach {self.url}: {reason}; is 'raysweep serve' running there?")


class _Interrupted(Exception):
    """End of a stream of events that may be opened again."""

    def __init__(self, reason: RaysweepError) -> None:
        self.reason = reason
        super().__init__(str(reason))


def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted: those of `$SSL_CERT_FILE`, or public ones.

    Raises:
        SpecError: If the file cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        file = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        reason = error.strerror or str(error)
        raise SpecError(
            f"cannot read the certificates in {file} (SSL_CERT_FILE): {reason}"
        ) from error


def path_of(*parts: str) -> str:
    """Return a path whose parts may hold any characters; none is taken for a folder above."""
    return "/".join(quote(part, safe="").replace(".", "%2E") for part in parts)


def query(options: Options) -> dict[str, list[str]]:
    """Return options as parameters of a query; those that are None or empty are left out."""
    given = {}
    for name, value in options.items():
        several = value if isinstance(value, list | tuple) else [value]
        if texts := [_text(one) for one in several if one is not None]:
            given[name] = texts
    return given


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _may_repeat(method: str, error: httpx.TransportError) -> bool:
    """Return whether a request may be sent again: it changes nothing, or was never sent."""
    if isinstance(error, httpx.ReadTimeout):
        return False  # the answer takes too long to compute, and would again
    return method in SAFE or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _reason(error: httpx.TransportError) -> str:
    """Return the reason of an error in a few words."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    text = re.sub(r"\[(Errno -?\d+|SSL[^]]*)\] | \(_ssl\.c:\d+\)", "", str(error)).strip(" .")
    if not text:
        return "the connection broke"
    return text[0].lower() + text[1:]

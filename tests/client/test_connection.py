"""Requests are repeated where that is safe, and refusals are the errors of raysweep."""

import itertools
import json
import logging

import httpx
import pytest

import raysweep
from raysweep import errors
from raysweep.client import connection as client
from raysweep.client.connection import Connection, path_of, query
from raysweep.client.results import RemoteResults
from raysweep.client.server import Server

URL = "http://sweeps.example.org"
TOKEN = "raysweep_1234_secret"


class Answers:
    """A transport with prepared answers: responses, or errors to raise; the last one repeats."""

    def __init__(self, *answers):
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def slept(monkeypatch):
    """The seconds that were slept, none of which pass."""
    pauses = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    return pauses


def connection(*answers, token=TOKEN, url=URL):
    """A connection to a service with prepared answers."""
    transport = Answers(*answers)
    return Connection(url, token, transport=httpx.MockTransport(transport)), transport


def refused(status, kind="RaysweepError", detail="no", field=None, **headers):
    """An answer of the service that refuses."""
    body = {"detail": detail, "kind": kind, "field": field}
    return httpx.Response(status, json=body, headers=headers)


OK = httpx.Response(200, json={"name": "ada"})
BROKEN = httpx.RemoteProtocolError("Server disconnected without sending a response.")
NOT_SENT = httpx.ConnectError("[Errno 111] Connection refused")


def test_the_token_is_sent_with_every_request():
    asked, transport = connection(OK)
    asked.data("me")
    (request,) = transport.requests
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert str(request.url) == f"{URL}/api/v1/me"
    assert request.headers["User-Agent"] == f"raysweep/{raysweep.__version__}"


@pytest.mark.parametrize("trouble", [BROKEN, NOT_SENT, refused(502), refused(503)], ids=repr)
def test_a_query_is_repeated_after_trouble(trouble, slept):
    asked, transport = connection(trouble, trouble, OK)
    assert asked.data("me") == {"name": "ada"}
    assert len(transport.requests) == 3
    assert slept == [0.2, 0.5]


@pytest.mark.parametrize("trouble", [BROKEN, refused(502), refused(503, "StoreError")], ids=repr)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_change_that_may_have_been_made_is_not_repeated(method, trouble, slept):
    asked, transport = connection(trouble, OK)
    with pytest.raises(raysweep.RaysweepError):
        asked.send(method, "sweeps")
    assert len(transport.requests) == 1
    assert slept == []


@pytest.mark.parametrize("trouble", [NOT_SENT, refused(429)], ids=repr)
def test_a_change_that_was_not_made_is_repeated(trouble, slept):
    asked, transport = connection(trouble, OK)
    asked.send("POST", "sweeps", content="name: x")
    assert [request.content for request in transport.requests] == [b"name: x"] * 2


def test_a_service_that_is_busy_says_how_long_to_wait(slept, caplog):
    asked, _ = connection(refused(429, **{"Retry-After": "60"}), OK)
    asked.data("me")
    assert slept == [60.0]
    assert caplog.messages == [f"{URL} is busy; trying again in 60 s"]


def test_a_wait_of_an_hour_is_refused(slept):
    busy = refused(429, "ServerError", "too many requests", **{"Retry-After": "3600"})
    asked, _ = connection(busy)
    with pytest.raises(raysweep.ServerError, match="too many requests"):
        asked.data("me")
    assert slept == []


def test_an_answer_that_takes_too_long_is_not_asked_for_again(slept):
    asked, transport = connection(httpx.ReadTimeout("timed out"))
    with pytest.raises(raysweep.ServerError, match="no answer in time"):
        asked.data("me")
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (NOT_SENT, "connection refused; is 'raysweep serve' running there?"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "name or service not known; "),
        (httpx.ConnectTimeout("timed out"), "no connection in time; is"),
        (BROKEN, "server disconnected without sending a response; is"),
        (httpx.ReadError(""), "the connection broke; is"),
        (
            httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            "it answers without TLS; give the address with http:",
        ),
        (
            httpx.ConnectError(
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed "
                "certificate (_ssl.c:1006)"
            ),
            "its certificate is not trusted (certificate verify failed: self-signed certificate); "
            "set SSL_CERT_FILE to the file of its authority's certificate",
        ),
    ],
    ids=repr,
)
def test_trouble_is_one_line_that_says_what_to_do(trouble, message, slept):
    asked, _ = connection(trouble)
    with pytest.raises(raysweep.ServerError) as caught:
        asked.data("me")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"cannot reach {URL}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (refused(403, detail="vera is a viewer"), "ServerError", "vera is a viewer"),
        (refused(404, detail="no sweep x"), "SpecError", "no sweep x"),
        (refused(409, "LeaseHeld", "x runs"), "LeaseHeld", "x runs"),
        (refused(409, "DamagedFile", "x is damaged"), "DamagedFile", "x is damaged"),
        (refused(409, "FormatTooNew", "x is new"), "FormatTooNew", "x is new"),
        (refused(409, "Newer", "x"), "ServerError", "x"),
        (refused(409, "SystemExit", "x"), "ServerError", "x"),
        (refused(413, detail="too large"), "ServerError", "too large"),
        (refused(503, "ClusterError", "Ray is gone"), "ClusterError", "Ray is gone"),
        (refused(404, detail="run: no run x", field="run"), "SpecError", "run: no run x"),
        (httpx.Response(413, json={"detail": "large"}), "ServerError", "large"),
        (httpx.Response(404, json={"detail": "Not Found"}), "ServerError", "404 Not Found"),
        (httpx.Response(404, text="<html>"), "ServerError", "expected an answer of raysweep"),
        (httpx.Response(500, text="oops"), "ServerError", "failed with 500 Internal Server Error"),
        (
            httpx.Response(308, headers={"Location": "https://x.org/"}),
            "ServerError",
            "redirects to https://x.org/; give that address instead",
        ),
    ],
    ids=str,
)
def test_a_refusal_is_the_error_without_a_service(answer, kind, message, slept):
    asked, _ = connection(answer)
    with pytest.raises(getattr(errors, kind)) as caught:
        asked.send("POST", "sweeps/x/cancel")
    assert type(caught.value).__name__ == kind
    assert message in str(caught.value)


def test_mistakes_of_a_file_have_its_name_and_lines():
    mistakes = [
        {"line": 3, "message": "no task tow", "in_file": True},
        {"line": None, "message": "not a sweep file", "in_file": True},
        {"line": None, "message": "changes x: no such key"},
    ]
    asked, _ = connection(httpx.Response(422, json=mistakes))
    with pytest.raises(raysweep.SpecError) as caught:
        asked.send("POST", "sweeps", content="x", file="my.yaml")
    assert caught.value.problems == [
        "my.yaml: line 3: no task tow",
        "my.yaml: not a sweep file",
        "changes x: no such key",
    ]


def test_a_wrong_argument_is_the_field_of_the_error():
    mistake = {"line": None, "message": "n: expected at least 1", "field": "n"}
    asked, _ = connection(httpx.Response(422, json=[mistake]))
    with pytest.raises(raysweep.SpecError) as caught:
        asked.data("sweeps/x/top")
    assert (caught.value.field, caught.value.text) == ("n", "expected at least 1")


@pytest.mark.parametrize(
    ("token", "message"),
    [(TOKEN, "does not know the token, or it has expired"), (None, "needs a token, and none is")],
)
def test_a_user_without_a_valid_token_is_sent_to_the_login(token, message, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    asked, _ = connection(refused(401, "ServerError", "expected a token"), token=token)
    with pytest.raises(raysweep.ServerError, match=message) as caught:
        asked.data("me")
    assert f"log in with 'raysweep login --server {URL}'" in str(caught.value)


def test_nothing_that_is_shown_holds_the_token(slept, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    for answer in (NOT_SENT, refused(401), refused(500), OK, refused(429, **{"Retry-After": "1"})):
        asked, _ = connection(answer)
        server = Server(connection=asked)
        results = RemoteResults(asked, "x")
        shown = [repr(server), repr(results), str(server), repr(asked)]
        try:
            server.me()
        except raysweep.RaysweepError as error:
            shown += [str(error), repr(error)]
        assert "secret" not in "".join(shown)
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["sweeps.example.org", "ftp://x", "http://", "http://user:secret@x.org", "", "s3://bucket"],
)
def test_what_cannot_be_a_server_is_refused(url):
    with pytest.raises(raysweep.SpecError, match="expected the address of a server"):
        Connection(url, TOKEN)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "ä", "a\x00"])
def test_what_cannot_be_a_token_is_refused_before_it_is_sent(token):
    with pytest.raises(raysweep.SpecError, match="expected a token in one line"):
        Connection(URL, token)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(content, tmp_path, monkeypatch):
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(raysweep.SpecError, match="cannot read the certificates in ") as caught:
        Connection("https://127.0.0.1", TOKEN)  # also where no proxy is between
    assert str(file) in str(caught.value)
    Connection("http://127.0.0.1", TOKEN)


def test_an_address_may_have_a_path_and_end_in_a_slash():
    asked, transport = connection(OK, url=f"{URL.upper().replace('HTTP', 'http')}/lab/")
    asked.data("me")
    assert str(transport.requests[0].url) == f"{URL}/lab/api/v1/me"


@pytest.mark.parametrize("name", ["..", ".", "a?b", "a#b", "%2e", "ä", "a b"])
def test_no_name_of_a_sweep_leads_elsewhere(name):
    asked, transport = connection(OK)
    asked.data(path_of("sweeps", name, "table"))
    raw = transport.requests[0].url.raw_path.decode()
    assert raw.startswith("/api/v1/sweeps/")
    assert raw.endswith("/table")
    assert raw.count("/") == 5


def test_options_that_are_not_given_are_not_sent():
    options = {"a": None, "b": (), "c": [None], "d": False, "e": ["x", "y"], "f": 0.05, "g": ""}
    assert query(options) == {"d": ["false"], "e": ["x", "y"], "f": ["0.05"], "g": [""]}


def stream(*events, end=b""):
    """A stream of events with their data."""
    parts = [f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode() for name, data in events]
    return httpx.Response(200, content=b": ping\r\n\r\n" + b"".join(parts) + end)


def test_events_end_with_the_end():
    asked, transport = connection(stream(("progress", {"n": 1}), ("end", {"n": 2})))
    assert list(asked.events("x")) == [("progress", {"n": 1}), ("end", {"n": 2})]
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [BROKEN, NOT_SENT, refused(502), refused(503), stream(("progress", {"n": 0}))],
    ids=repr,
)
def test_a_stream_that_breaks_is_opened_again(trouble, slept, caplog):
    asked, transport = connection(trouble, trouble, stream(("end", {"n": 2})))
    assert list(asked.events("x"))[-1] == ("end", {"n": 2})
    assert len(transport.requests) == 3
    assert len(caplog.messages) <= 1  # for both troubles


def test_a_stream_that_stays_away_is_given_up(slept, monkeypatch):
    clock = itertools.count(0.0, 20.0)
    monkeypatch.setattr(client.time, "monotonic", lambda: next(clock))
    asked, _ = connection(stream(("progress", {})), NOT_SENT)
    with pytest.raises(raysweep.ServerError, match="connection refused"):
        list(asked.events("x"))
    assert sum(slept) > 10


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_stream_that_is_refused_is_not_opened_again(status, slept):
    asked, transport = connection(refused(status))
    with pytest.raises(raysweep.RaysweepError):
        list(asked.events("x"))
    assert len(transport.requests) == 1


def test_a_sweep_that_was_deleted_ends_its_events():
    asked, _ = connection(stream(("progress", {"n": 1}), ("end", {})))
    with pytest.raises(raysweep.ServerError, match="x was deleted from"):
        list(RemoteResults(asked, "x").events())

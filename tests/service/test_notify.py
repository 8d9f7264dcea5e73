"""Messages about ends of sweeps: what receivers get, and failures, which change nothing."""

import http.server
import json
import socket
import threading

import pytest
from aiosmtpd.controller import Controller

from raysweep.errors import SpecError
from raysweep.service.notify import Notifier, message_fields
from raysweep.store.submission import Outcome, Submission

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # in Apprise
FAILED = Submission("", "ada", 1.0, outcome=Outcome("failed", "2 runs: a & b = c? #x\nend", 2.0))


@pytest.fixture
def hook():
    """A webhook: its URL, and what it got."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def send(urls, submission, page="http://lab:8080/"):
    counts = []
    notifier = Notifier(urls, page, counts.append)
    notifier.ended("walks", submission)
    notifier._pool.shutdown()
    return counts


def test_a_webhook_gets_json_with_a_text_for_people(hook):
    url, got = hook
    assert send([f"{url}/hook?key=a%20b&empty="], FAILED) == ["sent"]
    ((path, body),) = got
    assert path == "/hook?key=a+b&empty="
    reason = r"2 runs: a & b = c? #x\nend"
    assert json.loads(body) == {
        "text": f"walks of ada has failed: {reason} (http://lab:8080/sweeps/walks)",
        "sweep": "walks",
        "state": "failed",
        "owner": "ada",
        "reason": reason,
        "url": "http://lab:8080/sweeps/walks",
    }


def test_a_sweep_that_only_stopped_is_not_reported(hook):
    url, got = hook
    assert send([url], Submission("", "ada", 1.0)) == []
    assert not got


def test_a_receiver_that_does_not_answer_holds_back_no_other(hook, caplog):
    url, got = hook
    assert send(["http://127.0.0.1:1/secret", url], FAILED) == ["failed", "sent"]
    assert len(got) == 1
    assert "the message to receiver 1 could not be sent" in caplog.text
    assert "secret" not in caplog.text


def test_a_mailbox_gets_a_mail():
    got = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            got.append((envelope.rcpt_tos, envelope.content.decode()))
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        url = (
            f"mailto://127.0.0.1:{port}?to=ada@example.org&from=raysweep@example.org&mode=insecure"
        )
        assert send([url], FAILED) == ["sent"]
    finally:
        controller.stop()
    ((recipients, content),) = got
    assert recipients == ["ada@example.org"]
    assert "Subject: raysweep: walks" in content


@pytest.mark.parametrize("url", ["nonsense", "ftp://h/x", "mailto://", ""])
def test_a_receiver_of_no_known_kind_is_refused(url):
    with pytest.raises(SpecError, match="notify: expected URL 1 to be that of a webhook"):
        Notifier([url], None, print)


def test_a_sweep_that_is_done_is_said_in_one_sentence():
    done = Submission("", "ada", 1.0, outcome=Outcome("done", "", 2.0))
    assert message_fields("walks", done, None)["text"] == "walks of ada is done"

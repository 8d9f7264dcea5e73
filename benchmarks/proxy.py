"""A proxy before a bucket's server that fails, delays or drops requests while it is told to."""

import http.client
import http.server
import threading
import time
from collections.abc import Iterable
from typing import Any

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>as told</Message></Error>'
FAULTS = {"slow down": (503, "SlowDown"), "expired": (403, "ExpiredToken")}
HOP = {"transfer-encoding", "connection", "expect", "content-length"}


class Proxy(http.server.ThreadingHTTPServer):
    """Forwards to `127.0.0.1:port`; a context manager.

    `fault` is None, a key of `FAULTS`, "drop" (the connection closes without an answer), or
    "delay" (an answer comes after a second).
    """

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = port
        self.fault: str | None = None
        self.disturbed = 0

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet: clients that were killed leave connections behind."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Any request, forwarded or disturbed."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Keeps quiet."""

    def body(self) -> bytes:
        """The request's body."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Answers the request."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self) -> None:
        """Disturbs the request if there is a fault, and forwards it otherwise."""
        body, fault = self.body(), self.server.fault
        self.server.disturbed += fault is not None
        if fault == "drop":
            self.close_connection = True
            return
        if fault in FAULTS:
            status, code = FAULTS[fault]
            text = ERROR.format(code=code).encode()
            kind = ("Content-Type", "application/xml")
            self.answer(status, [kind, ("Content-Length", str(len(text)))], text)
            return
        if fault == "delay":
            time.sleep(1)
        self.forward(body)

    def forward(self, body: bytes) -> None:
        """Answers with the server's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        size = answer.getheader("Content-Length") if self.command == "HEAD" else None
        kept = [item for item in answer.getheaders() if item[0].lower() not in HOP]
        self.answer(answer.status, [*kept, ("Content-Length", size or str(len(data)))], data)
        connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

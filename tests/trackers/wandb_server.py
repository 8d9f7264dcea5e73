"""A stand-in for the server of Weights & Biases: what its client asks for, and what it sends."""

import contextlib
import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """The runs that it got: `history` and `summary` of each, by id."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs = {}

    def handle_error(self, request, client_address):
        """A client that ends may leave a connection open."""

    def answer(self, name, given):
        """The answer to a query of GraphQL."""
        run_id, project = given.get("name"), {"id": "p", "name": "walks", "entity": LAB}
        if name == "RunResumeStatus":
            run = self.runs.get(run_id)
            return {"model": {**project, "bucket": run and resumed(run_id, run)}}
        if name == "UpsertBucket":
            self.runs.setdefault(run_id, {"history": [], "summary": {}})
            bucket = {"id": run_id, "name": run_id, "displayName": run_id, "config": "{}"}
            return {"upsertBucket": {"bucket": {**bucket, "project": project}, "inserted": True}}
        if name == "CreateRunFiles":
            url = f"http://127.0.0.1:{self.server_port}/files"
            files = [{"name": file, "uploadUrl": url} for file in given["files"]]
            return {"createRunFiles": {"runID": run_id, "uploadHeaders": [], "files": files}}
        if name == "Viewer":
            return {"viewer": {"id": "u", "entity": "lab", "flags": "{}", "teams": {"edges": []}}}
        return {}

    def take(self, run_id, sent):
        """Takes a part of a run's files."""
        run = self.runs[run_id]
        for file, part in (sent.get("files") or {}).items():
            lines = [json.loads(line) for line in part["content"]]
            if "history" in file:
                run["history"][part["offset"] :] = lines
            elif "summary" in file:
                run["summary"] = lines[-1]


LAB = {"id": "e", "name": "lab"}


def resumed(run_id, run):
    tail = [json.dumps(line) for line in run["history"][-1:]]
    return {
        "name": run_id,
        "displayName": run_id,
        "summaryMetrics": json.dumps(run["summary"]),
        "historyTail": json.dumps(tail),
        "historyLineCount": len(run["history"]),
        "logLineCount": 0,
        "eventsLineCount": 0,
        "eventsTail": "[]",
        "config": "{}",
        "tags": [],
        "wandbConfig": json.dumps({"t": 1}),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.startswith("/graphql"):
            asked = json.loads(body)
            name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            given = asked.get("variables") or {}
            self.reply({"data": self.server.answer(name and name[1], given)})
        else:
            if "file_stream" in self.path:
                self.server.take(self.path.split("/")[-2], json.loads(body))
            self.reply({})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply({})

    def do_GET(self):
        self.reply({})

    def reply(self, data):
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving():
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A bucket on this machine: as much of S3's protocol as a store needs, kept in memory."""

import hashlib
import http.server
import re
import threading
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

XML = '<?xml version="1.0" encoding="UTF-8"?>'


class Bucket(http.server.ThreadingHTTPServer):
    """Serves objects at `http://127.0.0.1:port/<bucket>/<key>`; a context manager.

    Args:
        needs_keys: Whether it refuses requests without a signature.
    """

    daemon_threads = True

    def __init__(self, *, needs_keys=False):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.needs_keys = {}, needs_keys

    @property
    def uri(self):
        """A store in the bucket, as `--store` takes it."""
        return f"s3://lab/sweeps?endpoint_override=127.0.0.1:{self.server_port}&scheme=http"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """PUT (copies too), GET, HEAD and DELETE of objects; list and delete several of a bucket."""

    protocol_version = "HTTP/1.1"

    def parse_request(self):
        if not super().parse_request():
            return False
        if not self.server.needs_keys or "Authorization" in self.headers:
            return True
        error = f"{XML}<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.answer(403, error.encode(), Content_Type="application/xml")
        return False

    def log_message(self, *arguments):
        """Keeps quiet."""

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("size", len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def place(self):
        """Key and query of the request."""
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/lab").removeprefix("/")
        return key, parse_qs(parts.query, keep_blank_values=True)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b"".join(self.http_chunks())
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            data = b"".join(aws_chunks(data))
        return data

    def http_chunks(self):
        while count := int(self.rfile.readline().strip(), 16):
            yield self.rfile.read(count)
            self.rfile.readline()
        self.rfile.readline()

    def do_PUT(self):
        key, _ = self.place()
        if source := self.headers.get("x-amz-copy-source"):
            self.server.objects[key] = self.server.objects[unquote(source).removeprefix("lab/")]
            body = f"{XML}<CopyObjectResult><ETag>tag</ETag></CopyObjectResult>".encode()
            self.answer(200, body, Content_Type="application/xml")
            return
        self.server.objects[key] = self.body()
        self.answer(200, ETag=tag(self.server.objects[key]))

    def do_HEAD(self):
        key, _ = self.place()
        if key and key not in self.server.objects:
            self.answer(404)
            return
        data = self.server.objects.get(key, b"")
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", tag(data))
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.end_headers()

    def do_GET(self):
        key, query = self.place()
        if not key:
            self.answer(200, self.listing(query).encode(), Content_Type="application/xml")
        elif key not in self.server.objects:
            missing = "NoSuchBucket" if "list-type" in query else "NoSuchKey"
            error = f"{XML}<Error><Code>{missing}</Code><Message>none</Message></Error>"
            self.answer(404, error.encode(), Content_Type="application/xml")
        else:
            data = self.server.objects[key]
            whole = tag(data)
            span = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if span:
                data = data[int(span[1]) : int(span[2]) + 1]
            self.answer(206 if span else 200, data, ETag=whole)

    def listing(self, query):
        """What ListObjectsV2 answers."""
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        keys, folders = [], set()
        for key in sorted(self.server.objects):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                keys.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in sorted(folders)
        )
        return (
            f"{XML}<ListBucketResult><Name>lab</Name><IsTruncated>false</IsTruncated>"
            f"<KeyCount>{len(keys)}</KeyCount>{contents}{common}</ListBucketResult>"
        )

    def do_POST(self):
        for key in re.findall(r"<Key>(.*?)</Key>", self.body().decode()):
            self.server.objects.pop(key, None)
        self.answer(200, f"{XML}<DeleteResult></DeleteResult>".encode())

    def do_DELETE(self):
        key, _ = self.place()
        self.server.objects.pop(key, None)
        self.answer(204)


def tag(data):
    """The ETag of an object."""
    return f'"{hashlib.md5(data).hexdigest()}"'


def aws_chunks(data):
    """The chunks of a signed stream, each behind a line with its size."""
    while True:
        size, _, data = data.partition(b"\r\n")
        count = int(size.partition(b";")[0], 16)
        if not count:
            return
        yield data[:count]
        data = data[count + 2 :]

"""What a sweep runs on, made on this machine so that it can be broken: a bucket, and Ray nodes."""

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from benchmarks.proxy import Proxy

KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
OBJECT_STORE_BYTES = 100 * 2**20


class Bucket:
    """A bucket of moto's server, behind a proxy that can be told to fail.

    Args:
        port: Of the server.
        proxy: The proxy before it.
    """

    def __init__(self, port: int, proxy: Proxy) -> None:
        self.port, self.proxy = port, proxy

    def store(self, folder: str) -> str:
        """The URI of a store, through the proxy."""
        return self._uri(folder, self.proxy.server_port)

    def direct(self, folder: str) -> str:
        """The URI of the same store, without the proxy."""
        return self._uri(folder, self.port)

    def _uri(self, folder: str, port: int) -> str:
        query = "scheme=http&region=us-east-1&endpoint_override=127.0.0.1"
        return f"s3://lab/{folder}?{query}:{port}"


@contextlib.contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    """Starts a server and a proxy, and sets the environment's keys for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(KEYS)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _make_bucket(port)
        with Proxy(port) as proxy:
            yield Bucket(port, proxy)
    finally:
        server.kill()
        server.wait()


def _make_bucket(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(ConnectionError):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("PUT", "/lab")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise RuntimeError("expected moto's server to answer within 30 s")


class StoreFiles:
    """The files of a store, a folder or a bucket, as somebody sees them who wants to break them.

    Args:
        uri: The store.
    """

    def __init__(self, uri: str) -> None:
        if "://" in uri:
            self.filesystem, self.root = pafs.FileSystem.from_uri(uri)
        else:
            self.filesystem, self.root = pafs.LocalFileSystem(), uri

    def names(self, *parts: str) -> list[str]:
        """Files whose path contains all of these parts, sorted."""
        selector = pafs.FileSelector(self.root, recursive=True, allow_not_found=True)
        found = (each.path for each in self.filesystem.get_file_info(selector) if each.is_file)
        return sorted(path for path in found if all(part in path for part in parts))

    def changed(self, part: str) -> frozenset[tuple[str, int]]:
        """The files whose path contains this part, and when each was written."""
        selector = pafs.FileSelector(self.root, recursive=True, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return frozenset(
            (each.path, each.mtime_ns) for each in infos if each.is_file and part in each.path
        )

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        with self.filesystem.open_input_stream(path) as stream:
            return stream.read()

    def write(self, path: str, data: bytes) -> None:
        """Overwrites a file, in place."""
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(data)


class Nodes:
    """Ray nodes on this machine: a head without CPUs, and workers that can be lost."""

    def __init__(self, workers: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, **_small()}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._workers = [self._add() for _ in range(workers)]

    @property
    def address(self) -> str:
        """What `--address` takes."""
        return self._cluster.address

    def lose(self, rng: random.Random) -> None:
        """Loses a worker node with all its processes; another one joins."""
        node = self._workers.pop(rng.randrange(len(self._workers)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._workers.append(self._add())

    def kill_raylet(self, rng: random.Random) -> None:
        """Kills the raylet of a worker node; another node joins."""
        node = self._workers.pop(rng.randrange(len(self._workers)))
        os.kill(self._raylet(node), signal.SIGKILL)
        time.sleep(1)
        self._cluster.remove_node(node, allow_graceful=False)
        self._workers.append(self._add())

    def kill_worker(self, rng: random.Random) -> bool:
        """Kills a process that trains; whether there was one."""
        raylets = {self._raylet(node) for node in self._workers}
        found = [
            pid for pid, parent, name in _processes() if parent in raylets and "Trainable" in name
        ]
        if found:
            os.kill(rng.choice(found), signal.SIGKILL)
        return bool(found)

    def stop(self) -> None:
        """Ends all nodes."""
        self._cluster.shutdown()

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, **_small())

    @staticmethod
    def _raylet(node: Any) -> int:
        return node.all_processes["raylet"][0].process.pid


def _small() -> dict[str, Any]:
    return {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}


def _processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent's number and command of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            yield int(folder.name), int(parent), folder.joinpath("cmdline").read_text()

"""Ray itself: joins or starts a cluster, and asks what it can do.

Apart from `tune.py`, the only module that imports Ray; apart, because the cluster starts while
Tune is still being imported.
"""

import contextlib
import logging
import math
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

# Read when Ray is imported, or by the processes that it starts.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.engine.scratch import scratch_folder
from raysweep.errors import ClusterError, Stopped
from raysweep.store.files import Files
from raysweep.sweep.options import Resources

REACH_S = 10.0
ANSWER_S = 60.0
OBJECT_STORE_BYTES = 200 * 2**20  # packs travel as a few kilobytes

T = TypeVar("T")


@contextlib.contextmanager
def connect(address: str | None, cpus: int) -> Iterator[None]:
    """A connection to Ray: the one there is, the cluster at `address`, or a new local one.

    Raises:
        ClusterError: If there is no cluster at the address, or Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    if address is not None:
        with _connected(address, address=address):
            yield
        return
    _own_token()
    own = {
        "address": "local",  # whatever RAY_ADDRESS says
        "num_cpus": cpus,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    with (
        scratch_folder() as folder,
        _connected(None, **own, _temp_dir=folder),
        _secrets_not_copied(),
    ):
        yield


@contextlib.contextmanager
def _connected(cluster: str | None, **options: Any) -> Iterator[None]:
    try:
        if cluster is not None:
            _check_reachable(cluster)
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        where = f"at {cluster}" if cluster else "on this machine"
        raise ClusterError(
            f"expected a Ray cluster {where}, got: {reason}; start one "
            "with 'ray start --head', or train inline, without Ray",
            field="address",
        ) from error
    except BaseException as error:
        ray.shutdown()
        if isinstance(error, SystemExit) and error.code == signal.SIGTERM:
            raise Stopped(128 + signal.SIGTERM) from error  # Ray's handler, installed meanwhile
        raise
    with _silence():
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray from printing pages of its logs to stdout, from a thread, when something dies.

    What a user has to know is said by this package, in a line.
    """
    worker: Any = ray._private.worker
    original = getattr(worker, "print_to_stdstream", None)  # another version may have none
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = original


@contextlib.contextmanager
def _secrets_not_copied() -> Iterator[None]:
    """Keep Tune from copying AWS keys into runtime environments, which Ray writes to its logs.

    Workers of a local Ray inherit the environment of this process anyway.
    """
    from ray.tune.execution import class_cache  # noqa: PLC0415 - imported while Ray starts

    copied = class_cache.ENV_VARS_TO_PROPAGATE
    secret = {name for name in copied if name.startswith("AWS_")}
    copied -= secret
    try:
        yield
    finally:
        copied |= secret


def _check_reachable(address: str) -> None:
    """Makes sure that something listens at HOST:PORT: Ray itself would try for minutes.

    Raises:
        OSError: If nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


def _own_token() -> None:
    """Gives Ray a token file only this user can read; Ray itself would write it world-readable."""
    if any(
        name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
    ):
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "raysweep"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ray-token"
    if not path.is_file() or path.stat().st_size == 0:
        aside = folder / f".ray-token-{secrets.token_hex(8)}"
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        aside.replace(path)
    path.chmod(0o600)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def probe() -> Callable[[], bool]:
    """A question to Ray: whether the node that this process is connected to is alive.

    It raises `OSError` if the cluster's head does not answer, and may block.
    """
    context = ray.get_runtime_context()
    node_id, head = context.get_node_id(), context.gcs_address

    def is_alive() -> bool:
        _check_reachable(
            head
        )  # Ray's own call would keep a CPU busy while it tries again for a minute
        try:
            return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())
        except (ray.exceptions.RayError, RuntimeError) as error:
            raise ConnectionError(str(error)) from error

    return is_alive


def workers(resources: Resources) -> int:
    """Packs that the present cluster can train at the same time.

    Raises:
        ClusterError: If no node could ever train one and nothing would add such a node.
    """
    found = ray.cluster_resources()
    counts = [math.floor(found.get("CPU", 0) / resources.cpu + 1e-9)]
    if resources.gpu > 0:
        counts.append(math.floor(found.get("GPU", 0) / resources.gpu + 1e-9))
    if min(counts) < 1 and "RAY_AUTOSCALER" not in os.environ:
        raise ClusterError(
            f"resources: expected a worker with cpu {resources.cpu:g} and gpu {resources.gpu:g}, "
            f"got a cluster with CPU {found.get('CPU', 0):g} and GPU {found.get('GPU', 0):g}; "
            "lower resources in the sweep file, or join a larger cluster by its address"
        )
    return max(1, min(counts))


def check_store(files: Files) -> None:
    """Makes sure that workers on other nodes see the store.

    Raises:
        ClusterError: If the store is a local folder that another node does not see.
    """
    if not files.is_local:
        return
    name = f".seen-{secrets.token_hex(8)}"
    here = socket.gethostname()
    others = {
        node["NodeManagerHostname"]: node["NodeID"]
        for node in ray.nodes()
        if node["Alive"] and node["NodeManagerHostname"] != here
    }
    if not others:
        return
    files.write(name, b"")
    try:
        probes = {
            host: _path_exists.options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
            ).remote(files.path(name))
            for host, node_id in others.items()
        }
        blind = sorted(host for host, probe in probes.items() if not ray.get(probe))
    finally:
        files.remove(name)
    if blind:
        raise ClusterError(
            f"expected a store that every node sees, got the local folder {files.root}, "
            f"which {', '.join(blind)} cannot see; give a shared file system or a bucket URI such "
            "as s3://bucket/sweeps",
            field="store",
        )


@ray.remote
def _path_exists(path: str) -> bool:
    return os.path.exists(path)


def ask_nodes(question: Callable[[], T]) -> dict[str, T | str]:
    """What a function of the package returns on each node that is alive, or why it did not.

    Args:
        question: Function that every node can import.

    Returns:
        The answers, or the reasons, by the nodes' addresses.
    """
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(question).options(num_cpus=0, scheduling_strategy=strategy)
            asked[node["NodeManagerAddress"]] = task.remote()
    found: dict[str, T | str] = {}
    for name, answer in asked.items():
        try:
            found[name] = ray.get(answer, timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            found[name] = str(error).strip().splitlines()[-1]
    return found

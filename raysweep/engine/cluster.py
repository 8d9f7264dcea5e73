"""Connection to Ray: joins or starts a cluster, and finds out what it offers.

It is separate from `tune.py` so that the cluster can start while Tune is still being imported.
"""

import collections
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

NODE_LABEL = "ray.io/node-id"  # of every node, by Ray itself
REACH_S = 10.0
ANSWER_S = 60.0
OBJECT_STORE_BYTES = 200 * 2**20  # packs travel as a few kilobytes

T = TypeVar("T")


@contextlib.contextmanager
def connect(address: str | None, cpus: int, modules: Sequence[str] = ()) -> Iterator[bool]:
    """Connect to Ray: use an open connection, the cluster at `address`, or a new local one.

    Yields:
        Whether Ray was started by this process, on this machine alone.

    Args:
        address: Address of a cluster to join; None for a local one.
        cpus: Number of CPUs of a local one.
        modules: Paths of Python files and packages that workers on all nodes can then import; an
            open connection stays as it is.

    Raises:
        ClusterError: If no cluster answers at the address, or Ray does not start.
    """
    if ray.is_initialized():
        yield False
        return
    sent = {"runtime_env": {"py_modules": list(modules)}} if modules else {}
    if address is not None:
        with _connected(address, address=address, **sent):
            yield False
        return
    use_private_token()
    options = {
        **sent,
        "address": "local",  # even if RAY_ADDRESS is set
        "num_cpus": cpus,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    with (
        scratch_folder() as folder,
        _connected(None, **options, _temp_dir=folder),
        _secrets_not_copied(),
    ):
        yield True


@contextlib.contextmanager
def _connected(cluster: str | None, **options: Any) -> Iterator[None]:
    try:
        if cluster is not None:
            _check_reachable(cluster)
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        action = (
            f"connect to a Ray cluster at {cluster}" if cluster else "start Ray on this machine"
        )
        raise ClusterError(
            f"cannot {action}: {reason}; start a cluster with 'ray start --head', or train "
            "inline, without Ray",
            field="address",
        ) from error
    except BaseException as error:
        ray.shutdown()
        if isinstance(error, SystemExit) and error.code == signal.SIGTERM:
            raise Stopped(128 + signal.SIGTERM) from error  # raised by Ray's handler
        raise
    with _silent_logs():
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _silent_logs() -> Iterator[None]:
    """Keep Ray from printing pages of its logs to stdout, from a thread, when a process dies.

    This package reports such an event itself, in one line.
    """
    worker: Any = ray._private.worker
    original = getattr(worker, "print_to_stdstream", None)  # missing in some versions of Ray
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
    """Check that a server listens at HOST:PORT; Ray itself would try for minutes.

    Raises:
        OSError: If no server does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


def use_private_token() -> None:
    """Give Ray a token file only this user can read; Ray itself would write it world-readable."""
    if any(
        name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
    ):
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "raysweep"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ray-token"
    if not path.is_file() or path.stat().st_size == 0:
        temporary = folder / f".ray-token-{secrets.token_hex(8)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        temporary.replace(path)
    path.chmod(0o600)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def probe() -> Callable[[], bool]:
    """Return a function that returns whether the node this process is connected to is alive.

    The function raises `OSError` if the cluster's head does not answer, and may block.
    """
    context = ray.get_runtime_context()
    node_id, head = context.get_node_id(), context.gcs_address

    def is_alive() -> bool:
        # Without an answer, Ray's own call would retry for a minute and keep a CPU busy.
        _check_reachable(head)
        try:
            return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())
        except (ray.exceptions.RayError, RuntimeError) as error:
            raise ConnectionError(str(error)) from error

    return is_alive


def visible_gpus() -> int:
    """Return how many GPUs the cluster has."""
    return int(ray.cluster_resources().get("GPU", 0))


def named(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return host name and address of nodes, and more where two have the same, by Ray's ids.

    Args:
        nodes: Descriptions of the nodes, as Ray lists them.
    """
    names = {}
    for node in nodes:
        host, address, label = (
            node[key] for key in ("NodeManagerHostname", "NodeManagerAddress", "NodeName")
        )
        names[node["NodeID"]] = f"node {host} ({address})"
        if label not in (host, address):
            names[node["NodeID"]] = f"node {label} on {host} ({address})"
    counts = collections.Counter(names.values())
    return {
        node_id: f"{name[:-1]}, id {node_id[:8]})" if counts[name] > 1 else name
        for node_id, name in names.items()
    }


def ask_nodes(question: Callable[[], T]) -> dict[str, T | str]:
    """Call a function on each node that is alive, and return the results.

    Args:
        question: Function that every node can import.

    Returns:
        The results, or the texts of errors, by the nodes' names.
    """
    references = {}
    for node_id, name in named(node for node in ray.nodes() if node["Alive"]).items():
        strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
        task = ray.remote(question).options(num_cpus=0, scheduling_strategy=strategy)
        references[name] = task.remote()
    results: dict[str, T | str] = {}
    until = time.monotonic() + ANSWER_S
    for name, reference in references.items():
        try:
            results[name] = ray.get(reference, timeout=max(0.0, until - time.monotonic()))
        except ray.exceptions.GetTimeoutError:
            results[name] = f"no answer within {ANSWER_S:.0f} s"
        except ray.exceptions.RayError as error:
            results[name] = str(error).strip().splitlines()[-1]
    return results

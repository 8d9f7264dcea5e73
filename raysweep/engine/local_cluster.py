"""A Ray cluster of this machine that outlives the process that asks for it: for the service.

`python -m raysweep.engine.local_cluster FILE` is the process that keeps it.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import joblib

from raysweep.errors import ClusterError
from raysweep.store.process import Process, own_process

START_S = 90.0
STOP_S = 40.0
LOOK_S = 0.1
TOKEN = "RAY_AUTH_TOKEN_PATH"


@dataclasses.dataclass(frozen=True)
class LocalCluster:
    """Ray cluster of this machine.

    Args:
        dashboard: Address of its dashboard.
        process: Process that keeps it.
        token: File of the token that protects it; None if the environment names one.
    """

    dashboard: str
    process: Process
    token: str | None

    def stop(self) -> None:
        """End the cluster with all its processes, and wait until it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while self.process.life() == "alive" and time.monotonic() < until:
            time.sleep(LOOK_S)


def running(file: Path) -> LocalCluster | None:
    """Return the cluster that a file names, or None if it does not run.

    Args:
        file: File in which the process that keeps the cluster describes it.
    """
    try:
        data = json.loads(file.read_text())
        cluster = LocalCluster(data["dashboard"], Process(**data["process"]), data["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cluster if cluster.process.life() == "alive" else None


def start(file: Path) -> LocalCluster:
    """Start a cluster, in processes that outlive this one.

    Args:
        file: File in which the process that keeps the cluster describes it.

    Raises:
        ClusterError: If it does not start.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    log = file.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "raysweep.engine.local_cluster", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if (cluster := running(file)) is not None:
            return cluster
        if process.poll() is not None:
            break
        time.sleep(LOOK_S)
    lines = log.read_text(errors="replace").splitlines()
    reason = next((line for line in reversed(lines) if line.strip()), "no answer")
    raise ClusterError(f"cannot start Ray on this machine: {reason}; see {log}")


def use_token(cluster: LocalCluster) -> None:
    """Let this process, and those that it starts, use the token of a cluster."""
    if cluster.token is not None:
        os.environ.update({"RAY_AUTH_MODE": "token", TOKEN: cluster.token})


def _keep(file: Path) -> int:
    """Run Ray, describe it in the file, and keep it until a signal comes; return an exit code."""
    from raysweep.engine import cluster
    from raysweep.engine.scratch import scratch_folder

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    cluster.use_private_token()
    if TOKEN in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
    with scratch_folder() as folder, _free_ports(3) as (dashboard, agent, client):
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *("--port=0", "--disable-usage-stats"),
            *("--include-dashboard=true", "--dashboard-host=127.0.0.1"),
            *("--min-worker-port=0", "--max-worker-port=0"),  # any free ones
            *("--dashboard-port", str(dashboard)),
            *("--dashboard-agent-listen-port", str(agent)),
            *("--ray-client-server-port", str(client)),
            *("--num-cpus", str(joblib.cpu_count())),
            *("--object-store-memory", str(cluster.OBJECT_STORE_BYTES)),
            *("--temp-dir", folder),
        ]
        ray = subprocess.Popen(command)
        try:
            while not ended.is_set() and ray.poll() is None and not _answers(dashboard):
                ended.wait(LOOK_S)
            if not ended.is_set() and ray.poll() is None:
                _describe(file, f"http://127.0.0.1:{dashboard}")
            while not ended.wait(1.0) and ray.poll() is None:
                pass
        finally:
            file.unlink(missing_ok=True)
            ray.terminate()
            ray.wait()
    return 0 if ended.is_set() else 1


def _describe(file: Path, dashboard: str) -> None:
    data = {
        "dashboard": dashboard,
        "process": vars(own_process()),
        "token": os.environ.get(TOKEN),
    }
    aside = file.with_name(f".{file.name}")
    aside.write_text(json.dumps(data))
    aside.replace(file)


@contextlib.contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    """Yield free ports; Ray's own choices are the same for every cluster of a machine."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        ports = [one.getsockname()[1] for one in sockets]
    yield ports


def _answers(port: int) -> bool:
    """Return whether a dashboard answers, even if it refuses a request without its token."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/version", timeout=LOOK_S * 10):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(_keep(Path(sys.argv[1])))

"""A Ray cluster of this machine that outlives the process that asks for it: for the service.

`python -m raysweep.engine.local_cluster FILE` is the process that keeps it.
"""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
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
    os.environ["RAY_AUTH_MODE"] = "token"
    if cluster.token is not None:
        os.environ[TOKEN] = cluster.token


def _keep(file: Path) -> None:
    """Start Ray, describe it in the file, and keep it until a signal comes."""
    ended = threading.Event()
    import ray

    from raysweep.engine import cluster
    from raysweep.engine.scratch import scratch_folder

    cluster.use_private_token()
    with scratch_folder() as folder:
        context = ray.init(
            address="local",
            num_cpus=joblib.cpu_count(),
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            object_store_memory=cluster.OBJECT_STORE_BYTES,
            _temp_dir=folder,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        data = {
            "dashboard": f"http://{context.dashboard_url}",
            "process": vars(own_process()),
            "token": os.environ.get(TOKEN),
        }
        aside = file.with_name(f".{file.name}")
        aside.write_text(json.dumps(data))
        aside.replace(file)
        ended.wait()
        ray.shutdown()
    file.unlink(missing_ok=True)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))

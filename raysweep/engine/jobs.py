"""Drivers of sweeps as Ray Jobs, which outlive the process that starts them."""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysweep.errors import ClusterError

STOP_S = 60  # that a driver has for its packs to save their state


@dataclasses.dataclass(frozen=True)
class Job:
    """Job of a driver.

    Args:
        job_id: Identity of the job, which the service chose.
        active: Whether it runs, or is about to.
        exit_code: Exit code of the driver; None while it runs, and if it is not known.
        text: Ray's message about its state.
        stopped: Whether the driver ended as it was asked to stop.
    """

    job_id: str
    active: bool
    exit_code: int | None = None
    text: str = ""
    stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Load:
    """Load of a cluster.

    Args:
        nodes: Number of nodes.
        cpus: Number of CPUs.
        cpus_used: Number of CPUs that are in use.
        gpus: Number of GPUs.
        gpus_used: Number of GPUs that are in use.
    """

    nodes: int
    cpus: float
    cpus_used: float
    gpus: float = 0.0
    gpus_used: float = 0.0


def load_of(status: Mapping[str, Any]) -> Load:
    """Return the load of a cluster from its status, as Ray's dashboard has it.

    Raises:
        KeyError: If the status lacks it, as just after the start of a cluster.
    """
    report = (status["clusterStatus"] or {})["loadMetricsReport"]
    used = {name: pair for name, pair in report["usage"].items() if name in ("CPU", "GPU")}
    cpus_used, cpus = used.get("CPU", (0.0, 0.0))
    gpus_used, gpus = used.get("GPU", (0.0, 0.0))
    return Load(len(report["usageByNode"] or ()), cpus, cpus_used, gpus, gpus_used)


class RayJobs:
    """Jobs of a Ray cluster.

    Args:
        address: Address of the cluster's dashboard, such as `http://127.0.0.1:8265`.
        environment: Environment variables of drivers, besides those of the cluster.
    """

    def __init__(self, address: str, environment: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._environment = dict(environment or {})
        self._connection: Any = None

    def move(self, address: str) -> None:
        """Turn to another cluster, which has none of the jobs before."""
        self.address, self._connection = address, None

    def start(self, job_id: str, command: Sequence[str]) -> None:
        """Start a job; one that has the same identity already is left as it is.

        Raises:
            ClusterError: If the cluster does not answer, or refuses the job.
        """
        environment = {**self._environment, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)}
        try:
            self._call(
                "submit_job",
                entrypoint=f"exec {shlex.join(command)}",
                submission_id=job_id,
                runtime_env={"env_vars": environment},
            )
        except ClusterError:
            if job_id not in self.jobs(job_id):
                raise

    def jobs(self, prefix: str) -> dict[str, Job]:
        """Return the jobs whose identities begin with a prefix.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        return {
            details.submission_id: Job(
                details.submission_id,
                not details.status.is_terminal(),
                details.driver_exit_code,
                details.message or "",
                details.status == "STOPPED",
            )
            for details in self._call("list_jobs")
            if (details.submission_id or "").startswith(prefix)
        }

    def stop(self, job_id: str) -> None:
        """Let a driver stop: its packs save their state.

        Raises:
            ClusterError: If the cluster does not answer, or has no such job.
        """
        self._call("stop_job", job_id)

    def logs(self, job_id: str) -> str:
        """Return what a driver printed; empty if the cluster does not have it.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        try:
            text: str = self._client().get_job_logs(job_id)
        except RuntimeError:  # no such job, or its node is gone
            return ""
        except _unreachable() as error:
            raise self._error(error) from error
        return text

    def load(self) -> Load:
        """Return the load of the cluster.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        try:
            response = self._client()._do_request("GET", "/api/cluster_status")
            response.raise_for_status()
            return load_of(response.json()["data"])
        except _unreachable() as error:
            raise self._error(error) from error

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._client(), name)(*arguments, **options)
        except _unreachable(RuntimeError) as error:
            raise self._error(error) from error

    def _client(self) -> Any:
        if self._connection is None:
            from ray.job_submission import JobSubmissionClient

            self._connection = JobSubmissionClient(self.address)
        return self._connection

    def _error(self, error: Exception) -> ClusterError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ClusterError(
            f"no answer from the jobs of the Ray cluster at {self.address}: {reason}"
        )


def _unreachable(*others: type[Exception]) -> tuple[type[Exception], ...]:
    import ray
    import requests

    refused = ray.exceptions.RayError  # as where Ray wants a token, and this machine has none
    return (ConnectionError, requests.RequestException, refused, ValueError, KeyError, *others)


def driver_environment() -> dict[str, str]:
    """Return the variables of this process's environment that drivers on the cluster need.

    Drivers start in other folders than this process.
    """
    names = ("RAYSWEEP_STORE", "RAYSWEEP_DATA", "PYTHONPATH")
    given = {name: os.environ[name] for name in names if os.environ.get(name)}
    if folder := given.get("RAYSWEEP_DATA"):
        given["RAYSWEEP_DATA"] = str(Path(folder).expanduser().absolute())
    return given

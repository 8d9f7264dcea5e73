"""Trains packs as Ray Tune trials. The only module that imports Ray."""

import contextlib
import logging
import math
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Read when Ray is imported, or by the processes that it starts.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.engine.pack import Job
from raysweep.engine.work import Worker, prepare
from raysweep.errors import ClusterError
from raysweep.plan import Pack
from raysweep.spec.model import Resources
from raysweep.store.files import Files

if TYPE_CHECKING:  # a worker starts faster without the search and its libraries
    from raysweep.schedule import Schedule

SPARE_TRIALS = 4  # waiting trials per worker, so that an autoscaler sees what is wanted
OBJECT_STORE_BYTES = 200 * 2**20  # packs travel as a few kilobytes


@contextlib.contextmanager
def connect(address: str | None, cpus: int) -> Iterator[None]:
    """A connection to Ray: the one there is, the cluster at `address`, or a new local one.

    Raises:
        ClusterError: If there is no cluster at the address, or Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            _own_token()
            ray.init(
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        where = f"at {address}" if address else "on this machine"
        raise ClusterError(
            f"--address: expected a Ray cluster {where}, got: {reason}; start one "
            "with 'ray start --head', or use --inline"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _own_token() -> None:
    """Gives Ray a token file only this user can read; Ray itself would write it world-readable."""
    if any(
        name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
    ):
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "raysweep"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ray-token"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    path.chmod(0o600)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


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
            "lower resources in the sweep file, or join a larger cluster with --address"
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
            host: _sees.options(
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
            f"--store: expected a store that every node sees, got the local folder {files.root}, "
            f"which {', '.join(blind)} cannot see; give a shared file system or a bucket URI such "
            "as s3://bucket/sweeps"
        )


@ray.remote
def _sees(path: str) -> bool:
    return os.path.exists(path)


class PackTrainable(tune.Trainable):
    """One trial: a pack. The actor goes on to the next pack when it ends."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a pack up in a new process."""
        job = Job(**config["job"])
        prepare(job)
        self._worker = Worker(job, Pack.from_json(config["pack"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next pack up in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains for a second."""
        return self._worker.step()

    def cleanup(self) -> None:
        """Puts the state down if the pack was stopped before its end."""
        self._worker.stop()


class _Unsaved:
    """Left out of the snapshots that Tune pickles: nothing is ever restored from one."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()


def _nothing() -> None:
    return None


class PackSearcher(_Unsaved, Searcher):
    """Hands the schedule's packs to Tune, and what became of them back.

    Args:
        schedule: Says what to train.
        job: Where and how.
        watch: Told the progress of packs.
    """

    def __init__(
        self, schedule: "Schedule", job: Job, watch: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__()
        self.schedule, self.job, self.watch = schedule, job, watch
        self.trials: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next pack, or word that all is done (final), or None while others train."""
        pack = self.schedule.next_pack()
        if pack is not None:
            self.trials[trial_id] = pack.pack_id
            return {"pack": pack.to_json(), "job": vars(self.job)}
        halted = self.schedule.stopping or self.schedule.fatal is not None
        if self.schedule.finished or (halted and not self.schedule.in_flight):
            return self.FINISHED
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Progress of a pack."""
        if "progress" in result:
            self.watch(result["progress"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The end of a pack, good or bad."""
        pack_id = self.trials.pop(trial_id, None)
        if pack_id is None or pack_id not in self.schedule.in_flight:
            return
        result = result or {}
        if error:
            self.schedule.pack_failed(
                pack_id,
                "died",
                "the worker process died; the machine may be out of memory, or the node was lost",
            )
        elif "failure" in result:
            self.schedule.pack_failed(pack_id, result["failure"], result["error"])
        elif result.get("done") and not self.schedule.stopping:
            self.schedule.pack_ended(pack_id)
        else:
            self.schedule.pack_stopped(pack_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a session starts from the store."""

    def get_state(self) -> dict[str, Any]:
        """Nothing that Tune could restore from."""
        return {}


class StopWith(_Unsaved, tune.Stopper):
    """Stops every trial once the session stops."""

    def __init__(self, schedule: "Schedule", stopping: Callable[[], bool]) -> None:
        self.schedule, self.stopping = schedule, stopping

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped for itself."""
        return False

    def stop_all(self) -> bool:
        """Whether the session stops."""
        if self.stopping():
            self.schedule.stopping = True
        return self.schedule.stopping or self.schedule.fatal is not None


def run_tune(
    schedule: "Schedule",
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
) -> None:
    """Trains until nothing is missing, or until told to stop; needs `connect`.

    Args:
        schedule: Says what to train.
        job: Where and how.
        stopping: Asked at every event, at least every second.
        watch: Told the progress of packs.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    resources = schedule.spec.resources
    trainable = tune.with_resources(PackTrainable, {"cpu": resources.cpu, "gpu": resources.gpu})
    with tempfile.TemporaryDirectory(prefix="raysweep-") as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(schedule, job, watch),
                num_samples=-1,
                max_concurrent_trials=SPARE_TRIALS * workers(resources),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                stop=StopWith(schedule, stopping),
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()

"""Training of packs as Ray Tune trials."""

import contextlib
import dataclasses
import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.engine.trainable import PackTrainable, early_stopper_of, request_of

# After `trainable`, which sets what Tune reads from the environment when it is imported.
import ray  # isort: skip
from ray import tune  # isort: skip
from ray.tune.search import Searcher  # isort: skip
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip

from raysweep.code.modules import Code
from raysweep.engine.deaths import survived
from raysweep.engine.hangs import HangWatch
from raysweep.engine.job import Job
from raysweep.engine.scratch import scratch_folder
from raysweep.engine.trials import Trials
from raysweep.engine.watchdog import RayGone
from raysweep.errors import ClusterError
from raysweep.store.process import Process

if TYPE_CHECKING:
    from raysweep.engine.nodes import Nodes
    from raysweep.scheduling.scheduler import Schedule

SPARE_TRIALS = 4  # trials per worker, by which an autoscaler sees the demand
MOST_TRIALS = 10_000  # whatever the number of workers


class _Unsaved:
    """Base of objects left out of the snapshots that Tune pickles, which are never restored."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()


def _nothing() -> None:
    return None


class PackSearcher(_Unsaved, Searcher):
    """Searcher that gives the schedule's packs to Tune, and their outcomes to the schedule.

    Args:
        schedule: Schedule of the packs to train.
        shared: Configuration that all trials share, without the packs.
        stop: Stopper that decides whether the session stops.
        trials: Trials with their packs.
    """

    def __init__(
        self,
        schedule: "Schedule",
        shared: Mapping[str, Any],
        stop: "StopWith",
        trials: Trials,
    ) -> None:
        super().__init__()
        self.schedule, self.shared, self.stop, self.trials = schedule, shared, stop, trials

    def suggest(self, trial_id: str) -> Any:
        """Return the next packs, `FINISHED` at the end, or None while there is no pack to train."""
        self.stop.stop_all()  # Tune calls no stopper while it waits for a pack
        if len(self.trials) >= SPARE_TRIALS * self.trials.nodes.workers():
            return None
        packs = None
        with self._fatal():
            packs = self.trials.begin(trial_id)
        if packs is not None:
            return {**self.shared, **packs}
        self.trials.remind()
        halted = self.schedule.stopping or self.schedule.fatal is not None
        if self.schedule.finished or (halted and not len(self.trials)):
            return self.FINISHED  # also if packs in flight were not given to a trial
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass the progress of packs on."""
        with self._fatal():
            self.trials.report(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the outcome of packs to the schedule."""
        with self._fatal():
            self.trials.end(trial_id, result or {}, has_died=error)

    @contextlib.contextmanager
    def _fatal(self) -> Iterator[None]:
        """End the session with an error raised inside, which Tune would only log."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any error must end the session
            self.schedule.fatal = self.schedule.fatal or error

    def save(self, checkpoint_path: str) -> None:
        """Save no state: all of it is in the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore no state: a session starts from the store."""

    def get_state(self) -> dict[str, Any]:
        """Return an empty state, as all of it is in the store."""
        return {}


class StopWith(_Unsaved, tune.Stopper):
    """Stopper of Tune that stops every trial once the session stops.

    Args:
        schedule: Schedule that is marked as stopping.
        stopping: Function that returns whether to stop.
        checks: Functions that are called until the session stops; they may raise.
    """

    def __init__(
        self, schedule: "Schedule", stopping: Callable[[], bool], *checks: Callable[[], None]
    ) -> None:
        self.schedule, self.stopping, self.checks = schedule, stopping, checks

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return that no single trial stops."""
        return False

    def stop_all(self) -> bool:
        """Return whether the session stops."""
        if self.stopping():
            self.schedule.stopping = True
        else:
            for check in self.checks:
                check()
        return self.schedule.stopping or self.schedule.fatal is not None


@dataclasses.dataclass(frozen=True)
class Guard:
    """Checks that accompany a training on Ray.

    Args:
        nodes: Nodes of the cluster, some of which may be left out.
        check: Function that raises `RayGone` if Ray is gone.
        store_away: Function that returns whether the store is out of reach: workers then wait
            for it, and have not hung.
    """

    nodes: "Nodes"
    check: Callable[[], None] = _nothing
    store_away: Callable[[], bool] = lambda: False


def run_tune(
    schedule: "Schedule",
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
    guard: Guard,
    code: Code | None = None,
) -> None:
    """Train until no run is missing, or until the session stops; needs `connect`.

    Args:
        schedule: Schedule of the packs to train.
        job: Store, devices and settings of the training.
        stopping: Function that returns whether to stop; called at least every second.
        watch: Function that is called with the progress of packs.
        guard: Checks that are made as often.
        code: Code of the user that workers load; None if there is none.

    Raises:
        ClusterError: If Ray is gone.
    """
    # The schedule reports the outcome of a trial to the user, in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    nodes, resources = guard.nodes, schedule.spec.resources
    shared = {
        "job": vars(job),
        "code": ray.put(code.for_workers) if code else None,  # once, not with each trial
        "check": (nodes.expected, nodes.store) if nodes.store else None,
        "fit": resources.pack == "auto",
        "limit": nodes.limit,
        "data_node": _data_node(job),
    }
    hangs = HangWatch(resources.patience_s, _kill_worker, guard.store_away)
    tend = functools.partial(_tend, nodes, schedule)
    stop = StopWith(schedule, stopping, guard.check, hangs.check, tend)
    with (
        scratch_folder() as scratch,
        survived() as deaths,
        _early_stopping_actor(schedule, job) as actor,
    ):
        shared["early_stopper"] = actor
        trials = Trials(schedule, watch, hangs, deaths, nodes)
        tuner = tune.Tuner(
            tune.with_resources(PackTrainable, request_of),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(schedule, shared, stop, trials),
                num_samples=-1,
                max_concurrent_trials=MOST_TRIALS,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                stop=stop,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except RayGone as error:
            raise ClusterError(str(error)) from error


def _data_node(job: Job) -> str | None:
    """Return the driver's node if the data folder comes from its environment, else None."""
    folder = os.environ.get("RAYSWEEP_DATA")
    is_from_environment = folder and job.data == str(Path(folder).expanduser().absolute())
    return ray.get_runtime_context().get_node_id() if is_from_environment else None


def _tend(nodes: "Nodes", schedule: "Schedule") -> None:
    """Check the nodes, and let the schedule keep as many workers busy as there are."""
    try:
        nodes.check()
    except ClusterError as error:
        schedule.fatal = schedule.fatal or error
    size = schedule.size
    if size is not None and nodes.workers() > size.workers:
        schedule.size = dataclasses.replace(size, workers=nodes.workers())


def _kill_worker(process: Mapping[str, Any]) -> None:
    """Kill a worker that hangs, by a task on its node; do not wait for the task."""
    fields = dict(process)
    node = NodeAffinitySchedulingStrategy(fields.pop("node"), soft=False)
    ray.remote(_kill).options(num_cpus=0, scheduling_strategy=node).remote(Process(**fields))


def _kill(process: Process) -> None:
    if process.life() != "dead":
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _early_stopping_actor(schedule: "Schedule", job: Job) -> Iterator[Any]:
    """Yield the actor of early stopping on the driver's node, or None if no run is stopped early.

    The actor ends after the calls so far: Tune keeps its handle for as long as the process lives.
    """
    if job.stopping is None:
        yield None
        return
    from raysweep.search.early_stopping import StoredEarlyStopper

    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor: Any = (
        ray.remote(StoredEarlyStopper)
        .options(num_cpus=0, scheduling_strategy=node)
        .remote(job.store, job.sweep, job.token, dict(job.stopping))
    )
    early_stopper = early_stopper_of(actor)
    schedule.attach(early_stopper)
    early_stopper.begin()
    yield actor
    actor.__ray_terminate__.remote()

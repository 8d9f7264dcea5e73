"""Trains packs as Ray Tune trials."""

import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from raysweep.engine.cluster import workers

# After `cluster`, which sets what Tune reads from the environment when it is imported.
import ray  # isort: skip
from ray import tune  # isort: skip
from ray.tune.search import Searcher  # isort: skip
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip

from raysweep.engine.deaths import Deaths, classify, survived
from raysweep.engine.hangs import HangWatch
from raysweep.engine.pack import Job
from raysweep.engine.scratch import scratch_folder
from raysweep.engine.watchdog import RayGone
from raysweep.engine.work import Worker, prepare
from raysweep.errors import ClusterError, StoreError
from raysweep.store.process import Process, own_process
from raysweep.store.watch import DriverGone
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.packs import Pack

if TYPE_CHECKING:  # a worker starts faster without the search and its libraries
    from raysweep.scheduling.scheduler import Schedule

SPARE_TRIALS = 4  # waiting trials per worker, so that an autoscaler sees what is wanted
WITHOUT_ANSWER = frozenset({"opened", "lost"})  # methods of `EarlyStopper` that return at once


class _ActorProxy:
    """The methods of an object in a Ray actor, called as if it were here.

    Args:
        actor: Handle of the actor.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function that calls the actor's method of that name."""
        call = getattr(self._actor, name).remote
        return call if name in WITHOUT_ANSWER else lambda *arguments: _answer(call(*arguments))


def _answer(reference: Any) -> Any:
    """Wait for the result of an actor's method.

    Raises:
        DriverGone: If the actor found that the driver is gone.
        StoreError: If the method raised anything else, or the actor died.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        if isinstance(cause, DriverGone):
            raise DriverGone(*cause.args) from error
        raise StoreError(
            "early stopping could not be decided: "
            f"{' '.join(str(cause).split()) or type(cause).__name__}; the same command goes on"
        ) from error


def _early_stopper(actor: Any) -> EarlyStopper:
    """Return the early stopper that lives in a Ray actor."""
    return cast("EarlyStopper", _ActorProxy(actor))


class PackTrainable(tune.Trainable):
    """One trial: a pack. The actor goes on to the next pack when it ends."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a pack up in a new process."""
        job = Job(**config["job"])
        prepare(job)
        judge = _early_stopper(config["judge"]) if config["judge"] is not None else None
        self._worker = Worker(job, Pack.from_json(config["pack"]), judge)
        self._announced = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next pack up in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains for a second; says where before anything can hang."""
        if self._announced:
            return self._worker.step()
        self._announced = True
        node = ray.get_runtime_context().get_node_id()
        return {"process": dataclasses.asdict(own_process()) | {"node": node}}

    def cleanup(self) -> None:
        """Puts the state down if the pack was stopped before its end."""
        self._worker.stop()


class _Unsaved:
    """Left out of the snapshots that Tune pickles: nothing is ever restored from one."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()


def _nothing() -> None:
    return None


def _below(result: dict[str, Any], name: str) -> dict[str, Any]:
    """What a trial told under a name; Tune hands searchers flattened results."""
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)
    }


class PackSearcher(_Unsaved, Searcher):
    """Hands the schedule's packs to Tune, and what became of them back.

    Args:
        schedule: Says what to train.
        job: Where and how.
        watch: Told the progress of packs.
        stop: Says whether the session stops.
        hangs: Follows the steps of packs.
        deaths: Knows why a worker died.
        judge: Handle of the actor that decides on early stopping, if there is one.
    """

    def __init__(
        self,
        schedule: "Schedule",
        job: Job,
        watch: Callable[[dict[str, Any]], None],
        stop: "StopWith",
        hangs: HangWatch,
        deaths: Deaths,
        judge: Any = None,
    ) -> None:
        super().__init__()
        self.schedule, self.job, self.watch, self.judge = schedule, job, watch, judge
        self.stop, self.hangs, self.deaths = stop, hangs, deaths
        self.trials: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next pack, or word that all is done (final), or None while others train."""
        pack = None
        self.stop.stop_all()  # Tune asks nobody else while it waits for a pack
        with self._fatal():
            pack = self.schedule.next_pack()
        if pack is not None:
            self.trials[trial_id] = pack.pack_id
            return {"pack": pack.to_json(), "job": vars(self.job), "judge": self.judge}
        halted = self.schedule.stopping or self.schedule.fatal is not None
        if self.schedule.finished or (halted and not self.schedule.in_flight):
            return self.FINISHED
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Progress of a pack."""
        if process := _below(result, "process"):
            self.hangs.began(self.trials[trial_id], process)
            with self._fatal():
                self.watch({"pack_id": self.trials[trial_id], "began": True})
        if progress := _below(result, "progress"):
            self.hangs.stepped(progress["pack_id"], progress["step"])
            with self._fatal():
                self.watch(progress)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The end of a pack, good or bad."""
        with self._fatal():
            self._end(trial_id, result, error)

    @contextlib.contextmanager
    def _fatal(self) -> Iterator[None]:
        """Ends the session with what is raised inside: Tune would only log it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the session must not go on
            self.schedule.fatal = self.schedule.fatal or error

    def _end(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        pack_id = self.trials.pop(trial_id, None)
        if pack_id is None or pack_id not in self.schedule.in_flight:
            return
        result = result or {}
        pid, hung = self.hangs.pid(pack_id), self.hangs.left(pack_id)
        if error and hung:
            told = f"no step for {self.hangs.patience_s:g} s (resources.patience_s); worker ended"
            self.schedule.pack_failed(pack_id, "hung", told)
        elif error:
            self.schedule.pack_failed(pack_id, *classify(self.deaths.error, pid))
        elif "failure" in result:
            about = _below(result, "about")
            self.schedule.pack_failed(pack_id, result["failure"], result["error"], about)
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
    """Stops every trial once the session stops.

    Args:
        schedule: Learns that the session stops.
        stopping: Whether it was told to.
        checks: Called as long as the session does not stop; they may raise.
    """

    def __init__(
        self, schedule: "Schedule", stopping: Callable[[], bool], *checks: Callable[[], None]
    ) -> None:
        self.schedule, self.stopping, self.checks = schedule, stopping, checks

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped for itself."""
        return False

    def stop_all(self) -> bool:
        """Whether the session stops."""
        if self.stopping():
            self.schedule.stopping = True
        else:
            for check in self.checks:
                check()
        return self.schedule.stopping or self.schedule.fatal is not None


def run_tune(
    schedule: "Schedule",
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
    check: Callable[[], None] = _nothing,
    store_away: Callable[[], bool] = lambda: False,
) -> None:
    """Trains until nothing is missing, or until told to stop; needs `connect`.

    Args:
        schedule: Says what to train.
        job: Where and how.
        stopping: Asked at every event, at least every second.
        watch: Told the progress of packs.
        check: Asked as often; raises `RayGone` if Ray is gone.
        store_away: Whether the store cannot be reached now: workers wait for it, and do not hang.

    Raises:
        ClusterError: If Ray is gone.
    """
    # What became of a trial reaches the user through the schedule, in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    judge = _judge(schedule, job)
    resources = schedule.spec.resources
    trainable = tune.with_resources(PackTrainable, {"cpu": resources.cpu, "gpu": resources.gpu})
    hangs = HangWatch(resources.patience_s, _end_worker, store_away)
    stop = StopWith(schedule, stopping, check, hangs.check)
    with scratch_folder() as scratch, survived() as deaths:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(schedule, job, watch, stop, hangs, deaths, judge),
                num_samples=-1,
                max_concurrent_trials=SPARE_TRIALS * workers(resources),
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


def _end_worker(process: Mapping[str, Any]) -> None:
    """Ends a worker that hangs, by a task on its node; does not wait."""
    told = dict(process)
    where = NodeAffinitySchedulingStrategy(told.pop("node"), soft=False)
    ray.remote(_kill).options(num_cpus=0, scheduling_strategy=where).remote(Process(**told))


def _kill(process: Process) -> None:
    if process.life() != "dead":
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _judge(schedule: "Schedule", job: Job) -> Any:
    """An actor that judges for all packs, beside the driver; None if nothing is stopped early."""
    if job.stopping is None:
        return None
    from raysweep.search.early_stopping import StoredEarlyStopper

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = (
        ray.remote(StoredEarlyStopper)
        .options(num_cpus=0, scheduling_strategy=here)
        .remote(job.store, job.sweep, job.token, dict(job.stopping))
    )
    remote = _early_stopper(actor)
    schedule.attach(remote)
    remote.begin()
    return actor

"""Training of packs as Ray Tune trials."""

import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from raysweep.imports import without_collection

# This is where a worker's process imports torch.
with without_collection():
    from raysweep.engine.children import protect_children
    from raysweep.engine.cluster import workers

    # After `cluster`, which sets what Tune reads from the environment when it is imported.
    import ray  # isort: skip
    from ray import tune  # isort: skip
    from ray.tune.search import Searcher  # isort: skip
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip

    from raysweep.code.modules import Code
    from raysweep.code.workers import install
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

SPARE_TRIALS = 4  # waiting trials per worker, by which an autoscaler sees the demand
NOTHING_SHARED: Mapping[str, Any] = {"early_stopper": None, "code": None}
WITHOUT_ANSWER = frozenset({"opened", "lost"})  # methods of `EarlyStopper` that return at once


class _ActorProxy:
    """Proxy of an object in a Ray actor, to which it forwards every method.

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
            f"early stopping failed: {' '.join(str(cause).split()) or type(cause).__name__}; run "
            "the same command again to resume"
        ) from error


def _early_stopper(actor: Any) -> EarlyStopper:
    """Return the proxy of an early stopper in a Ray actor."""
    return cast("EarlyStopper", _ActorProxy(actor))


class PackTrainable(tune.Trainable):
    """Trial of Tune that trains one pack; its actor is then reused for the next pack."""

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare to train a pack in a new process."""
        job = Job(**config["job"])
        prepare(job)
        protect_children()
        if config["code"] is not None:
            install(ray.get(config["code"]))
        actor = config["early_stopper"]
        early_stopper = _early_stopper(actor) if actor is not None else None
        self._worker = Worker(job, Pack.from_json(config["pack"]), early_stopper)
        self._announced = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare to train the next pack in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the worker's process at the first call; train for a second at the others.

        The driver must know the process before a run can hang.
        """
        if self._announced:
            return self._worker.step()
        self._announced = True
        node = ray.get_runtime_context().get_node_id()
        return {"process": dataclasses.asdict(own_process()) | {"node": node}}

    def cleanup(self) -> None:
        """Save the pack's state if it was stopped before its end."""
        self._worker.stop()


class _Unsaved:
    """Base of objects left out of the snapshots that Tune pickles, which are never restored."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()


def _nothing() -> None:
    return None


def _nested(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping that a trial reported, from the flattened results that Tune passes on."""
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)
    }


class PackSearcher(_Unsaved, Searcher):
    """Searcher that gives the schedule's packs to Tune, and their outcomes to the schedule.

    Args:
        schedule: Schedule of the packs to train.
        job: Store, devices and settings of the training.
        watch: Function that is called with the progress of packs.
        stop: Stopper that decides whether the session stops.
        hangs: Watch over the workers, to which their steps are reported.
        deaths: Error of the worker whose death Tune is handling.
        shared: Handles of what workers share: `early_stopper`, the actor of early stopping, and
            `code`, the user's code in Ray's object store; None where there is no such thing.
    """

    def __init__(
        self,
        schedule: "Schedule",
        job: Job,
        watch: Callable[[dict[str, Any]], None],
        stop: "StopWith",
        hangs: HangWatch,
        deaths: Deaths,
        shared: Mapping[str, Any] = NOTHING_SHARED,
    ) -> None:
        super().__init__()
        self.schedule, self.job, self.watch = schedule, job, watch
        self.shared = dict(shared)
        self.stop, self.hangs, self.deaths = stop, hangs, deaths
        self.trials: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack, `FINISHED` at the end, or None while there is no pack to train."""
        pack = None
        self.stop.stop_all()  # Tune calls no stopper while it waits for a pack
        with self._fatal():
            pack = self.schedule.next_pack()
        if pack is not None:
            self.trials[trial_id] = pack.pack_id
            return {
                "pack": pack.to_json(),
                "job": vars(self.job),
                **self.shared,
            }
        halted = self.schedule.stopping or self.schedule.fatal is not None
        if self.schedule.finished or (halted and not self.schedule.in_flight):
            return self.FINISHED
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the progress of a pack."""
        if process := _nested(result, "process"):
            self.hangs.began(self.trials[trial_id], process)
            with self._fatal():
                self.watch({"pack_id": self.trials[trial_id], "began": True})
        if progress := _nested(result, "progress"):
            self.hangs.stepped(progress["pack_id"], progress["step"])
            with self._fatal():
                self.watch(progress)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the outcome of a pack to the schedule."""
        with self._fatal():
            self._end(trial_id, result, error)

    @contextlib.contextmanager
    def _fatal(self) -> Iterator[None]:
        """End the session with an error raised inside, which Tune would only log."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any error must end the session
            self.schedule.fatal = self.schedule.fatal or error

    def _end(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        pack_id = self.trials.pop(trial_id, None)
        if pack_id is None or pack_id not in self.schedule.in_flight:
            return
        result = result or {}
        pid, hung = self.hangs.pid(pack_id), self.hangs.left(pack_id)
        if error and hung:
            text = f"no step for {self.hangs.patience_s:g} s (resources.patience_s); worker killed"
            self.schedule.pack_failed(pack_id, "hung", text)
        elif error:
            self.schedule.pack_failed(pack_id, *classify(self.deaths.error, pid))
        elif "failure" in result:
            about = _nested(result, "about")
            self.schedule.pack_failed(pack_id, result["failure"], result["error"], about)
        elif result.get("done") and not self.schedule.stopping:
            self.schedule.pack_ended(pack_id)
        else:
            self.schedule.pack_stopped(pack_id)

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


def run_tune(
    schedule: "Schedule",
    job: Job,
    stopping: Callable[[], bool],
    watch: Callable[[dict[str, Any]], None],
    check: Callable[[], None] = _nothing,
    store_away: Callable[[], bool] = lambda: False,
    code: Code | None = None,
) -> None:
    """Train until no run is missing, or until the session stops; needs `connect`.

    Args:
        schedule: Schedule of the packs to train.
        job: Store, devices and settings of the training.
        stopping: Function that returns whether to stop; called at least every second.
        watch: Function that is called with the progress of packs.
        check: Function that raises `RayGone` if Ray is gone; called as often.
        store_away: Function that returns whether the store is out of reach: workers then wait
            for it, and have not hung.
        code: Code of the user that workers load; None if there is none.

    Raises:
        ClusterError: If Ray is gone.
    """
    # The schedule reports the outcome of a trial to the user, in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    early_stopper = _early_stopping_actor(schedule, job)
    sent = ray.put(code.for_workers) if code else None  # once, not with each pack
    shared = {"early_stopper": early_stopper, "code": sent}
    resources = schedule.spec.resources
    trainable = tune.with_resources(PackTrainable, {"cpu": resources.cpu, "gpu": resources.gpu})
    hangs = HangWatch(resources.patience_s, _kill_worker, store_away)
    stop = StopWith(schedule, stopping, check, hangs.check)
    with scratch_folder() as scratch, survived() as deaths:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(schedule, job, watch, stop, hangs, deaths, shared),
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


def _kill_worker(process: Mapping[str, Any]) -> None:
    """Kill a worker that hangs, by a task on its node; do not wait for the task."""
    fields = dict(process)
    node = NodeAffinitySchedulingStrategy(fields.pop("node"), soft=False)
    ray.remote(_kill).options(num_cpus=0, scheduling_strategy=node).remote(Process(**fields))


def _kill(process: Process) -> None:
    if process.life() != "dead":
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _early_stopping_actor(schedule: "Schedule", job: Job) -> Any:
    """Start the actor of early stopping on the driver's node, if runs are stopped by steps."""
    if job.stopping is None:
        return None
    from raysweep.search.early_stopping import StoredEarlyStopper

    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = (
        ray.remote(StoredEarlyStopper)
        .options(num_cpus=0, scheduling_strategy=node)
        .remote(job.store, job.sweep, job.token, dict(job.stopping))
    )
    early_stopper = _early_stopper(actor)
    schedule.attach(early_stopper)
    early_stopper.begin()
    return actor

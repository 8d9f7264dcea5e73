"""Trains packs as Ray Tune trials."""

import logging
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raysweep.engine.cluster import workers

# After `cluster`, which sets what Tune reads from the environment when it is imported.
from ray import tune  # isort: skip
from ray.tune.search import Searcher  # isort: skip

from raysweep.engine.pack import Job
from raysweep.engine.work import Worker, prepare
from raysweep.plan import Pack

if TYPE_CHECKING:  # a worker starts faster without the search and its libraries
    from raysweep.schedule import Schedule

SPARE_TRIALS = 4  # waiting trials per worker, so that an autoscaler sees what is wanted


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
    # What became of a trial reaches the user through the schedule, in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
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

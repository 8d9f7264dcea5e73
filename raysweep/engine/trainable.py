"""Trial of Tune that trains a pack: all that a worker's process imports."""

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from raysweep.imports import without_collection

# This is where a worker's process imports torch.
with without_collection():
    from raysweep.engine.cluster import NODE_LABEL

    # After `cluster`, which sets what Tune reads from the environment when it is imported.
    import ray  # isort: skip
    from ray import tune  # isort: skip

    from raysweep.code.workers import install
    from raysweep.engine import node_facts
    from raysweep.engine.batch import Batch
    from raysweep.engine.children import protect_children
    from raysweep.engine.job import Job
    from raysweep.engine.memory import fitting, limit_here
    from raysweep.engine.sizing import Sizing
    from raysweep.engine.work import prepare
    from raysweep.engine.worker_store import WorkerStore
    from raysweep.errors import StoreError
    from raysweep.store.checkpoints import Checkpoints
    from raysweep.store.process import own_process
    from raysweep.store.watch import DriverGone
    from raysweep.sweep.early_stopping import EarlyStopper
    from raysweep.sweep.options import Resources
    from raysweep.sweep.packs import Pack

WITHOUT_ANSWER = frozenset({"opened", "lost"})  # methods of `EarlyStopper` that return at once
_checked: dict[str, dict[str, str]] = {}  # answers of this process to `node_facts.trouble`


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


def early_stopper_of(actor: Any) -> EarlyStopper:
    """Return the proxy of an early stopper in a Ray actor."""
    return cast("EarlyStopper", _ActorProxy(actor))


class PackTrainable(tune.Trainable):
    """Trial of Tune that trains a batch of packs; its actor is then reused for the next batch."""

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare to train a batch in a new process."""
        self._batch: Batch | None = None
        self._announced, self._fits = False, 0
        self._trouble = _trouble(config["check"])
        if self._trouble:
            return
        job = _with_data_of_node(Job(**config["job"]), config["data_node"])
        prepare(job)
        protect_children()
        if config["code"] is not None:
            install(ray.get(config["code"]))
        actor = config["early_stopper"]
        early_stopper = early_stopper_of(actor) if actor is not None else None
        first, *others = map(Pack.from_json, json.loads(config["packs"]))
        sizing = Sizing(job.gpu, json.loads(config["sizes"])) if config["fit"] else None
        self._fits = len(first.runs)
        if sizing is not None:
            self._fits = _fitting(first, job, config["limit"])
            fastest = sizing.keep(first)
            if fastest < self._fits and early_stopper is None:
                saved = Checkpoints(WorkerStore(job).files, first.pack_id)
                self._fits = self._fits if saved.has_state() else fastest
            others = [] if self._fits < len(first.runs) else _that_fit(others, job, config["limit"])
        self._batch = Batch(job, [first.divided(self._fits)[0], *others], early_stopper, sizing)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare to train the next batch in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the worker's process at the first call; train for a second at the others.

        The driver must know the process before a run can hang, and divide a pack that the device
        does not hold before its first part trains.
        """
        if self._batch is not None and self._announced:
            return self._batch.step()
        self._announced = True
        node = ray.get_runtime_context().get_node_id()
        process = dataclasses.asdict(own_process()) | {"node": node}
        if self._batch is not None:
            return {"process": process, "fits": self._fits, "kept": len(self._batch.packs)}
        [(blamed, text)] = self._trouble.items()
        failure = "store" if blamed == "store" else "setup"
        return {
            "process": process,
            "done": True,
            "failure": failure,
            "error": text,
            "blamed": blamed,
        }

    def cleanup(self) -> None:
        """Save the state of the pack that was stopped before its end."""
        if self._batch is not None:
            self._batch.stop()


def _trouble(check: Any) -> dict[str, str]:
    """Return the reason why this node cannot train, by its kind; empty if it can.

    Args:
        check: Arguments of `node_facts.trouble`; None for no check.
    """
    if check is None:
        return {}
    key = json.dumps(check)
    if key not in _checked:
        _checked[key] = node_facts.trouble(*check)
    return _checked[key]


def _with_data_of_node(job: Job, data_node: str | None) -> Job:
    """Return the job with the data folder that this node's environment names, if it does.

    Args:
        job: Store, devices and settings of the training.
        data_node: The driver's node if its environment names the data folder; None if the user
            chose a folder for all nodes.
    """
    is_elsewhere = data_node not in (None, ray.get_runtime_context().get_node_id())
    if is_elsewhere and os.environ.get("RAYSWEEP_DATA"):
        return dataclasses.replace(job, data=None)
    return job


def _fitting(pack: Pack, job: Job, limit: int | None) -> int:
    """Return how many of the pack's runs this worker's device holds.

    Args:
        pack: The pack to train.
        job: Store, devices and settings of the training.
        limit: Largest estimated memory of a pack; None to measure this node's device.
    """
    if limit is None:
        node_id = ray.get_runtime_context().get_node_id()
        totals = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == node_id)
        limit = limit_here(totals, Resources(cpu=job.cpu, gpu=job.gpu))
    return fitting(pack, limit)


def _that_fit(packs: Sequence[Pack], job: Job, limit: int | None) -> list[Pack]:
    """Return the first few packs, before one that this worker's device does not hold."""
    return list(
        itertools.takewhile(lambda pack: _fitting(pack, job, limit) >= len(pack.runs), packs)
    )


def request_of(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Return the resources of a trial, on a node that is not left out."""
    job, left_out = config["job"], config["left_out"]
    bundle = {"CPU": job["cpu"], "GPU": job["gpu"]}
    if not left_out:
        return tune.PlacementGroupFactory([bundle])
    others = {NODE_LABEL: f"!in({','.join(left_out)})"}
    return tune.PlacementGroupFactory([bundle], bundle_label_selector=[others])

"""Deaths of workers: their reasons, from Ray's errors, and a Tune that survives them all."""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ray import exceptions
from ray.tune.execution import tune_controller
from ray.util import placement_group_table

if TYPE_CHECKING:
    from raysweep.scheduling.failures import Failure

NODE_LOST = (
    exceptions.ActorUnavailableError,
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.OwnerDiedError,
    exceptions.ActorPlacementGroupRemoved,
    exceptions.TaskPlacementGroupRemoved,
    exceptions.ActorUnschedulableError,
    exceptions.TaskUnschedulableError,
)
MEMORY_USE = re.compile(r"pid=(\d+), actual memory used=([\d.]+)GB")
MEMORY_RATIO = 2.0  # a worker is not to blame if another used that many times its memory
LONGEST_TEXT = 300
log = logging.getLogger("raysweep")


def classify(error: BaseException | None, pid: int | None = None) -> "tuple[Failure, str]":
    """Return the kind of a worker's death, and a line for the user.

    Args:
        error: Error that Ray raised; None if it is not known.
        pid: Process id of the worker on its node, if known.
    """
    if isinstance(error, exceptions.OutOfMemoryError):
        return _memory(str(error), pid)
    if isinstance(error, exceptions.RayActorError) and error.preempted:
        return "lost", "the worker's node was preempted"
    if isinstance(error, NODE_LOST) or "its node has died" in str(error):
        return "lost", "the worker's node was lost"
    return "died", _crash(error)


def did_not_start(error: BaseException | None) -> bool:
    """Return whether a worker died before it could train, of an error of its own."""
    return isinstance(error, exceptions.RayActorError) and error.actor_init_failed


def _crash(error: BaseException | None) -> str:
    if isinstance(error, exceptions.RayTaskError):
        return f"the worker raised {type(error.cause).__name__}: {_line(error.cause)}"
    if did_not_start(error):
        return f"the worker did not start: {_line(error)}"
    text = "the worker process died: it crashed, was killed, or the machine is out of memory"
    if error is None or isinstance(error, exceptions.RayActorError):
        return text
    return f"{text} ({type(error).__name__}: {_line(error)})"


def _memory(text: str, pid: int | None) -> "tuple[Failure, str]":
    """Classify a death by Ray's memory monitor, which kills the workers that started last.

    A worker that used far less memory than another on its node is not to blame.
    """
    used = {int(process): float(memory) for process, memory in MEMORY_USE.findall(text)}
    memory = used.get(pid) if pid is not None else None
    if memory is not None and max(used.values()) >= MEMORY_RATIO * max(memory, 0.01):
        return "lost", "the node ran out of memory, which another worker used"
    amount = f" with {memory:g} GB" if memory is not None else ""
    return "memory", f"out of memory: the memory monitor of Ray killed the worker{amount}"


def _line(error: BaseException | None) -> str:
    """Return the last line of an error's text, which follows the traceback if it holds one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:LONGEST_TEXT] if lines else "no message"


class WorkerLost(exceptions.RayActorError):
    """Death of a worker that Ray reports as another error than the death of an actor."""


class Deaths:
    """Error of the worker whose death Tune is handling.

    Args:
        error: Error that Ray raised; None while Tune handles no death.
        node: Id of the node on which a worker did not start; None if it is not known.
    """

    def __init__(self, error: BaseException | None = None, node: str | None = None) -> None:
        self.error, self.node = error, node

    @contextlib.contextmanager
    def handling(self, error: BaseException, node: str | None = None) -> Iterator[None]:
        """Keep the error and the node while Tune handles them."""
        self.error, self.node = error, node
        try:
            yield
        finally:
            self.error = self.node = None


@contextlib.contextmanager
def survived() -> Iterator[Deaths]:
    """Let Tune survive every death of a worker; yield the error of the present one.

    Tune itself fails if a worker dies of anything but `RayActorError`, as one does that Ray's
    memory monitor kills.
    """
    deaths, controller = Deaths(), cast("Any", tune_controller)
    original = getattr(controller, "RayActorManager", None)
    if not hasattr(original, "_actor_task_failed") or not hasattr(original, "_actor_start_failed"):
        log.warning(
            "raysweep does not know this version of Ray: a worker that the memory monitor of Ray "
            "kills will end the session; set RAY_memory_monitor_refresh_ms=0 where Ray starts"
        )
        yield deaths
        return
    controller.RayActorManager = _manager(original, deaths)
    try:
        yield deaths
    finally:
        controller.RayActorManager = original


def _manager(base: Any, deaths: Deaths) -> Any:
    class Manager(base):
        """Tune's actor manager, which takes all errors but those of a task for deaths of actors."""

        def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
            handled = isinstance(exception, exceptions.RayActorError | exceptions.RayTaskError)
            with deaths.handling(exception):
                super()._actor_task_failed(
                    tracked_actor_task,
                    exception if handled else WorkerLost(error_msg=str(exception)),
                )

        def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
            with deaths.handling(exception, self._node(tracked_actor)):
                super()._actor_start_failed(tracked_actor, exception)

        def _node(self, tracked_actor: Any) -> str | None:
            """Return the node whose resources an actor holds."""
            _, held = self._live_actors_to_ray_actors_resources.get(tracked_actor, (None, None))
            if held is None or not hasattr(held, "placement_group"):
                return None
            table = placement_group_table(held.placement_group)
            return next(iter(table.get("bundles_to_node_id", {}).values()), None)

    return Manager

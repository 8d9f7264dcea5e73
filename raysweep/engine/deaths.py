"""Why workers die, by the errors of Ray; and a Tune that survives all of these errors."""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ray import exceptions
from ray.tune.execution import tune_controller

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
CONSIDERED = re.compile(r"pid=(\d+), actual memory used=([\d.]+)GB")
INNOCENT = 2.0  # another worker used that many times as much memory
LONGEST_TEXT = 300
log = logging.getLogger("raysweep")


def classify(error: BaseException | None, pid: int | None = None) -> "tuple[Failure, str]":
    """The kind of a worker's death, and a line for the user.

    Args:
        error: Ray's error; None if it is not known.
        pid: Process id of the worker on its node, if known.
    """
    if isinstance(error, exceptions.OutOfMemoryError):
        return _memory(str(error), pid)
    if isinstance(error, exceptions.RayActorError) and error.preempted:
        return "lost", "the worker's node was preempted"
    if isinstance(error, NODE_LOST) or "its node has died" in str(error):
        return "lost", "the worker's node was lost"
    return "died", _crash(error)


def _crash(error: BaseException | None) -> str:
    if isinstance(error, exceptions.RayTaskError):
        return f"the worker raised {type(error.cause).__name__}: {_line(error.cause)}"
    if isinstance(error, exceptions.RayActorError) and error.actor_init_failed:
        return f"the worker did not start: {_line(error)}"
    text = "the worker process died: it crashed, was killed, or the machine is out of memory"
    if error is None or isinstance(error, exceptions.RayActorError):
        return text
    return f"{text} ({type(error).__name__}: {_line(error)})"


def _memory(text: str, pid: int | None) -> "tuple[Failure, str]":
    """A death by Ray's memory monitor, which kills the workers that started last.

    One that used far less memory than another worker beside it is not to blame.
    """
    used = {int(each): float(memory) for each, memory in CONSIDERED.findall(text)}
    own = used.get(pid) if pid is not None else None
    if own is not None and max(used.values()) >= INNOCENT * max(own, 0.01):
        return "lost", "the node ran out of memory, which another worker used"
    told = f" with {own:g} GB" if own is not None else ""
    return "memory", f"out of memory: the memory monitor of Ray killed the worker{told}"


def _line(error: BaseException | None) -> str:
    """The last line of an error's text: what was raised, where it holds a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:LONGEST_TEXT] if lines else "no message"


class WorkerLost(exceptions.RayActorError):
    """A worker's death that Ray gives as another kind of error than the death of an actor."""


class Deaths:
    """The error of the worker whose death Tune handles at this moment.

    Args:
        error: Ray's error; None while no death is handled.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    @contextlib.contextmanager
    def handling(self, error: BaseException) -> Iterator[None]:
        """Keep the error while Tune handles it."""
        self.error = error
        try:
            yield
        finally:
            self.error = None


@contextlib.contextmanager
def survived() -> Iterator[Deaths]:
    """Let Tune survive every death of a worker; yields the error of the present one.

    Tune ends with an error of its own where a worker dies of anything but `RayActorError`: by
    Ray's memory monitor, for one.
    """
    deaths, controller = Deaths(), cast("Any", tune_controller)
    original = getattr(controller, "RayActorManager", None)
    if not hasattr(original, "_actor_task_failed") or not hasattr(original, "_actor_start_failed"):
        log.warning(
            "this version of Ray is not known to raysweep: a worker that is killed by the memory "
            "monitor of Ray ends the session; set RAY_memory_monitor_refresh_ms=0 where Ray starts"
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
        """Tune's actor manager; all errors that are not the task's own are deaths of the actor."""

        def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
            known = isinstance(exception, exceptions.RayActorError | exceptions.RayTaskError)
            with deaths.handling(exception):
                super()._actor_task_failed(
                    tracked_actor_task, exception if known else WorkerLost(error_msg=str(exception))
                )

        def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
            with deaths.handling(exception):
                super()._actor_start_failed(tracked_actor, exception)

    return Manager

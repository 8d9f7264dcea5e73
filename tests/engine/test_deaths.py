"""Why workers die, from the errors that Ray gives."""

import re

import pytest

pytest.importorskip("ray")

from ray import exceptions
from ray._raylet import ActorID
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo

from raysweep.engine.deaths import classify

OUT_OF_MEMORY = """2 worker(s) were killed due to the node running low on memory.
OOM kill reason: Memory usage 995696640B exceeded threshold of 505521248B
Ray killed 1 worker(s) based on the killing policy
Considered workers: [
Selected to kill: (Task: job ID=01000000, task name=PackTrainable.__init__, required resources={}, \
pid=903, actual memory used=0.31GB, worker ID=f7fb)
(Task: job ID=01000000, task name=PackTrainable.__init__, required resources={}, \
pid=902, actual memory used=4.20GB, worker ID=03a7)
]"""
WORKER_DIED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
)
NODE_DIED = "The actor died because its node has died. Node Id: 81fa\n\tterminated unexpectedly"


def died(message, **keys):
    """The error of a dead actor, as Ray builds it."""
    actor = ActorID.from_random().binary()
    context = ActorDiedErrorContext(error_message=message, actor_id=actor, **keys)
    return exceptions.ActorDiedError(context)


def preempted():
    info = NodeDeathInfo(reason=NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED)
    return died(NODE_DIED, node_death_info=info)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (died(WORKER_DIED), "died", "the worker process died"),
        (died(NODE_DIED), "lost", "node was lost"),
        (preempted(), "lost", "node was preempted"),
        (exceptions.NodeDiedError("gone"), "lost", "node was lost"),
        (exceptions.ActorUnavailableError("network", None), "lost", "node was lost"),
        (exceptions.OutOfMemoryError("low"), "memory", "out of memory"),
        (exceptions.WorkerCrashedError(), "died", "the worker process died"),
        (exceptions.RuntimeEnvSetupError("no such package"), "died", "no such package"),
        (None, "died", "the worker process died"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_death_is_lost_memory_or_died(error, kind, text):
    assert classify(error)[0] == kind
    assert text in classify(error)[1]


def test_a_worker_that_used_the_memory_is_to_blame():
    error = exceptions.OutOfMemoryError(OUT_OF_MEMORY)
    kind, text = classify(error, 902)
    assert kind == "memory"
    assert re.search(r"out of memory.* killed .* 4\.2 GB", text)


def test_a_worker_that_was_killed_for_the_memory_of_another_is_not_to_blame():
    kind, text = classify(exceptions.OutOfMemoryError(OUT_OF_MEMORY), 903)
    assert kind == "lost"
    assert re.search(r"out of memory.* another worker", text)


def test_a_worker_of_which_the_memory_is_not_known_is_to_blame():
    assert classify(exceptions.OutOfMemoryError(OUT_OF_MEMORY), 77)[0] == "memory"

"""Nodes of the cluster: those that can train, and those that are left out with the reason.

Every node with room for a worker is asked by a task, when the session starts or when the node
joins: whether it has the driver's software, and whether it reads and writes the store. Workers are
kept off the others by the label that Ray gives to each node.
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raysweep.engine.cluster import named

# After `cluster`, which sets what Ray reads from the environment when it is imported.
import ray  # isort: skip
from ray.tune.execution import class_cache  # isort: skip
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip

from raysweep.engine import capacity, growth, node_facts
from raysweep.errors import ClusterError
from raysweep.sweep.options import Resources
from raysweep.sweep.packs import MAX_PACK_BYTES
from raysweep.text import some

SAY_S = 5.0  # after which the start of a session says what it knows
POLL_S = 2.0  # between two looks at the nodes
LATE_S = 10.0  # after which a node that does not answer is named
ANSWER_S = 30.0  # after which it is left out until it answers
SILENT_S = 60.0  # after which the session ends if no other node can train
AGAIN_S = 60.0  # after which a node that is left out is asked again
GROUP_LABEL = "ray.io/node-group"  # of nodes that an autoscaler or KubeRay started
HEAD_RESOURCE = "node:__internal_head__"  # of the head, by Ray itself
MOST_NAMED = 3  # nodes in one message
log = logging.getLogger("raysweep")


@dataclasses.dataclass
class Node:
    """A node of the cluster with room for a worker.

    Args:
        node_id: Ray's id of the node.
        name: Host name and address of the node, as messages name it.
        totals: Resources of the node, as Ray names them.
        asked: Monotonic time of the last question.
        reference: Reference to the answer; None if there is no question open.
        reason: Reason why it is left out; None if it is not.
        kind: Kind of the reason: `software`, `store`, `worker` or `late`.
        is_late: Whether it was named because it did not answer.
        has_trained: Whether a worker has started there in this session.
        gpu_bytes: Memory of one of its GPUs; None if it is not known.
    """

    node_id: str
    name: str
    totals: Mapping[str, float]
    asked: float
    reference: Any = None
    reason: str | None = None
    kind: str = ""
    is_late: bool = False
    has_trained: bool = False
    gpu_bytes: int | None = None


class Nodes:
    """Nodes of the cluster with room for a worker.

    Args:
        resources: Resources of one worker.
        store: Path or URI of the store, the sweep's name, and the token of the driver's lease;
            None for a Ray that the driver started for itself, whose only node needs no check.
        limit: Largest estimated memory of a pack; None if workers measure their devices.
    """

    def __init__(
        self,
        resources: Resources,
        store: tuple[str, str, str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.resources, self.store, self.limit = resources, store, limit
        self.expected = node_facts.facts() if store is not None else {}
        self._known: dict[str, Node] = {}
        self._looked = -POLL_S
        self._starting = False
        self._unsaid: list[str] | None = None  # lines that an error would repeat
        self._question = ray.remote(
            max_retries=0, num_cpus=0, runtime_env={"env_vars": _environment()}
        )(node_facts.report)

    def begin(self) -> None:
        """Ask all nodes, and wait for their answers.

        Raises:
            ClusterError: If a node cannot use the store, no node can train, or none has room for a
                worker and none will be added.
        """
        began, self._starting, self._unsaid = time.monotonic(), True, []
        self.check()
        if not self._known:
            self._require_growth()
        while waiting := self._waited_for():
            ray.wait([node.reference for node in waiting], timeout=0.1)
            self.check()
            if time.monotonic() - began > SAY_S:
                self._say_all()
        problems = [node for node in self._known.values() if node.kind == "store"]
        if problems:
            raise ClusterError(_reasons(problems), field="store")
        self._starting = False
        self._say_all()

    def _say(self, line: str) -> None:
        if self._unsaid is None:
            log.warning("%s", line)
        else:
            self._unsaid.append(line)

    def _say_all(self) -> None:
        lines, self._unsaid = self._unsaid or [], None
        for line in lines:
            log.warning("%s", line)

    def _waited_for(self) -> list[Node]:
        """Return the nodes whose answers the start of a session waits for."""
        asked = [node for node in self._known.values() if node.reference is not None]
        in_time = [node for node in asked if node.kind != "late"]
        return in_time if self._usable() else asked

    def _require_growth(self) -> None:
        """Say that the session waits for nodes with room for a worker.

        Raises:
            ClusterError: If the cluster has no autoscaler.
        """
        wanted = f"cpu {self.resources.cpu:g} and gpu {self.resources.gpu:g}"
        if not _can_grow():
            totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            largest = ", ".join(
                f"{name} {max((total.get(name, 0) for total in totals), default=0):g}"
                for name in ("CPU", "GPU")
            )
            raise ClusterError(
                f"resources: a worker needs {wanted}, but no node of the cluster has both (at "
                f"most {largest}); lower resources in the sweep file, or join a larger cluster by "
                "its address"
            )
        self._say(f"no node has {wanted} yet; waiting until the cluster has grown")

    def check(self) -> None:
        """Look for nodes that joined or left, and read answers; it does little most of the time.

        Raises:
            ClusterError: If every node with room for a worker is left out.
        """
        now = time.monotonic()
        if now - self._looked >= POLL_S:
            self._looked = now
            self._look(now)
        if self.store is not None:
            self._read(now)
            self._refuse_if_none_is_left(now)

    def _look(self, now: float) -> None:
        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        names = named(alive.values())
        for node_id in self._known.keys() - alive.keys():
            del self._known[node_id]
        for node_id, described in alive.items():
            totals = described["Resources"]
            if node_id not in self._known and capacity.workers_on(totals, self.resources) > 0:
                node = self._known[node_id] = Node(node_id, names[node_id], totals, now)
                self._ask(node, now)
        for node in self._known.values():
            is_due = node.reference is None and now - node.asked > AGAIN_S
            if is_due and node.kind in ("software", "store"):  # it may have been mended
                self._ask(node, now)

    def _ask(self, node: Node, now: float) -> None:
        if self.store is None:
            return
        node.asked = now
        strategy = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        with _sent_by_code():
            node.reference = self._question.options(scheduling_strategy=strategy).remote(
                self.expected, self.store, self.resources.gpu
            )

    def _read(self, now: float) -> None:
        """Read the answers that have come, and name nodes that do not answer."""
        open_questions = {n.reference: n for n in self._known.values() if n.reference is not None}
        if not open_questions:
            return
        references = list(open_questions)
        ready, late = ray.wait(references, num_returns=len(references), timeout=0)
        for reference in ready:
            node = open_questions[reference]
            node.reference = None
            self._take(node, reference)
        for reference in late:
            self._note_late(open_questions[reference], now)

    def _take(self, node: Node, reference: Any) -> None:
        """Take a node's answer."""
        try:
            answer = ray.get(reference)
            trouble, node.gpu_bytes = answer["trouble"], answer["gpu_bytes"]
            if answer["note"] is not None and not trouble:
                self._say(f"{node.name}: {answer['note']}")
        except ray.exceptions.RayTaskError as error:
            trouble = {"software": f"raysweep fails there: {_last_line(error)}; install it anew"}
        except ray.exceptions.RayError:
            self._known.pop(node.node_id)  # it is lost; asked again if it is still there
            return
        for kind, text in trouble.items():
            self._leave_out(node, kind, text)
        if trouble:
            return
        if node.kind == "worker":  # it answers well, but workers do not start there
            self._say(f"{node.name} is left out: {node.reason}")
        elif node.reason is not None:
            self._say(f"{node.name} can train now")
            node.reason, node.kind = None, ""

    def _leave_out(self, node: Node, kind: str, text: str) -> None:
        is_new = node.kind != kind
        node.reason, node.kind = text, kind
        if is_new and not (self._starting and kind == "store"):  # which ends the start
            self._say(f"{node.name} is left out: {text}")

    def _note_late(self, node: Node, now: float) -> None:
        waited = now - node.asked
        if waited > LATE_S and not node.is_late:
            node.is_late = True
            self._say(f"{node.name} has not answered for {waited:.0f} s; waiting for it")
        if waited > ANSWER_S and node.reason is None:
            self._leave_out(node, "late", f"it has not answered for {waited:.0f} s")

    def _refuse_if_none_is_left(self, now: float) -> None:
        nodes = list(self._known.values())
        refusing = [n for n in nodes if n.reason and (n.kind != "late" or now - n.asked > SILENT_S)]
        if nodes and len(refusing) == len(nodes):
            field = "store" if all(node.kind == "store" for node in nodes) else None
            raise ClusterError(f"no node can train: {_reasons(nodes)}", field=field)

    def name(self, node_id: str | None) -> str | None:
        """Return the name of a node for messages; None if the cluster has no other."""
        node = self._known.get(node_id or "")
        return node.name if node is not None and len(self._known) > 1 else None

    def began(self, node_id: str) -> None:
        """Note that a worker has started on a node."""
        if (node := self._known.get(node_id)) is not None:
            node.has_trained = True

    def refused(self, node_id: str | None, kind: str, text: str) -> bool:
        """Leave a node out for which a worker gave a reason, unless no other can train.

        Args:
            node_id: Node of the worker; None if it is not known.
            kind: Kind of the reason.
            text: Reason in one line.

        Returns:
            Whether the node is left out.
        """
        node = self._known.get(node_id or "")
        others = any(n.reason is None for n in self._known.values() if n is not node)
        if node is None or not others or (kind == "worker" and node.has_trained):
            return False
        if node.reason is None and node.reference is not None and kind == "worker":
            node.reason, node.kind = text, kind  # its answer will give a better reason
        elif node.reason is None:
            self._leave_out(node, kind, text)
        return True

    @property
    def left_out(self) -> list[str]:
        """Ids of the nodes that are left out."""
        return sorted(node.node_id for node in self._known.values() if node.reason is not None)

    def memory(self, node_id: str | None) -> int | None:
        """Return the memory of a worker's device on a node; None if it is not known."""
        node = self._known.get(node_id or "")
        return None if node is None else self._memory(node)

    def _memory(self, node: Node) -> int | None:
        return capacity.worker_bytes(node.totals, self.resources, node.gpu_bytes)

    def smaller(self, most: float) -> list[str]:
        """Return the ids of the nodes on which a worker has at most so much memory.

        There are none if no node that can train has more.
        """
        if not self.has_more(most):
            return []
        return [node.node_id for node in self._usable() if (self._memory(node) or most + 1) <= most]

    def has_more(self, most: float) -> bool:
        """Return whether workers have more memory than that on a node, or it is not known."""
        return any((self._memory(node) or most + 1) > most for node in self._usable())

    def _usable(self) -> list[Node]:
        return [node for node in self._known.values() if node.reason is None]

    def workers(self) -> int:
        """Return how many packs the cluster can train now, at least one."""
        totals = [node.totals for node in self._usable()]
        return max(1, sum(capacity.workers_on(total, self.resources) for total in totals))

    def workers_to_come(self) -> int:
        """Return how many packs the cluster can train once it has grown, as far as it is known."""
        config = ray._private.state.state.get_cluster_config()
        if config is not None:
            return max(self.workers(), growth.most_by_message(config, self.resources))
        here = ray.get_runtime_context().get_node_id()
        for node in ray.nodes():
            is_head = node["NodeID"] == here and HEAD_RESOURCE in node["Resources"]
            if is_head and node["Labels"].get(GROUP_LABEL):
                more = growth.most_by_file(Path.home(), self.resources)
                present = capacity.workers_on(node["Resources"], self.resources)
                return max(self.workers(), present + more)
        return self.workers()

    def pack_bytes(self) -> int:
        """Return the largest estimated memory of a pack on any of the nodes."""
        if self.limit is not None:
            return self.limit
        sizes = [
            capacity.pack_bytes(node.totals, self.resources, node.gpu_bytes)
            for node in self._usable()
        ]
        return max(sizes, default=MAX_PACK_BYTES)


def _reasons(nodes: Iterable[Node]) -> str:
    """Return why nodes are left out, each reason once with the nodes of which it holds."""
    names: dict[str, list[str]] = {}
    for node in nodes:
        names.setdefault(node.reason or "", []).append(node.name)
    texts = [f"{some(those, MOST_NAMED)}: {reason}" for reason, those in names.items()]
    return "; ".join(texts[:MOST_NAMED])


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _environment() -> dict[str, str]:
    """Return the variables that Tune gives to workers; an answer must not depend on others.

    Ray may then use the process of an answer for a worker.
    """
    names = class_cache.ENV_VARS_TO_PROPAGATE & os.environ.keys()
    return {**class_cache.DEFAULT_ENV_VARS, **{name: os.environ[name] for name in names}}


@contextlib.contextmanager
def _sent_by_code() -> Iterator[None]:
    """Let Ray send functions of `node_facts` as code, as nodes may lack raysweep."""
    ray.cloudpickle.register_pickle_by_value(node_facts)
    try:
        yield
    finally:
        ray.cloudpickle.unregister_pickle_by_value(node_facts)


def _can_grow() -> bool:
    """Return whether the cluster has an autoscaler, as far as it is known."""
    if ray._private.state.state.get_cluster_config() is not None:
        return True
    return any(node["Labels"].get(GROUP_LABEL) for node in ray.nodes() if node["Alive"])

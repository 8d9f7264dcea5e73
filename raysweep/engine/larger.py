"""Choice of nodes by memory, for runs of which not even one fits on every node."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from raysweep.engine.hangs import HangWatch
from raysweep.engine.memory import run_bytes
from raysweep.sweep.packs import Pack

if TYPE_CHECKING:
    from raysweep.engine.nodes import Nodes

MORE = 1.05  # nodes of one kind differ a little in the memory that Ray counts
log = logging.getLogger("raysweep")


class LargerDevices:
    """Memory that runs need at least: by their estimate, or because one ran out of less.

    Args:
        nodes: Nodes of the cluster.
    """

    def __init__(self, nodes: "Nodes") -> None:
        self.nodes = nodes
        self._too_small: dict[tuple[str, ...], float] = {}  # memory by kind of run
        self._bound: set[str] = set()  # packs that wait for a larger node

    def note(self, pack: Pack, node_id: str | None) -> bool:
        """Note that memory ran out; return whether a node with more can try the pack again.

        Args:
            pack: The pack that ran out of memory.
            node_id: Node on which it trained; None if it is not known.
        """
        memory = self.nodes.memory(node_id)
        if len(pack.runs) > 1 or not memory or not self.nodes.smaller(memory * MORE):
            return False
        log.warning(
            "run %s does not fit on %s; such runs train on nodes with more memory from now on",
            pack.runs[0].run_id,
            self.nodes.name(node_id),
        )
        self._too_small[_kind(pack, run_bytes(pack))] = memory * MORE
        return True

    def too_small(self, pack: Pack) -> list[str]:
        """Return the ids of nodes on which no run of the pack fits, unless it fits on none."""
        small = self.nodes.smaller(self._needed(pack))
        if small:
            self._bound.add(pack.pack_id)
        return small

    def _needed(self, pack: Pack) -> float:
        size = run_bytes(pack)
        return max(size, self._too_small.get(_kind(pack, size), 0.0))

    def remind(self, packs: Iterable[Pack], hangs: HangWatch) -> None:
        """Say once which runs wait for a larger node that is no longer there.

        Args:
            packs: Packs in flight.
            hangs: Watch that knows the packs that have begun to train.
        """
        for pack in packs:
            has_begun = hangs.process(pack.pack_id)[1] is not None
            if pack.pack_id not in self._bound or has_begun:
                continue
            needed = self._needed(pack)
            if not self.nodes.has_more(needed):
                self._bound.remove(pack.pack_id)
                log.warning(
                    "run %s waits for a node with more than %.1f GiB of memory for a worker; add "
                    "one to the cluster, or stop the session",
                    pack.runs[0].run_id,
                    needed / 2**30,
                )


def _kind(pack: Pack, size: int) -> tuple[str, ...]:
    """Return what runs have in common that need the same memory; one run where it is not known."""
    return (pack.task, pack.estimator, str(size) if size > 1 else pack.runs[0].run_id)

"""Load of the cluster for pages: asked for in a thread, so that no page waits for the cluster."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from raysweep.engine.jobs import Load
from raysweep.errors import ClusterError

FRESH_S = 5.0
TRUSTED_S = 30.0  # after which an old answer is shown no longer

log = logging.getLogger("raysweep.service")


@dataclasses.dataclass(frozen=True)
class Shown:
    """Load of the cluster, as far as it is known.

    Args:
        load: The load; None if it is not known.
        is_silent: Whether the cluster did not answer.
    """

    load: Load | None = None
    is_silent: bool = False


class ClusterLoad:
    """Load of a cluster, asked for at most every few seconds.

    Args:
        ask: Function that asks the cluster for its load.
    """

    def __init__(self, ask: Callable[[], Load]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._shown, self._at = Shown(), float("-inf")
        self._began: float | None = None  # of a question without an answer so far

    def shown(self) -> Shown:
        """Return the load as it was known last; ask for it again if that is too old."""
        now = time.monotonic()
        with self._lock:
            shown, began = self._shown, self._began
            if began is None and now - self._at >= FRESH_S:
                self._began = now
                threading.Thread(target=self._refresh, name="raysweep-load", daemon=True).start()
        is_old = now - self._at > TRUSTED_S and began is not None and now - began > FRESH_S
        return Shown(None, is_silent=True) if is_old else shown

    def _refresh(self) -> None:
        try:
            shown = Shown(self._ask())
        except ClusterError as error:
            log.info("%s", error)
            shown = Shown(None, is_silent=True)
        with self._lock:
            self._shown, self._at, self._began = shown, time.monotonic(), None

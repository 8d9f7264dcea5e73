"""Watchdog for a session whose Ray is gone, since Tune would wait for Ray forever."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

PROBE_S = 5.0  # between two probes of Ray
SILENCE_S = 30  # seconds; Ray itself ends the process after 60 s without its head node
GRACE_S = 10.0  # for the session to end by itself, before the process is killed
RELEASE_S = 10.0
CURSOR = "\x1b[?25h"  # shows the cursor, which a live panel hides


class RayGone(BaseException):
    """Exception for a Ray that can no longer be used.

    Not an `Exception`: Tune would first wait for workers that cannot answer.
    """


class RayWatch:
    """Watchdog over Ray; a context manager that must outlive the connection.

    `check` raises in the session's own thread once Ray is gone. If that thread hangs in Ray, the
    lease is released and the process is killed.

    Args:
        release: Function that releases the lease.
        silence_s: Seconds without an answer after which Ray counts as gone.
        grace_s: Seconds for the session to end by itself.
    """

    def __init__(
        self,
        release: Callable[[], None],
        *,
        silence_s: float = SILENCE_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self.release, self.silence_s, self.grace_s = release, silence_s, grace_s
        self.reason: str | None = None
        self._answered = threading.Event()
        self._quiet, self._ended = threading.Event(), threading.Event()

    def __enter__(self) -> "RayWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    @contextlib.contextmanager
    def asking(self, probe: Callable[[], bool]) -> Iterator[None]:
        """Watch Ray while the context lasts.

        Args:
            probe: Function that returns whether this node is alive; may block, or raise
                `OSError` if Ray does not answer.
        """
        asker = threading.Thread(target=self._ask, args=(probe,), daemon=True)
        asker.start()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield
        finally:
            self._quiet.set()
            asker.join(1.0)  # Ray is about to be shut down

    def check(self) -> None:
        """Raise once Ray is gone.

        Raises:
            RayGone: If Ray is gone; the message gives the reason and the remedy.
        """
        if self.reason is not None:
            raise RayGone(self.reason)

    def _ask(self, probe: Callable[[], bool]) -> None:
        """Probe Ray repeatedly, in a thread of its own since an answer may never come."""
        while not self._quiet.is_set():
            try:
                alive = probe()
            except Exception:  # noqa: BLE001 - any error means no answer
                alive = None
            if self._quiet.is_set():
                return
            if alive:
                self._answered.set()
            elif alive is not None:
                self.reason = _line("its node on this machine died")
                return
            self._quiet.wait(PROBE_S)

    def _watch(self) -> None:
        silent = 0.0
        # Counted in ticks, not by the clock: a suspended process receives no answers.
        while self.reason is None and not self._quiet.wait(1.0):
            silent = 0.0 if self._answered.is_set() else silent + 1.0
            self._answered.clear()
            if silent >= self.silence_s:
                self.reason = _line(f"its head node has not answered for {silent:.0f} s")
        if self.reason is not None and not self._ended.wait(self.grace_s):
            self._end()

    def _end(self) -> None:
        release = threading.Thread(target=self.release, daemon=True)
        release.start()
        release.join(RELEASE_S)
        if self._ended.is_set():
            return
        sys.stderr.write(f"{CURSOR if sys.stderr.isatty() else ''}raysweep: {self.reason}\n")
        sys.stderr.flush()
        os._exit(1)


def _line(event: str) -> str:
    return f"Ray is gone: {event}; run the same command again to resume from the checkpoints"

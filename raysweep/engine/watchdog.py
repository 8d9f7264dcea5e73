"""Ends a session whose Ray is gone: Tune would wait for it forever, or Ray end the process."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

PROBE_S = 5.0  # between two questions to Ray
SILENCE_S = 30  # seconds; Ray itself ends the process after 60 s without its head node
GRACE_S = 10.0  # for the session to end by itself before the process is ended
RELEASE_S = 10.0
CURSOR = "\x1b[?25h"  # shows it again: a live panel hides it


class RayGone(BaseException):
    """Ray cannot be used any more.

    Not an `Exception`: Tune would first wait for workers that cannot answer.
    """


class RayWatch:
    """A watchdog over Ray; a context manager that has to outlive the connection.

    The session's own thread learns from `check` that Ray is gone. Where that thread hangs in Ray,
    the process is ended, after the lease was released.

    Args:
        release: Gives the lease up.
        silence_s: Seconds without an answer after which Ray counts as gone.
        grace_s: Seconds that the session has to end by itself.
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
            probe: Asks Ray whether this node is alive; may block, or raise `OSError` where
                nobody answers.
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
            RayGone: With a line that says what happened and what to do.
        """
        if self.reason is not None:
            raise RayGone(self.reason)

    def _ask(self, probe: Callable[[], bool]) -> None:
        """Ask again and again, in a thread of its own since an answer may never come."""
        while not self._quiet.is_set():
            try:
                alive = probe()
            except Exception:  # noqa: BLE001 - no answer, whatever the reason
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
        # Counted in ticks, not by the clock: a suspended process has not been listening.
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


def _line(what: str) -> str:
    return f"Ray is gone: {what}; run the same command again to resume from the checkpoints"

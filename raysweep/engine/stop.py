"""Clean stops: SIGINT, SIGTERM and SIGHUP set a flag, and a watchdog ends what hangs."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHDOG_S = 15.0


class StopFlag:
    """Set by a signal; a context manager that installs and restores the handlers.

    Where a signal reached the whole process group, Ray's own processes are gone and the driver
    would wait for them a minute: the watchdog ends it, which loses no more than a kill would.
    A second signal ends the driver at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return 128 + (self.signal or 0)

    def __enter__(self) -> "StopFlag":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self._end()
        self.signal = number
        self._timer = threading.Timer(WATCHDOG_S, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        sys.stderr.write(
            "raysweep: stopped without waiting; checkpoints up to the last one are "
            "kept, the same command goes on from there\n"
        )
        sys.stderr.flush()
        os._exit(self.exit_code)

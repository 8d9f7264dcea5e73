"""Clean stops: SIGINT, SIGTERM and SIGHUP set a flag, and a watchdog ends what hangs."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from raysweep.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHDOG_S = 15.0


class StopFlag:
    """Set by a signal; a context manager that installs and restores the handlers.

    Before `train` a signal ends the session at once, as there is nothing to put down yet.

    Where a signal reached the whole process group, Ray's own processes are gone and the driver
    would wait for them a minute: the watchdog ends it, which loses no more than a kill would.
    A second signal ends the driver at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        self._training = False

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return 128 + (self.signal or 0)

    def __enter__(self) -> "StopFlag":
        self._before = self._install()
        return self

    def train(self) -> None:
        """From here on packs train, and a signal waits for them; Ray's own handlers go."""
        self._install()
        self._training = True

    def _install(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._handle) for number in SIGNALS}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self and isinstance(error, KeyboardInterrupt | SystemExit):
            raise Stopped(self.exit_code) from error  # Ray may have made another error of it

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self._end()
        self.signal = number
        if not self._training:
            raise Stopped(self.exit_code)
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

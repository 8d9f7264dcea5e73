"""Clean stops: SIGINT, SIGTERM and SIGHUP set a flag, and a watchdog ends what hangs."""

import contextlib
import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import Any

from raysweep.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHDOG_S = 15.0
POLL_S = 0.2


class StopFlag:
    """Set by a signal; a context manager that installs and restores the handlers.

    Before `train` a signal ends the session at once, as there is nothing to save yet. While Ray
    starts, its own handler may get the signal and raise where Python drops what is raised, or
    where a lock is being taken that nobody then releases; a thread that reads every signal from a
    pipe makes sure that the session ends all the same.

    Where a signal reached the whole process group, Ray's own processes are gone and the driver
    would wait for them a minute: the watchdog ends it, which loses no more than a kill would.
    A second signal ends the driver at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        self._training = self._closing = False
        self._pipe: tuple[int, int] | None = None  # signals as they come, whoever handles them
        self._reader: threading.Thread | None = None
        self._arrived: list[int] = []
        self._lock = threading.Lock()
        self._wakeup_before = -1

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return 128 + (self.signal or next(iter(self._arrived), 0))

    def __enter__(self) -> "StopFlag":
        self._before = self._install()
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            for end in self._pipe:
                os.set_blocking(end, False)
            self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            self._reader = threading.Thread(target=self._read, name="raysweep-signals", daemon=True)
            self._reader.start()
        return self

    def train(self) -> None:
        """From here on packs train, and a signal waits for them; Ray's own handlers go.

        Raises:
            Stopped: If a signal came while Ray started, and was lost on the way: Ray's handler
                raises `SystemExit`, which Python drops where it comes in a finaliser.
        """
        self._install()
        if missed := self._came():
            self.signal = missed[0]
            raise Stopped(self.exit_code)
        self._training = True

    def _came(self) -> list[int]:
        """The signals that came since the handlers were first installed."""
        with self._lock:
            if self._pipe is not None:
                with contextlib.suppress(BlockingIOError):
                    found = os.read(self._pipe[0], 4096)
                    self._arrived += [number for number in found if number in SIGNALS]
            return list(self._arrived)

    def _read(self) -> None:
        """Starts the watchdog at the first signal, whoever handled it and whatever came of that."""
        pipe = self._pipe
        while pipe is not None and not self._closing:
            select.select([pipe[0]], [], [], POLL_S)
            came = self._came()
            if came and not self._training:
                self._start_watchdog()  # `signal` is left alone: the handler may be about to set it
                return

    def _install(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._handle) for number in SIGNALS}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        self._closing = True
        if self._reader is not None:
            self._reader.join()
        if self._timer is not None:  # the thread may have started it meanwhile
            self._timer.cancel()
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            for end in self._pipe:
                os.close(end)
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
        self._start_watchdog()

    def _start_watchdog(self) -> None:
        self._timer = threading.Timer(WATCHDOG_S, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        sys.stderr.write(
            "raysweep: stopped immediately; run the same command again to resume from the last "
            "checkpoints\n"
        )
        sys.stderr.flush()
        os._exit(self.exit_code)

"""Clean stops: SIGINT, SIGTERM and SIGHUP set a flag, and a watchdog ends a hung driver."""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from raysweep.engine.children import protect_children
from raysweep.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPING = "stopping: packs save their state; once more ends at once"
CURSOR = b"\n\x1b[?25h"  # below a live panel, and shown again
WATCHDOG_S = 15.0
POLL_S = 0.2


class StopFlag:
    """Flag that a signal sets; a context manager that installs and restores the handlers.

    Before `train` a signal ends the session at once, as there is nothing to save yet. While Ray
    starts, its own handler may receive the signal and raise an exception that Python drops, or
    raise while a lock is taken, which then stays locked; a thread that reads every signal from a
    pipe ends the session in these cases.

    A signal to the whole process group also ends Ray's processes, for which the driver would wait
    a minute: the watchdog ends the driver, which loses no more than a kill would. A second signal
    ends the driver at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        self._training = self._closing = False
        self._pipe: tuple[int, int] | None = None  # every signal, whichever handler receives it
        self._reader: threading.Thread | None = None
        self._arrived: list[int] = []
        self._lock = threading.Lock()
        self._wakeup_before = -1
        self._show: Callable[[str], bool] | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """Exit code of shells for a signal: 128 plus its number."""
        return 128 + (self.signal or next(iter(self._arrived), 0))

    def __enter__(self) -> "StopFlag":
        self._before = self._install()
        protect_children()
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            for end in self._pipe:
                os.set_blocking(end, False)
            self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            self._reader = threading.Thread(target=self._read, name="raysweep-signals", daemon=True)
            self._reader.start()
        return self

    def train(self, show: Callable[[str], bool] | None = None) -> None:
        """Replace Ray's handlers; from now on a signal lets packs save their state.

        Args:
            show: Function that shows a line without writing it, as a live panel does, and returns
                whether it will; the handler of a signal calls it.

        Raises:
            Stopped: If a signal came while Ray started, and was lost: Ray's handler raises
                `SystemExit`, which Python drops inside a finaliser.
        """
        self._show = show
        self._install()
        if signals := self._signals():
            self.signal = signals[0]
            raise Stopped(self.exit_code)
        self._training = True

    def _signals(self) -> list[int]:
        """Return the signals that arrived since the handlers were first installed."""
        with self._lock:
            if self._pipe is not None:
                with contextlib.suppress(BlockingIOError):
                    numbers = os.read(self._pipe[0], 4096)
                    self._arrived += [number for number in numbers if number in SIGNALS]
            return list(self._arrived)

    def _read(self) -> None:
        """Start the watchdog at the first signal, even if its handler failed."""
        pipe = self._pipe
        while pipe is not None and not self._closing:
            select.select([pipe[0]], [], [], POLL_S)
            if self._signals() and not self._training:
                self._start_watchdog()  # without `signal`, which the handler may be about to set
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
            self._wake_reader()
            self._reader.join()
        if self._timer is not None:  # the thread may just have started it
            self._timer.cancel()
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            for end in self._pipe:
                os.close(end)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self and isinstance(error, KeyboardInterrupt | SystemExit):
            raise Stopped(self.exit_code) from error  # Ray may have raised it as another error

    def _wake_reader(self) -> None:
        """Let the thread see at once that the session has ended."""
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):  # full of signals, which wake it as well
                os.write(self._pipe[1], b"\0")

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self._end()
        self.signal = number
        if not self._training:
            raise Stopped(self.exit_code)
        if self._show is None or not self._show(STOPPING):
            # Not by `sys.stderr`, which the signal may have interrupted in the middle of a write.
            os.write(2, f"\nraysweep: {STOPPING}\n".encode())
        self._start_watchdog()

    def _start_watchdog(self) -> None:
        self._timer = threading.Timer(WATCHDOG_S, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        message = (
            "raysweep: stopped immediately; run the same command again to resume from the last "
            "checkpoints\n"
        )
        os.write(2, (CURSOR if os.isatty(2) else b"") + message.encode())
        os._exit(self.exit_code)

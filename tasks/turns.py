"""A function in a thread of its own that runs only while its caller waits for it."""

import threading
from collections.abc import Callable
from typing import Any

CLOSING_S = 10.0  # how long the end of a function is waited for


class Closed(BaseException):
    """The caller has closed the function, which must end; `except Exception` does not catch it."""


class Turns:
    """Function that can pause itself, and is then resumed by its caller.

    Caller and function never run at the same time. A thread keeps apart what belongs to threads:
    torch's gradient mode and device, decimal contexts, and the like.

    Args:
        function: Function to call, in a new thread.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._to_function, self._to_caller = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._closing = False
        self._error: BaseException | None = None
        self.is_done = False
        self.result: Any = None

    def resume(self) -> None:
        """Let the function run until it pauses or returns.

        Raises:
            BaseException: What the function raises.
        """
        if self.is_done:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="raysweep-run", daemon=True)
            self._thread.start()
        else:
            self._to_function.release()
        self._to_caller.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def pause(self) -> None:
        """Return to the caller, until it resumes the function; called by the function.

        Raises:
            Closed: If the caller has closed it.
        """
        if threading.current_thread() is not self._thread:
            raise RuntimeError("run.steps must be used in the thread that called the function")
        if self._closing:
            raise Closed
        self._to_caller.release()
        self._to_function.acquire()
        if self._closing:
            raise Closed

    def close(self) -> None:
        """End the function where it has paused; `finally` blocks and context managers do run."""
        if self._thread is None or self.is_done:
            self.is_done = True
            return
        self._closing = True
        self._to_function.release()
        self._thread.join(CLOSING_S)
        self.is_done = True

    def _run(self) -> None:
        try:
            self.result = self._function()
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self._error = error
        finally:
            self.is_done = True
            self._to_caller.release()

"""Retries of store operations that fail for a while: transient errors and pauses."""

import errno
import functools
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from raysweep.errors import DamagedFile, StoreError

PATIENCE_S = 60.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
# Errors of a local or network file system; a full disk or a missing permission is permanent.
_TRANSIENT = {errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR}
# Texts of a bucket's errors; an expired token is left out, as its issuer renews it.
_PERMANENT = re.compile(
    r"NO_SUCH_BUCKET|NO_SUCH_KEY|RESOURCE_NOT_FOUND|ACCESS_DENIED(?!.*No response body)"
    r"|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_SIGNATURE|INVALID_CLIENT_TOKEN_ID"
    r"|MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT|VALIDATION|PERMISSION_DENIED|NOT_FOUND",
    re.DOTALL,
)

_Result = TypeVar("_Result")
_Method = TypeVar("_Method", bound=Callable[..., Any])


class PassingError(StoreError):
    """Transient error, regardless of its cause."""


def is_transient(error: StoreError, *, is_local: bool) -> bool:
    """Return whether the same operation may succeed a little later.

    Args:
        error: Error of the operation, raised from the file system's error.
        is_local: Whether the file system is mounted here, and not a bucket.
    """
    if isinstance(error, PassingError):
        return True
    if isinstance(error, DamagedFile):
        return False
    cause = error.__cause__
    if not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError | PermissionError):
        return False
    if is_local:
        return cause.errno in _TRANSIENT
    return cause.errno != errno.ENOSPC and not _PERMANENT.search(str(cause))


class Patience:
    """Policy of retries with growing pauses, for up to a minute.

    Args:
        guard: Function that raises if this process may no longer write; called before each try of
            a write.
        patience_s: Time after which the last error is raised.
        clock: Function that returns monotonic seconds.
        sleep: Function that pauses for a number of seconds.
    """

    def __init__(
        self,
        guard: Callable[[], None] | None = None,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.guard, self.patience_s = guard, patience_s
        self._clock, self._sleep = clock, sleep

    def call(self, action: Callable[[], _Result], *, is_local: bool, writes: bool) -> _Result:
        """Return the action's result; try it until it succeeds or its error is permanent.

        Raises:
            StoreError: If the last try failed; with the time spent on trying.
        """
        began = self._clock()
        pause = FIRST_PAUSE_S
        while True:
            try:
                if writes and self.guard is not None:
                    self.guard()
                return action()
            except StoreError as error:
                if not is_transient(error, is_local=is_local):
                    raise
                waited = self._clock() - began
                if waited >= self.patience_s:
                    raise StoreError(f"{error} (tried for {waited:.0f} s)") from error.__cause__
                self._sleep(min(pause, max(0.0, self.patience_s - waited)))
                pause = min(2 * pause, LONGEST_PAUSE_S)


def retried(*, writes: bool) -> Callable[[_Method], _Method]:
    """Decorate an operation of `Files`, so that it is retried if the files have patience.

    Args:
        writes: Whether the operation changes the store.
    """

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **options: Any) -> Any:
            if self.patience is None:
                return method(self, *args, **options)
            return self.patience.call(
                lambda: method(self, *args, **options), is_local=self.is_local, writes=writes
            )

        return call  # type: ignore[return-value]

    return decorate

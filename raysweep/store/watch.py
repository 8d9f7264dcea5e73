"""Check by a worker, through the lease, that its driver still runs the sweep."""

import math

from raysweep.errors import StoreError
from raysweep.store import lease
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing
from raysweep.store.retry import PATIENCE_S

POLL_S = 1.0


class DriverGone(Exception):
    """Loss of the driver that sent the work; the text says what happened."""


class DriverWatch:
    """Watch of a worker over its driver's lease.

    A driver is silent if its lease can be read and does not change. If the lease cannot be read,
    the worker waits for up to a minute, and writes nothing meanwhile.

    Args:
        files: The sweep's folder.
        token: Token of the driver that sent the work.
        timing: Times of the lease's protocol.
    """

    def __init__(self, files: Files, token: str, timing: Timing | None = None) -> None:
        self.files = files.with_patience(None)
        self.token = token
        self.timing = timing or Timing()
        self._seen = b""
        self._heard = self._tried = self.timing.clock()
        self._looked = -math.inf
        self._unread: float | None = None  # time since which the lease cannot be read

    def poll(self) -> None:
        """Read the lease, at most once a second.

        Raises:
            DriverGone: If the driver was replaced, has ended, or has been silent for too long.
            StoreError: If the lease could not be read for a minute.
        """
        pause = POLL_S if self._unread is None else self.timing.renew_s
        if self.timing.clock() - self._tried < pause:
            return
        try:
            self.check()
        except StoreError:
            if self._unread is not None and self.timing.clock() - self._unread > PATIENCE_S:
                raise

    def guard(self) -> None:
        """Read the lease before a write, unless it was read within the last second.

        Raises:
            DriverGone: If the driver was replaced, has ended, or has been silent for too long.
            StoreError: If the lease cannot be read.
        """
        if self._unread is not None or self.timing.clock() - self._looked >= POLL_S:
            self.check()

    def check(self) -> None:
        """Read the lease now.

        Raises:
            DriverGone: If the driver was replaced, has ended, or has been silent for too long.
            StoreError: If the lease cannot be read.
        """
        since_last_look = self._look()
        if since_last_look > 2 * self.timing.renew_s:
            # This process was busy or suspended, and perhaps the driver was too: give it time to
            # renew the lease.
            waited = 0.0
            while self._silent_s > self.timing.silence_s and waited <= 1.5 * self.timing.renew_s:
                self.timing.sleep(self.timing.look_s)
                waited += self.timing.look_s
                self._look()
        if self._silent_s > self.timing.silence_s:
            raise DriverGone(
                f"the driver has not renewed its lease for {self._silent_s:.0f} s: it was "
                "suspended, or cut off from the store"
            )

    @property
    def _silent_s(self) -> float:
        return self.timing.clock() - self._heard

    def _look(self) -> float:
        """Read the lease, and return the seconds since it was last read."""
        began = self._tried = self.timing.clock()
        try:
            data = self.files.read(lease.NAME)
            if data is None:  # either invisible for a moment or removed
                self.timing.sleep(self.timing.settle_s)
                data = self.files.read(lease.NAME)
            holder = None if data is None else lease.parse(self.files, data)
        except StoreError:
            self._unread = began if self._unread is None else self._unread
            raise
        now, before = self.timing.clock(), self._looked
        if self._unread is not None:
            self._heard += now - self._unread  # a time in which no renewal could be seen
            self._unread = None
        self._looked = now
        if data is None or holder is None:
            raise DriverGone(
                "the sweep's lease is gone: the driver ended, or the store was deleted; run the "
                "same command again to resume"
            )
        if holder.token != self.token:
            raise DriverGone(
                f"{holder.name} took the sweep over; let it finish, or stop it and run the same "
                "command again"
            )
        if data != self._seen:
            self._seen, self._heard = data, now
        return now - before

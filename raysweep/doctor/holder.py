"""Holder of a sweep's lease: a running driver, a dead one, or none."""

from raysweep.doctor.finding import Finding
from raysweep.store import lease
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing
from raysweep.store.process import Life


class LeaseHolder:
    """Holder of a sweep's lease, as far as it is known.

    If the process is out of reach, the lease is watched, as a running driver renews it. The leases
    of several sweeps can be watched at the same time: create all holders before using the first.

    Args:
        files: The sweep's folder.
        timing: Times of the lease's protocol.

    Raises:
        StoreError: If the lease cannot be read.
    """

    def __init__(self, files: Files, timing: Timing) -> None:
        self.files, self.timing = files, timing
        self._data = files.read(lease.NAME)
        self._began = timing.clock()
        self.name = ""
        self.life: Life = "dead"
        if self._data is None:
            return
        try:
            holder = lease.parse(files, self._data)
            self.name, self.life = holder.name, holder.process.life()
        except lease.DamagedLease:
            self.name, self.life = "a driver whose lease is damaged", "unknown"

    def is_alive(self) -> bool:
        """Return whether a running driver holds the sweep; this may take half a minute."""
        while self.life == "unknown":
            data = self.files.read(lease.NAME)
            if data is None:
                self._data, self.life = None, "dead"
            elif data != self._data:
                self.life = "alive"
            elif self.timing.clock() - self._began > self.timing.silence_s:
                self.life = "dead"
            else:
                self.timing.sleep(self.timing.look_s)
        return self.life == "alive"

    def finding(self) -> Finding | None:
        """Return a finding if a dead driver left its lease."""
        if self._data is None or self.is_alive():
            return None
        return Finding(
            lease.NAME,
            f"left by {self.name}, which is no longer running",
            "the next run takes it over, too",
            "it is removed",
            lambda: None,  # every fix takes the lease over and releases it
        )

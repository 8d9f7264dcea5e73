"""Identity of processes beyond their PID, and whether the process in a lease is alive."""

import os
import socket
from dataclasses import dataclass
from typing import Literal

Life = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True)
class Process:
    """Identity of a process, as the kernel knows it.

    Args:
        host: Host name of its machine.
        pid: PID within its namespace.
        started: Start time as the kernel counts it, or "" if unknown.
        boot: Boot id of the kernel, or "" if unknown.
        namespace: PID namespace, or "" if unknown.
    """

    host: str
    pid: int
    started: str = ""
    boot: str = ""
    namespace: str = ""

    def life(self) -> Life:
        """Return whether the process is alive, if that can be known.

        A PID means nothing in another container, on another machine or after a reboot, so the
        answer is "unknown" there, as it is if `/proc` shows only the user's own processes.
        """
        here = own_process()
        same = (self.host, self.boot, self.namespace) == (here.host, here.boot, here.namespace)
        if not (same and self.started and self.boot and self.namespace):
            return "unknown"
        started = _started(str(self.pid))
        if started is None:
            return "unknown" if _exists(self.pid) else "dead"
        return "alive" if started == self.started else "dead"


def own_process() -> Process:
    """Return this process; start, boot and namespace only if `/proc` is of its PID namespace."""
    host, pid = socket.gethostname(), os.getpid()
    try:
        if os.readlink("/proc/self") != str(pid):
            return Process(host, pid)
        namespace = os.readlink("/proc/self/ns/pid")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        return Process(host, pid)
    return Process(host, pid, _started("self") or "", boot, namespace)


def _started(pid: str) -> str | None:
    """Return the start time of a process; "" for a zombie, None if `/proc` does not show it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    """Return whether there is a process with this PID, of this or another user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True

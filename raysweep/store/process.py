"""Identity of a process beyond its number, and whether a process that a lease names still lives."""

import os
import socket
from dataclasses import dataclass
from typing import Literal

Life = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True)
class Process:
    """A process, as far as the kernel identifies it.

    Args:
        host: Host name.
        pid: Number within the PID namespace.
        started: Start in the kernel's own count, or "" if unknown.
        boot: Id of the kernel's boot, or "" if unknown.
        namespace: PID namespace, or "" if unknown.
    """

    host: str
    pid: int
    started: str = ""
    boot: str = ""
    namespace: str = ""

    def life(self) -> Life:
        """Whether it still lives, where that can be known here and now.

        A number says nothing in another container, on another machine or after another boot, so
        the answer there is "unknown", as it is where `/proc` shows only one's own processes.
        """
        here = own_process()
        mine = (self.host, self.boot, self.namespace) == (here.host, here.boot, here.namespace)
        if not (mine and self.started and self.boot and self.namespace):
            return "unknown"
        started = _started(str(self.pid))
        if started is None:
            return "unknown" if _answers(self.pid) else "dead"
        return "alive" if started == self.started else "dead"


def own_process() -> Process:
    """This process; without start, boot and namespace where `/proc` is not its namespace's own."""
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
    """When a process started; "" if it has ended and waits to be reaped, None if not shown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]


def _answers(pid: int) -> bool:
    """Whether there is a process with this number, be it another user's."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True

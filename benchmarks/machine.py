"""What a measurement depends on besides the program: the machine, and who else uses it."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

QUIET = 0.9  # of the processors' time idle


def description() -> str:
    """Processor, cores and versions, in one line."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    return (
        f"{cores()} cores of {names[0] if names else platform.machine()}, "
        f"Python {platform.python_version()}, torch {version('torch')}, Ray {version('ray')}"
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def wait_until_quiet(patience_s: float) -> bool:
    """Waits for other programs to pause; whether the machine is quiet now."""
    end = time.monotonic() + patience_s
    while True:
        if idle_share(2.0) >= QUIET:
            return True
        if time.monotonic() >= end:
            return False


def idle_share(seconds: float) -> float:
    """The share of the machine's processor time that nobody uses, watched for that long."""
    before = _processor_times()
    time.sleep(seconds)
    spent = [after - then for after, then in zip(_processor_times(), before, strict=True)]
    return (spent[3] + spent[4]) / max(1, sum(spent))


def _processor_times() -> list[int]:
    """Ticks in user, nice, system, idle and waiting states, and so on, since the start."""
    return [int(each) for each in _lines("/proc/stat")[0].split()[1:]]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()

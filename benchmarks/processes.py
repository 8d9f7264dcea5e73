"""Commands that are watched while they run: time, memory, and use of the processors."""

import dataclasses
import shutil
import subprocess
import sys
import tempfile
import time

import click
import psutil

from benchmarks import machine

EVERY_S = 0.25  # between two looks


@dataclasses.dataclass(frozen=True)
class Watched:
    """What a command took.

    Args:
        seconds: From its start to its end.
        peak: Most memory of all its processes at a time, in bytes; shared pages count once.
        busy: Share of the processors' time that its processes used.
        gpu_busy: Mean share of time in which the GPU worked; None without one.
        output: What it printed.
    """

    seconds: float
    peak: int
    busy: float
    gpu_busy: float | None
    output: str


def watch(arguments: list[str], folder: str | None = None) -> Watched:
    """Run a Python process to its end.

    Raises:
        ClickException: If it fails, with the end of what it wrote.
    """
    peak, spent, gpu = 0, {}, []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        command = [sys.executable, *arguments]
        process = psutil.Popen(command, stdout=out, stderr=errors, cwd=folder)
        while process.poll() is None:
            memory, times = _look(process)
            peak = max(peak, memory)
            spent |= times
            gpu += _gpu()
            time.sleep(EVERY_S)
        seconds = time.perf_counter() - began
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if process.returncode != 0:
        end = "\n".join((texts[1] or texts[0]).splitlines()[-5:])
        raise click.ClickException(f"{' '.join(arguments)} failed: {end}")
    busy = sum(spent.values()) / (seconds * machine.cores())
    return Watched(seconds, peak, busy, sum(gpu) / len(gpu) if gpu else None, texts[0])


def _look(process: psutil.Process) -> tuple[int, dict[int, float]]:
    """Return the present memory of a process and its descendants, and the time each has used."""
    memory, times = 0, {}
    for one in [process, *_children(process)]:
        try:
            used = one.cpu_times()
            times[one.pid] = used.user + used.system
            memory += one.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return memory, times


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _gpu() -> list[float]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return [float(line) / 100 for line in done.stdout.split() if line.isdigit()]

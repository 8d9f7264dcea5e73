"""Memory of the device that a worker trains on, and how many runs of a pack it holds."""

import contextlib
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from raysweep import registry
from raysweep.engine import node_facts
from raysweep.engine.capacity import pack_bytes
from raysweep.sweep.options import Resources
from raysweep.sweep.packs import Pack

TOLERANCE = 0.1
LIMITS = (  # of a container: cgroups of version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def replica_bytes(task: str, estimator: str, settings: Mapping[str, Any]) -> int:
    """Return the estimated memory of one run.

    Args:
        task: Registry name of the task.
        estimator: Registry name of the estimator.
        settings: Values of the run's settings by their keys.
    """
    task_settings, instance = registry.instantiate(task, estimator, settings)
    return max(1, registry.task(task).replica_bytes(task_settings, instance))


def run_bytes(pack: Pack) -> int:
    """Return the estimated memory of one of a pack's runs."""
    return replica_bytes(pack.task, pack.estimator, pack.runs[0].settings)


def fitting(pack: Pack, limit: int) -> int:
    """Return how many of a pack's runs a device with that limit trains together; at least one.

    A little more than the limit is allowed, as the driver and a worker may measure a device in
    different ways, and packs that are cut for this device must not be divided.
    """
    size = run_bytes(pack)
    if len(pack.runs) * size <= limit * (1 + TOLERANCE):
        return len(pack.runs)
    return max(1, limit // size)


def memory_bytes() -> int:
    """Return the memory of this machine, or of the container that this process runs in."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such limit, or "max"
            sizes.append(int(path.read_text()))
    return min(sizes)


def limit_here(totals: Mapping[str, float], resources: Resources) -> int:
    """Return the largest estimated memory of a pack that this process trains.

    Args:
        totals: Resources of the node, as Ray names them.
        resources: Resources of this worker.
    """
    gpu_bytes = None
    if resources.gpu > 0 and torch.cuda.is_available():
        gpu_bytes = torch.cuda.get_device_properties(0).total_memory
    return pack_bytes(totals, resources, gpu_bytes)


@functools.cache
def limit_of_machine(resources: Resources, cpus: float) -> int:
    """Return the largest estimated memory of a pack on this machine.

    Args:
        resources: Resources of one worker.
        cpus: Number of CPUs that workers share.
    """
    gpu_bytes = node_facts.gpu_bytes() if resources.gpu > 0 else None
    return pack_bytes({"CPU": cpus, "memory": memory_bytes()}, resources, gpu_bytes)

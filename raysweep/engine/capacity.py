"""Capacity of nodes: the number of workers that they have room for, and the memory of a pack."""

import math
from collections.abc import Iterable, Mapping

from raysweep.sweep.options import Resources
from raysweep.sweep.packs import MAX_PACK_BYTES

# A pack's estimated memory is at most this part of its worker's: the estimate leaves out
# gradients, intermediate results and CUDA itself.
CPU_PART, GPU_PART = 2, 8
TOLERANCE = 1e-9


def workers_on(totals: Mapping[str, float], resources: Resources) -> int:
    """Return how many workers a node has room for.

    Args:
        totals: Resources of the node, as Ray names them.
        resources: Resources of one worker.
    """
    counts = [math.floor(totals.get("CPU", 0) / resources.cpu + TOLERANCE)]
    if resources.gpu > 0:
        counts.append(_by_gpus(totals.get("GPU", 0), resources.gpu))
    return min(counts)


def _by_gpus(gpus: float, gpu: float) -> int:
    if gpu < 1:  # no worker has fractions of two GPUs
        return math.floor(gpus) * math.floor(1 / gpu + TOLERANCE)
    return math.floor(gpus / gpu + TOLERANCE)


def most_workers(
    groups: Iterable[tuple[Mapping[str, float], int]],
    limits: Mapping[str, float],
    resources: Resources,
) -> int | None:
    """Return how many workers a cluster can grow to hold; None if there is no limit.

    Args:
        groups: Resources of one node, and the largest number of nodes, of each kind of node; a
            negative number means no limit.
        limits: Largest total of each resource that has a limit.
        resources: Resources of one worker.
    """
    total = 0
    for totals, count in groups:
        fitting = workers_on(totals, resources)
        if fitting and count < 0:
            return None
        total += max(0, fitting) * count
    wanted = {"CPU": resources.cpu, "GPU": resources.gpu}
    for name, share in wanted.items():
        if share > 0 and name in limits:
            total = min(total, math.floor(limits[name] / share + TOLERANCE))
    return total


def worker_bytes(
    totals: Mapping[str, float], resources: Resources, gpu_bytes: int | None = None
) -> int | None:
    """Return the memory of a worker's device, or its share of it; None if it is not known.

    Args:
        totals: Resources of the node, as Ray names them.
        resources: Resources of one worker.
        gpu_bytes: Memory of one GPU of the node; None if it is not known.
    """
    if resources.gpu > 0:
        return None if gpu_bytes is None else int(gpu_bytes * min(1.0, resources.gpu))
    memory, cpus = totals.get("memory", 0), totals.get("CPU", 0)
    return int(memory * min(1.0, resources.cpu / cpus)) if memory > 0 and cpus > 0 else None


def pack_bytes(
    totals: Mapping[str, float], resources: Resources, gpu_bytes: int | None = None
) -> int:
    """Return the largest estimated memory of a pack that a worker of a node takes.

    For the CPU it is a power of two, or the limit for all, because the memory that Ray counts
    differs a little from one start to the next, and packs must not.

    Args:
        totals: Resources of the node, as Ray names them.
        resources: Resources of one worker.
        gpu_bytes: Memory of one GPU of the node; None if it is not known.
    """
    share = worker_bytes(totals, resources, gpu_bytes)
    if share is None:
        return MAX_PACK_BYTES
    if resources.gpu > 0:
        return share // GPU_PART
    return min(MAX_PACK_BYTES, 2 ** math.floor(math.log2(max(1, share // CPU_PART))))

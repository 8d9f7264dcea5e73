"""Sizes of packs: how many runs of a program train fastest together, measured while they train.

Large packs share the overhead of small operations, and small ones stay in the processor's caches.
Which is faster depends on the program and the device, and no formula says it.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from raysweep import registry
from raysweep.engine.machine import device_of, machine
from raysweep.engine.pack import PackLoop
from raysweep.engine.replicas import assemble
from raysweep.errors import is_memory_error
from raysweep.sweep.packs import Pack
from raysweep.sweep.runs import digest
from raysweep.tasks.base import Closeable

LOOK_S = 2.0  # of training, after which other sizes may be measured
LEAST_S = 20.0  # of training to come, with which that pays
SHARE = 40  # measuring takes at most this part of what is to come
SAMPLE_S = 0.3  # of training at another size
GAIN = 1.05  # of the pace, for which a pack is divided
FAR = 0.8  # of the best pace: after two such sizes no smaller one is measured


@dataclasses.dataclass(frozen=True)
class Measured:
    """Pace of a program on a device.

    Args:
        size: Number of runs that train fastest together.
        largest: Largest number that was measured; if `size` is as large, more may be faster.
        steps_per_s: Steps of all runs together, per second of a worker, at that size.
    """

    size: int
    largest: int
    steps_per_s: float

    def keep(self, count: int) -> int:
        """Return how many of so many runs train together."""
        return min(count, self.size) if self.size < self.largest else count


class Sizing:
    """Known sizes of a worker, and the search for that of the pack it trains.

    Args:
        gpu: Number of GPUs of the worker.
        known: Measurements by key, as `Measured` in plain data.
    """

    def __init__(self, gpu: float, known: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.gpu = gpu
        self.known = {key: Measured(**value) for key, value in (known or {}).items()}
        self._search: _Search | None = None
        self._done: set[str] = set()  # packs that need no search

    @property
    def plain(self) -> dict[str, dict[str, Any]]:
        """All measurements by key, as plain data."""
        return {key: dataclasses.asdict(measured) for key, measured in self.known.items()}

    def keep(self, pack: Pack) -> int:
        """Return how many runs of a pack that has not begun train together."""
        known = self.known.get(self._key(pack)) if self.known else None
        return len(pack.runs) if known is None else known.keep(len(pack.runs))

    def look(self, pack: Pack, loop: PackLoop) -> tuple[str, Measured] | None:
        """Measure one more size, if that pays; return what is known once all are measured.

        Called after each slice of training, so that a stop is obeyed between two sizes.

        Args:
            pack: The pack in training.
            loop: Loop of its training.
        """
        if pack.pack_id in self._done:
            return None
        if self._search is None:
            if not _may_search(pack, loop) or self._key(pack) in self.known:
                self._done.add(pack.pack_id)
                return None
            if loop.seconds * len(pack.runs) < LOOK_S:
                return None
            if not _pays(loop):
                self._done.add(pack.pack_id)
                return None
            self._search = _Search(pack, statistics.median(loop.step_s), loop.device)
        if self._search.measure_next():
            return None
        measured, self._search = self._search.result, None
        self._done.add(pack.pack_id)
        key = self._key(pack)
        self.known[key] = measured
        return key, measured

    def _key(self, pack: Pack) -> str:
        _, device_name = device_of(self.gpu)
        return f"{program_of(pack)} {device_name}, {machine()['host']}"


def _may_search(pack: Pack, loop: PackLoop) -> bool:
    """Return whether a pack may be divided: its training is new, and no run has ended."""
    return (
        loop.is_new
        and len(loop.active) == len(pack.runs) > 1
        and loop.stopping is None
        and loop.length is None
    )


def _pays(loop: PackLoop) -> bool:
    if not loop.step_s:
        return False
    step_s = statistics.median(loop.step_s)
    to_come = (loop.steps - loop.training.step) * step_s
    return to_come >= max(LEAST_S, SHARE * step_s)


class _Search:
    """Paces of a program at halves, quarters and so on of a pack's size.

    Args:
        pack: The pack in training.
        step_s: Seconds of a step, as a median.
        device: Device of the worker.
    """

    def __init__(self, pack: Pack, step_s: float, device: torch.device) -> None:
        self.pack, self.device = pack, device
        self.paces = {len(pack.runs): len(pack.runs) / step_s}
        self._size = len(pack.runs)

    def measure_next(self) -> bool:
        """Measure the next smaller size; return False if there is none that is worth it."""
        best = max(self.paces.values())
        last = list(self.paces.values())[-2:]
        if self._size == 1 or (len(last) == 2 and all(pace < FAR * best for pace in last)):
            return False
        self._size //= 2
        try:
            self.paces[self._size] = self._size / self._step_s(self._size)
        except Exception as error:  # noqa: BLE001 - the pack's own training shows what it is
            if is_memory_error(error) and self.device.type == "cuda":
                torch.cuda.empty_cache()
            return False
        return True

    @property
    def result(self) -> Measured:
        """The fastest size; the pack's own unless another is clearly faster."""
        whole = len(self.pack.runs)
        size = max(self.paces, key=lambda one: self.paces[one])
        if self.paces[size] < GAIN * self.paces[whole]:
            size = whole
        return Measured(size, whole, self.paces[size])

    def _step_s(self, size: int) -> float:
        """Return the median seconds of a step of so many runs, in a training thrown away."""
        settings, replicas, estimator = assemble(self.pack, self.pack.runs[:size], self.device)
        training = registry.task(self.pack.task).start(settings, replicas, estimator, self.device)
        try:
            training.advance(1)  # which reserves memory
            self._wait()
            began, taken = time.perf_counter(), list[float]()
            while (before := time.perf_counter()) - began < SAMPLE_S:
                training.advance(1)
                self._wait()
                taken.append(time.perf_counter() - before)
            return statistics.median(taken)
        finally:
            if isinstance(training, Closeable):
                training.close()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def program_of(pack: Pack) -> str:
    """Return the identity of what a pack's runs share: task, estimator and fixed settings."""
    fixed = _fixed(pack.task, pack.estimator, frozenset(pack.runs[0].settings))
    values = {key: pack.runs[0].settings[key] for key in sorted(fixed)}
    return digest([pack.task, pack.estimator, values])


@functools.lru_cache(maxsize=64)
def _fixed(task: str, estimator: str, keys: frozenset[str]) -> frozenset[str]:
    """Return those of a program's settings that the runs of a pack share."""
    family = registry.task(task).family
    declared = {
        **registry.task_settings(task),
        **registry.estimator_settings(family, estimator),
    }
    return frozenset(key for key in keys if key in declared and not declared[key].per_replica)

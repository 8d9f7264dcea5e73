"""Sweeps of a task whose truth is known, and what each of them found and cost.

The task is `valley`, in `benchmarks/plugin`. The search seed and the task's world are the number of
the repetition, so that every repetition has another best place, other noise and other proposals,
while the searches that are compared share all three as far as they can.
"""

import concurrent.futures
import dataclasses
import functools
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PLUGIN = str(Path(__file__).parent / "plugin")
if PLUGIN not in sys.path:
    sys.path.insert(0, PLUGIN)  # before raysweep looks for tasks

import raysweep  # noqa: E402

CONFIGURATIONS = 40
RANGES = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "x": {"low": -1.0, "high": 1.0},
    "y": {"low": -1.0, "high": 1.0},
}
SAMPLERS = ("random", "qmc", "tpe", "gp", "cmaes")


@dataclasses.dataclass(frozen=True)
class Case:
    """A way to search.

    Args:
        label: Its name in tables.
        sampler: Of the sweep file, or the whole section `search`.
        seeds: Section `seeds`.
        early_stopping: Section `early_stopping`, if there is one.
        configurations: How many to try.
        task: Other settings of the task.
    """

    label: str
    sampler: str | Mapping[str, Any]
    seeds: int | Mapping[str, int]
    early_stopping: Mapping[str, Any] | None = None
    configurations: int = CONFIGURATIONS
    task: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def file(self, repetition: int) -> dict[str, Any]:
        """The content of the sweep file."""
        own = {"sampler": self.sampler} if isinstance(self.sampler, str) else dict(self.sampler)
        search = {**own, "configurations": self.configurations, "seed": repetition}
        found = {
            "name": "valley",
            "tasks": {
                "valley": {
                    "task": "valley",
                    "world": repetition,
                    "x": RANGES["x"],
                    "y": RANGES["y"],
                    **self.task,
                }
            },
            "estimators": {"any": {"estimator": "straight_through"}},
            "training": {"lr": RANGES["lr"]},
            "seeds": self.seeds if isinstance(self.seeds, int) else dict(self.seeds),
            "search": search,
        }
        if self.early_stopping:
            found["early_stopping"] = dict(self.early_stopping)
        return found


@dataclasses.dataclass(frozen=True)
class Found:
    """How a sweep ended.

    Args:
        regret: The truth at the configuration that the sweep selects; the best place has 0.
        searched: The value that selected it: its mean over the search's seeds.
        reported: Its mean over fresh seeds, if there are any.
        runs: Of the search that began.
        steps: That these trained.
        path: The regret after each configuration, in the order of their start.
    """

    regret: float
    searched: float
    reported: float | None
    runs: int
    steps: int
    path: tuple[float, ...]


def measure(case: Case, repetition: int) -> Found:
    """Runs one sweep in this process, in a store that is thrown away."""
    with tempfile.TemporaryDirectory() as store:
        results = raysweep.run(case.file(repetition), store=store, inline=True)
        (cell,) = results.table().cells
        rows = results.runs().to_pylist()
    if cell.status != "selected" or cell.mean is None:
        raise RuntimeError(f"expected a selected configuration, got {cell}")
    fresh = isinstance(case.seeds, Mapping)
    seeds = case.seeds["search"] if isinstance(case.seeds, Mapping) else case.seeds
    own = [row for row in rows if row["seed"] < seeds and row["steps"]]
    chosen = [row for row in own if row["configuration_id"] == cell.configuration_id]
    return Found(
        chosen[0]["metric.truth"],
        statistics.fmean(row["metric.train_loss"] for row in chosen),
        cell.mean if fresh else None,
        len(own),
        sum(row["steps"] for row in own),
        _path(own, seeds),
    )


def _path(rows: Iterable[Mapping[str, Any]], seeds: int) -> tuple[float, ...]:
    """The regret of what would be selected after each configuration.

    Those that began together are in the order in which they were proposed, which is the order of
    their rows.
    """
    configurations: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["started_at"]):
        configurations.setdefault(row["configuration_id"], []).append(row)
    best, found = (float("inf"), float("nan")), []
    for runs in configurations.values():
        done = [row for row in runs if row["status"] == "done"]
        if len(done) == seeds:
            value = statistics.fmean(row["metric.train_loss"] for row in done)
            best = min(best, (value, done[0]["metric.truth"]))
        found.append(best[1])
    return tuple(found)


def measure_all(
    cases: Sequence[Case], repetitions: Sequence[int], workers: int
) -> dict[str, list[Found]]:
    """Every case in every repetition, by its label."""
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        found = {
            case.label: pool.map(functools.partial(measure, case), repetitions) for case in cases
        }
        return {label: list(each) for label, each in found.items()}

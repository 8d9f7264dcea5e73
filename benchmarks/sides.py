"""The ways to run a workload, each as a command of its own whose start-up counts."""

import dataclasses
import json
import math
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.processes import Watched, watch
from benchmarks.workloads import WORKLOADS, Workload

PLAIN = {
    "Ray Tune": "benchmarks.plain_tune",
    "Optuna, process pool": "benchmarks.plain_pool",
    "loop": "benchmarks.plain_loop",
}
SIDES = ("raysweep", *PLAIN)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one side took for a workload, and what it computed.

    Args:
        side: Name of the side.
        seconds: Of the whole command; if not all runs were timed, of all at their speed.
        peak: Most memory of all its processes at a time, in bytes.
        busy: Share of the processors' time that it used.
        gpu_busy: Share of time in which the GPU worked, or None.
        training_s: Seconds of all packs' training; None for other sides than raysweep.
        timed: How many runs were timed.
        losses: Final training losses of all configurations, by seed.
    """

    side: str
    seconds: float
    peak: int
    busy: float
    gpu_busy: float | None
    training_s: float | None
    timed: int
    losses: Mapping[int, list[float]]

    @property
    def mean_loss(self) -> tuple[float, float]:
        """The mean over all runs, and its standard error: runs of one seed are not independent."""
        means = [statistics.fmean(each) for each in self.losses.values()]
        error = statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else math.inf
        return statistics.fmean(means), error


def run_side(side: str, name: str, *, quick: bool, limit: int) -> Outcome:
    """Run a workload by one side.

    Args:
        side: Name of the side.
        name: Name of the workload.
        quick: Whether to do less work.
        limit: Number of runs that the plain sides are timed on, the first ones; 0 for all.
    """
    workload = WORKLOADS[name].quickly() if quick else WORKLOADS[name]
    if side == "raysweep":
        return _raysweep(name, workload)
    size = "quick" if quick else "full"
    watched = watch(["-m", PLAIN[side], name, size, str(limit)])
    told = json.loads(watched.output.splitlines()[-1])
    rest = told["fit_s"] * (len(workload.runs) / len(told["runs"]) - 1)
    return _outcome(side, watched, watched.seconds + rest, told["runs"], None)


def _raysweep(name: str, workload: Workload) -> Outcome:
    command = ["-m", "raysweep.cli.main"]
    query = 'select seed, seconds, "metric.train_loss" as loss from runs'
    with tempfile.TemporaryDirectory() as folder:
        spec, code = Path(folder) / "sweep.json", Path(folder) / "own.py"
        spec.write_text(json.dumps(workload.file(name)))
        code.write_text(workload.code)
        given = ["--code", str(code)] if workload.code else []
        store = ["--store", folder]
        watched = watch([*command, "run", str(spec), *store, *given])
        table = [*command, "sql", name, query, "--format", "json", *store]
        rows = [json.loads(line) for line in watch(table).output.splitlines()]
    if len(rows) != len(workload.runs):
        raise ValueError(f"expected {len(workload.runs)} runs of {name}, got {len(rows)}")
    training = sum(row["seconds"] for row in rows)
    return _outcome("raysweep", watched, watched.seconds, rows, training)


def _outcome(
    side: str,
    watched: Watched,
    seconds: float,
    runs: Iterable[Mapping[str, Any]],
    training_s: float | None,
) -> Outcome:
    losses: dict[int, list[float]] = {}
    for run in runs:
        losses.setdefault(run["seed"], []).append(run["loss"])
    timed = sum(map(len, losses.values()))
    shares = (watched.peak, watched.busy, watched.gpu_busy)
    return Outcome(side, seconds, *shares, training_s, timed, losses)

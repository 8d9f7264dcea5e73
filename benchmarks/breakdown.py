"""Where the time of a sweep goes: the whole command, its start-up, and the steps of one pack.

The command is watched from outside, through the store that it leaves. The steps are profiled in
this process by `raysweep.run(inline=True)`; a profiler makes Python slower, so shares of small
steps lean towards the parts that are Python.
"""

import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

import raysweep
from benchmarks import machine
from benchmarks.workloads import WORKLOADS

OF_RAYSWEEP = [name for name, workload in WORKLOADS.items() if not workload.code]
RAY_INIT = (
    "import ray; ray.init(num_cpus={cores}, include_dashboard=False, log_to_driver=False, "
    "logging_level='ERROR', object_store_memory=200 * 2**20)"
)
STARTS = {
    "interpreter": "pass",
    "interpreter, torch": "import torch",
    "interpreter, Ray Tune": "from ray import tune",
    "interpreter, raysweep and all of the above": (
        "import raysweep.cli.main, raysweep.driver.session, raysweep.engine.tune"
    ),
    "interpreter, Ray, a local cluster": RAY_INIT,
}
# The first place whose text occurs in a function's file takes the function's own time.
PLACES = {
    "estimators/noise": "noise",
    "estimators/": "estimator",
    "tasks/replicas/optim": "optimizer",
    "tasks/replicas/order": "data order",
    "torch/autograd": "backward pass",
    "tasks/": "forward pass",
    "torch/nn": "forward pass",
    "torch/": "other torch",
    "raysweep/store": "store",
    "raysweep/engine": "pack loop",
    "raysweep/": "rest of raysweep",
}


def whole_command(name: str) -> dict[str, float]:
    """Seconds of the parts of `raysweep run`, means over the workers."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "sweep.json"
        spec.write_text(json.dumps(WORKLOADS[name].file(name)))
        began = time.time()
        subprocess.run(
            [sys.executable, "-m", "raysweep.cli.main", "run", str(spec), "--store", folder],
            check=True,
            capture_output=True,
        )
        ended = time.time()
        packs = [_pack(path) for path in Path(folder).glob("*/runs/*.parquet")]
    workers = min(machine.cores(), len(packs))
    first, last = min(p["began"] for p in packs), max(p["ended"] for p in packs)
    training = sum(p["training"] for p in packs) / workers
    taken = sum(p["ended"] - p["began"] for p in packs) / workers
    return {
        "until the first pack starts": first - began,
        "training": training,
        "setting packs up, evaluation, store": taken - training,
        "workers between packs, or idle": last - first - taken,
        "after the last pack": ended - last,
    }


def _pack(path: Path) -> dict[str, float]:
    rows = pq.read_table(path, columns=["started_at", "seconds", "replicas"]).to_pylist()
    return {
        "began": min(row["started_at"].timestamp() for row in rows),
        "ended": path.stat().st_mtime,
        "training": sum(row["seconds"] for row in rows),
    }


def start_up(repeats: int = 3) -> dict[str, float]:
    """Median seconds of processes that do nothing but start."""
    return {
        title: statistics.median(
            _seconds(code.format(cores=machine.cores())) for _ in range(repeats)
        )
        for title, code in STARTS.items()
    }


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - began


def steps_of_a_pack(name: str, steps: int) -> dict[str, float]:
    """Share of each part in the steps of the sweep's packs, trained in this process."""
    whole: dict[str, Any] = WORKLOADS[name].file(name)
    workers = machine.cores()
    spec = {**whole, "seeds": max(1, whole["seeds"] // workers)}
    change = [f"training.steps={steps}"]
    profile = cProfile.Profile(builtins=False)
    with tempfile.TemporaryDirectory() as folder:
        raysweep.run({**spec, "name": "warm-up"}, store=folder, inline=True, changes=change)
        profile.enable()
        raysweep.run(spec, store=folder, inline=True, changes=change)
        profile.disable()
    own: dict[str, float] = {}
    for (file, _, _), (_, _, seconds, *_) in pstats.Stats(profile).stats.items():
        own[_place(file)] = own.get(_place(file), 0.0) + seconds
    total = sum(own.values())
    return {place: seconds / total for place, seconds in own.items()}


def _place(file: str) -> str:
    path = file.replace(os.sep, "/")
    return next((place for part, place in PLACES.items() if part in path), "rest")


def show(title: str, parts: Mapping[str, float], unit: str) -> None:
    """A table of seconds or shares."""
    click.echo(f"\n{title}")
    for part, value in parts.items():
        text = f"{100 * value:6.1f} %" if unit == "%" else f"{value:6.2f} {unit}"
        click.echo(f"  {text}  {part}")


@click.command()
@click.argument(
    "name",
    type=click.Choice([name for name in WORKLOADS if not WORKLOADS[name].code]),
    default="polynomial-400",
)
@click.option("--steps", default=300, show_default=True, help="Steps that are profiled.")
def main(name: str, steps: int) -> None:
    """Says where the time of a sweep goes."""
    click.echo(machine.description())
    if not machine.wait_until_quiet(0):
        click.echo("other programs are using the processors: do not trust the seconds")
    show("processes that only start", start_up(), "s")
    command = whole_command(name)
    show(f"raysweep run, {name}", {**command, "all": sum(command.values())}, "s")
    shares = sorted(steps_of_a_pack(name, steps).items(), key=lambda item: -item[1])
    show(f"packs in this process, {steps} steps: own time of functions", dict(shares), "%")


if __name__ == "__main__":
    main()

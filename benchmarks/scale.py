"""How long commands take, and what memory, on a sweep of a million runs.

The store is made up, not trained: 10 estimators × 20 tasks, 1,000 configurations of each drawn at
random from ten searched settings, 5 seeds, and 13 metrics whose values are random numbers around
a quadratic of the settings. Everything else is as the engine leaves it: ids, columns, packs of up
to 64 runs with a file of rows each, and a file of curves for each pack. `--merged` puts the rows
of runs into few large files instead.

    python -m benchmarks.scale make --store DIR       # takes minutes, and 15 GB for the curves
    python -m benchmarks.scale measure --store DIR
    python -m benchmarks.scale plan                   # needs no store
"""

import concurrent.futures
import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import digest, pack_id
from raysweep.sweep.spec import Arm, Spec
from raysweep.sweepfile.reader import read_spec

SEEDS = 5
TASKS = 20
ESTIMATORS = (
    "straight_through",
    "st_gumbel_softmax",
    "gumbel_softmax",
    "gapped_st",
    "reinmax",
    "reinforce",
    "reinforce_loo",
    "nvil",
    "muprop",
    "rodeo",
)
STEPS = 96_000
SEARCHED: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "weight_decay": {"low": 0.0, "high": 0.1},
    "beta1": {"low": 0.5, "high": 0.99},
    "beta2": {"low": 0.9, "high": 0.9999},
    "epsilon": {"low": 1e-9, "high": 1e-6, "log": True},
    "tuning_beta2": {"low": 0.9, "high": 0.9999},
    "optimizer": ["adam", "radam"],
    "batch_size": [50, 100, 200],
    "window": [100, 600],
    "dtype": ["float32", "float64"],
}
PACK = 64
NAME = "large"


@dataclasses.dataclass(frozen=True)
class Size:
    """What to make up.

    Args:
        configurations: Of each arm.
        points: Rows of a run's curve.
    """

    configurations: int
    points: int


@functools.lru_cache
def spec_of(size: Size) -> Spec:
    """The sweep."""
    return read_spec(file_of(size))


def file_of(size: Size) -> dict[str, Any]:
    """The sweep file."""
    return {
        "name": NAME,
        "tasks": {
            f"problem {place}": {"task": "gradient_quality", "problem_seed": place}
            for place in range(1, TASKS + 1)
        },
        "estimators": {name: {"estimator": name} for name in ESTIMATORS},
        "training": {**SEARCHED, "steps": STEPS, "report_every": STEPS // (size.points or 100)},
        "seeds": SEEDS,
        "search": {"sampler": "random", "configurations": size.configurations},
        "select": {"metric": "relative_rmse_1", "mode": "min"},
    }


def grid_of(seeds: int) -> dict[str, Any]:
    """A sweep file with a million runs of a grid: 10,000 cells and 100 arms for one seed."""
    training = {
        "lr": [10 ** (-place / 10) for place in range(10, 20)],
        "weight_decay": [place / 10 for place in range(10)],
        "beta1": [0.5 + place / 100 for place in range(10)],
        "optimizer": ["adam", "radam"],
        "batch_size": [50, 100, 200, 300, 400],
    }
    return {
        **file_of(Size(1, 0)),
        "tasks": {
            f"problem {place}": {"task": "gradient_quality", "problem_seed": place}
            for place in range(1, 10 // seeds + 1)
        },
        "training": {**training, "steps": STEPS},
        "seeds": seeds,
        "search": "grid",
    }


def make(folder: str, size: Size, *, merged: bool) -> None:
    """Fills a store."""
    spec = spec_of(size)
    store = SweepStore(folder, spec.name)
    store.prepare(spec)
    rows: list[pa.Table] = []
    with concurrent.futures.ProcessPoolExecutor() as pool:
        arms = range(len(spec.arms))
        for found in pool.map(_arm, arms, [size] * len(arms), [folder] * len(arms)):
            if merged:
                rows.append(found)
                if sum(each.num_rows for each in rows) >= 2**17:
                    _put(store, rows)
            else:
                for start in range(0, found.num_rows, PACK):
                    _put(store, [found.slice(start, PACK)])
    if rows:
        _put(store, rows)


def _put(store: SweepStore, rows: list[pa.Table]) -> None:
    table = pa.concat_tables(rows)
    store.files.write_table(f"runs/{table['pack_id'][0].as_py()}.parquet", table)
    rows.clear()


def _arm(place: int, size: Size, folder: str) -> pa.Table:
    """The rows of an arm; its curves go to their files."""
    spec = spec_of(size)
    store = SweepStore(folder, spec.name)
    arm = spec.arms[place]
    random = np.random.default_rng(place)
    records = list(_records(arm, size, random))
    for start in range(0, len(records), PACK):
        pack = records[start : start + PACK]
        name = pack_id(each["run_id"] for each in pack)
        for each in pack:
            each.update(pack_id=name, replicas=len(pack), seconds=random.gamma(4.0, 30.0))
        if size.points:
            table = _curves(pack, schema.curves_schema(spec), size.points, random)
            store.files.write_table(f"curves/{name}-{STEPS}.parquet", table)
    columns = schema.runs_schema(spec)
    return schema.rows_table((_row(each, spec, columns) for each in records), columns)


def _records(arm: Arm, size: Size, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    """What is known of each run, its final values by metric."""
    strength = {key: random.normal() for key in arm.searched}
    for _ in range(size.configurations):
        units = {key: float(random.random()) for key in arm.searched}
        assignment = {key: _value(arm.searched[key], unit) for key, unit in units.items()}
        configuration = arm.configuration(assignment)
        loss = sum((unit - 0.5) ** 2 * strength[key] ** 2 for key, unit in units.items())
        for seed in range(SEEDS):
            status = str(random.choice(["done", "diverged"], p=[0.998, 0.002]))
            yield {
                "arm": arm,
                "run_id": digest({**configuration.identity, "seed": seed}),
                "configuration_id": configuration.configuration_id,
                "settings": configuration.settings,
                "seed": seed,
                "status": status,
                "value": loss + random.normal(scale=0.1),
            }


def _value(domain: Any, unit: float) -> Any:
    """The value at a place of a domain, 0 the lowest and 1 the highest."""
    if hasattr(domain, "values"):
        return domain.values[int(unit * len(domain.values))]
    low, high = (np.log([domain.low, domain.high])) if domain.log else (domain.low, domain.high)
    value = low + unit * (high - low)
    return float(np.clip(np.exp(value) if domain.log else value, domain.low, domain.high))


def _row(record: dict[str, Any], spec: Spec, columns: pa.Schema) -> dict[str, Any]:
    arm = record["arm"]
    done = record["status"] == "done"
    names = sorted(spec.metrics)
    return {
        **{key: record[key] for key in ("run_id", "configuration_id", "seed", "status")},
        **{key: record[key] for key in ("pack_id", "replicas", "seconds")},
        "sweep": spec.name,
        "task": arm.task_label,
        "estimator": arm.estimator_label,
        "task_name": arm.task,
        "estimator_name": arm.estimator,
        "definition": arm.definition,
        "code": arm.code,
        "steps": STEPS,
        "steps_executed": STEPS,
        "attempts": 1,
        "device": "cpu",
        "started_at": datetime.fromtimestamp(1.7e9 + record["seed"], timezone.utc),
        "version": "0.1.0",
        **schema.encode_settings(record["settings"], columns),
        **{f"metric.{name}": record["value"] + at for at, name in enumerate(names) if done},
    }


def _curves(
    pack: Sequence[dict[str, Any]], columns: pa.Schema, points: int, random: np.random.Generator
) -> pa.Table:
    """Metrics that fall to their final values, with noise."""
    steps = np.arange(1, points + 1) * (STEPS // points)
    finals = np.array([each["value"] for each in pack])
    fall = np.exp(-5 * steps / STEPS)
    noise = random.normal(scale=0.05, size=(len(pack), points))
    values: NDArray[np.float64] = (finals[:, None] + fall + noise).ravel()
    ids = pa.DictionaryArray.from_arrays(
        np.repeat(np.arange(len(pack), dtype=np.int32), points), [each["run_id"] for each in pack]
    )
    seconds = np.outer([each["seconds"] for each in pack], steps / STEPS).ravel()
    found = {
        "run_id": ids.cast(pa.string()),
        "step": np.tile(steps, len(pack)),
        "seconds": seconds,
    }
    others = [name for name in columns.names if name not in found]
    for at, name in enumerate(others):
        found[name] = np.roll(values, at) + at
    return pa.table([pa.array(found[name]) for name in columns.names], schema=columns)


COMMANDS = {
    "status": ["status", NAME],
    "table": ["table", NAME],
    "table, Mann-Whitney": ["table", NAME, "--test", "mann-whitney"],
    "curves": ["plot", NAME, "--tasks", "problem 1", "--out", "curves.png"],
    "curves of all tasks": ["plot", NAME, "--out", "all.png"],
    "report": ["report", NAME, "--out", "report.html"],
}
PLANS = {
    "plan, random search": file_of(Size(1000, 0)),
    "plan, random search, 1 seed": {
        **file_of(Size(5000, 0)),
        "seeds": 1,
    },
    "plan, grid, 10 seeds": grid_of(10),
    "plan, grid, 1 seed": grid_of(1),
}


def measure(commands: Mapping[str, Sequence[str]], folder: str, repeats: int) -> None:
    """Prints wall and processor time and peak memory of each command, as a new process."""
    print("| command | least | median | processor time | peak memory |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for label, command in commands.items():
        found = [_timed([*command, "--store", folder]) for _ in range(repeats)]
        walls, processor, gib = (np.array(each) for each in zip(*found, strict=True))
        print(
            f"| {label} | {walls.min():.2f} s | {np.median(walls):.2f} s "
            f"| {processor.min():.2f} s | {gib.max():.2f} GiB |",
            flush=True,
        )


def _timed(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds, and peak memory in GiB of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "raysweep.cli.main", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(arguments)}: exit status {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


@click.group()
def main() -> None:
    """Make a large store, or measure commands that read it."""


@main.command("make")
@click.option("--store", required=True, metavar="DIR")
@click.option("--configurations", default=1000, show_default=True, help="Of each of 200 arms.")
@click.option("--points", default=100, show_default=True, help="Rows of each curve; 0 for none.")
@click.option("--merged", is_flag=True, help="Rows of runs in few files instead of one per pack.")
def make_command(store: str, configurations: int, points: int, merged: bool) -> None:
    """Fill a store with 5,000 runs for each 5 configurations of the 200 arms."""
    began = time.perf_counter()
    make(store, Size(configurations, points), merged=merged)
    runs = 200 * configurations * SEEDS
    seconds = time.perf_counter() - began
    print(f"{runs:,} runs, {runs * points:,} curve rows in {seconds:.0f} s")


@main.command("measure")
@click.option("--store", required=True, metavar="DIR")
@click.option("--repeats", default=5, show_default=True)
def measure_command(store: str, repeats: int) -> None:
    """Print time and peak memory of each command that reads the store."""
    with tempfile.TemporaryDirectory() as folder:  # for figures and the report
        folder_of = {"curves.png", "all.png", "report.html"}
        commands = {
            label: [str(Path(folder, each)) if each in folder_of else each for each in command]
            for label, command in COMMANDS.items()
        }
        measure(commands, store, repeats)


@main.command("plan")
@click.option("--repeats", default=3, show_default=True)
def plan_command(repeats: int) -> None:
    """Print time and peak memory of the plans of sweep files with a million runs."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {}
        for label, file in PLANS.items():
            path = Path(folder, f"{label}.yaml")
            path.write_text(json.dumps(file))
            commands[label] = ["plan", str(path)]
        measure(commands, str(Path(folder, "store")), repeats)


if __name__ == "__main__":
    main()

"""How long the service takes to answer with 200 sweeps and 100,000 runs in its store.

The store is made up, as by `benchmarks.scale`: one sweep of 80,000 runs, and 199 of 100 runs each.
Answers are timed at the server, which runs in this process without a cluster, after a first one
that fills its memory; `changed` is the time of the first answer after the large sweep has changed.

    python -m benchmarks.service --store DIR
"""

import contextlib
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
import pyarrow as pa
import pyarrow.compute as pc
import uvicorn

from benchmarks import scale
from raysweep.engine.jobs import Job
from raysweep.service.app import create_app
from raysweep.service.config import Config
from raysweep.service.service import Service, assemble
from raysweep.store.files import Files
from raysweep.store.submission import Event, Outcome, Submission
from raysweep.store.submission import write as write_submission
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

SWEEPS = 200
CONFIGURATIONS = 80  # of each of the 200 arms of the large sweep
SMALL = 2  # configurations of each arm of the others
PATHS = (
    "/",
    "/?state=done&search=sweep-1",
    "/sweeps/large",
    "/sweeps/sweep-001",
    "/api/v1/sweeps",
    "/api/v1/sweeps/large",
    "/api/v1/sweeps/large/table",
)


class NoJobs:
    """A cluster without jobs."""

    def start(self, job_id: str, command: Sequence[str]) -> None:
        """Start nothing."""

    def jobs(self, prefix: str) -> Mapping[str, Job]:
        """No jobs."""
        return {}

    def stop(self, job_id: str) -> None:
        """Stop nothing."""

    def logs(self, job_id: str) -> str:
        """No output."""
        return ""

    def load(self) -> Mapping[str, Any]:
        """No nodes."""
        return {}


def make(folder: str) -> None:
    """Fill a store."""
    scale.make(folder, scale.Size(CONFIGURATIONS, 0), merged=False)
    large = SweepStore(folder, scale.NAME).runs()
    rows = large.filter(pc.equal(large["task"], "problem 1"))
    chosen = [
        key
        for name in scale.ESTIMATORS
        for key in rows.filter(pc.equal(rows["estimator"], name))["configuration_id"]
        .unique()
        .to_pylist()[:SMALL]
    ]
    rows = rows.filter(pc.is_in(rows["configuration_id"], pa.array(chosen)))
    for index in range(1, SWEEPS):
        _small(folder, f"sweep-{index:03}", rows)
    for index, name in enumerate([scale.NAME, *(f"sweep-{n:03}" for n in range(1, SWEEPS))]):
        ended = Outcome("done", "", 2.0)
        history = (Event(1.0, "ada", "submitted"), Event(2.0, "", "done"))
        files = Files(folder).below(name)
        text = (files.read("sweep.yaml") or b"").decode()
        write_submission(
            files, Submission(text, f"user{index % 7}", float(index), events=history, outcome=ended)
        )


def _small(folder: str, name: str, rows: pa.Table) -> None:
    size = scale.Size(SMALL, 0)
    spec = scale.spec_of(size)
    spec = read_spec(
        {
            "name": name,
            "tasks": {"problem 1": {"task": "gradient_quality", "problem_seed": 1}},
            "estimators": {one: {"estimator": one} for one in scale.ESTIMATORS},
            "training": {**scale.SEARCHED, "steps": scale.STEPS, "report_every": 960},
            "seeds": scale.SEEDS,
            "search": {"sampler": "random", "configurations": SMALL},
            "select": {"metric": spec.select.metric, "mode": "min"},
        }
    )
    store = SweepStore(folder, name)
    store.prepare(spec)
    at = rows.schema.get_field_index("sweep")
    renamed = rows.set_column(at, "sweep", pa.array([name] * rows.num_rows, rows["sweep"].type))
    store.files.write_table(f"runs/{rows['pack_id'][0].as_py()}.parquet", renamed)


@contextlib.contextmanager
def serving(folder: str) -> Iterator[tuple[Service, httpx.Client]]:
    """Serve a store from a thread; yields the service and a client of an admin."""
    service = assemble(Config(store=folder, requests_per_minute=1_000_000), NoJobs())
    token = service.tokens.create("ada", "admin")
    with socket.create_server(("127.0.0.1", 0)) as port:
        config = uvicorn.Config(create_app(service), log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [port]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{port.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/html, application/json"}
        with httpx.Client(base_url=url, headers=headers, timeout=600) as client:
            while not server.started:
                time.sleep(0.01)
            yield service, client
        server.should_exit = True
        thread.join()


def seconds(client: httpx.Client, path: str) -> float:
    """Seconds of an answer, which must be a good one."""
    began = time.perf_counter()
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code} {answer.text[:200]}")
    return time.perf_counter() - began


@click.command()
@click.option("--store", required=True, metavar="DIR", help="Made if it is missing.")
@click.option("--repeats", default=20, show_default=True)
@click.option("--path", "paths", multiple=True, default=PATHS, help="Answers to time.")
def main(store: str, repeats: int, paths: tuple[str, ...]) -> None:
    """Print how long answers take."""
    if not Path(store).is_dir():
        try:
            make(store)
        except BaseException:
            shutil.rmtree(store, ignore_errors=True)
            raise
    with serving(store) as (service, client):
        began = time.perf_counter()
        service.catalogue.poll()
        print(f"first reading of the store: {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        service.catalogue.poll()
        print(f"look at the store without a change: {time.perf_counter() - began:.3f} s\n")
        print(
            "| answer | first | median | largest | changed |\n| --- | ---: | ---: | ---: | ---: |"
        )
        for path in paths:
            first = seconds(client, path)
            times = [seconds(client, path) for _ in range(repeats)]
            spec = Path(store, scale.NAME, "spec.json")
            spec.touch()
            changed = seconds(client, path)
            print(
                f"| `{path}` | {first:.3f} s | {statistics.median(times):.3f} s "
                f"| {max(times):.3f} s | {changed:.3f} s |"
            )


if __name__ == "__main__":
    main()

"""Nodes of a simulated cluster, some of which cannot train, and sweeps on them."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

SMALL = {"object_store_memory": 100 * 2**20}
# A task that notes on which node it trains, and takes no step while a file says so; its workers
# take the CPU for a GPU.
CODE = """
import json, os, pathlib, time
import ray, torch
from raysweep.engine import pack, work
from raysweep.testing.toy import Toy

pack.device_of = work.device_of = lambda gpu: (torch.device("cpu"), "cpu")

class Noted(Toy):
    name = "noted"

    def start(self, settings, replicas, estimator, device):
        node_id = ray.get_runtime_context().get_node_id()
        note = {"node": node_id, "runs": [replica.run_id for replica in replicas],
                "bytes": self.replica_bytes(settings, estimator),
                "data": os.environ.get("RAYSWEEP_DATA")}
        folder = pathlib.Path(%r)
        (folder / f"{time.time_ns()}.json").write_text(json.dumps(note))
        [node] = [node for node in ray.nodes() if node["NodeID"] == node_id]
        if len(replicas) * note["bytes"] > node["Resources"]["memory"]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        training = super().start(settings, replicas, estimator, device)
        advance = training.advance

        def held(steps):
            while (folder / "hold").exists():
                time.sleep(0.05)
            return advance(steps)

        training.advance = held
        return training
"""
HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "raysweep":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
"""
BLIND = """
import pathlib

read = pathlib.Path.read_bytes

def read_bytes(self):
    if self.name == "lease":
        raise PermissionError(13, "Permission denied")
    return read(self)

pathlib.Path.read_bytes = read_bytes
"""
METADATA = "Metadata-Version: 2.1\nName: raysweep\nVersion: 9.9\n"


def without_raysweep(folder):
    """Environment of a node on which raysweep cannot be imported."""
    return _with_file(folder / "hide" / "sitecustomize.py", HIDE)


def with_another_raysweep(folder):
    """Environment of a node on which another version of raysweep is installed."""
    return _with_file(folder / "old" / "raysweep-9.9.dist-info" / "METADATA", METADATA, up=2)


def without_the_store(folder):
    """Environment of a node that may not read the lease."""
    return _with_file(folder / "blind" / "sitecustomize.py", BLIND)


def _with_file(path, text, up=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    paths = [str(path.parents[up - 1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


class Sweep:
    """A sweep of the noted toy task on a cluster, by the command line.

    Args:
        folder: Where its files are.
        address: Address of the cluster.
        content: The sweep file, without the task's label and the estimators.
        options: Further options of `raysweep run`.
        environment: Further variables of the driver.
    """

    def __init__(self, folder, address, content, *options, **environment):
        self.folder, self.notes = folder, folder / "notes"
        self.notes.mkdir(parents=True)
        self.output = folder / "output"
        estimators = {"ST": {"estimator": "straight_through"}}
        sweep = {"name": "nodes", "estimators": estimators, **content}
        (folder / "nodes.yaml").write_text(json.dumps(sweep))
        (folder / "noted_toy.py").write_text(textwrap.dedent(CODE) % str(self.notes))
        command = [sys.executable, "-m", "raysweep.cli.main", "run", "nodes.yaml"]
        store = [] if "--store" in options else ["--store", "store"]
        with self.output.open("w") as output:
            self.driver = subprocess.Popen(
                [*command, "--code", "noted_toy.py", *store, "--address", address, *options],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def hold(self):
        """Lets packs start, but take no step, until `release`."""
        (self.notes / "hold").touch()

    def release(self):
        (self.notes / "hold").unlink()

    def trained(self):
        """Node and runs of every start of a pack, in order."""
        notes = []
        for path in sorted(self.notes.glob("*.json")):
            with contextlib.suppress(ValueError):  # it is being written
                notes.append(json.loads(path.read_text()))
        return notes

    def wait_for(self, condition, seconds=120):
        """Waits until the condition holds; the driver must run until then."""
        until = time.monotonic() + seconds
        while not condition():
            if self.driver.poll() is not None or time.monotonic() > until:
                self.driver.kill()
                self.driver.wait()
                pytest.fail(self.output.read_text())
            time.sleep(0.1)

    def end(self, seconds=180):
        """Waits for the end; returns the exit code."""
        return self.driver.wait(timeout=seconds)

    def lines(self, *words):
        """Lines of the output that contain all of these words."""
        lines = self.output.read_text().splitlines()
        return [line for line in lines if all(word in line for word in words)]

    def rows(self):
        """Rows of the runs."""
        import raysweep

        return raysweep.open(self.folder / "store", "nodes").runs().to_pylist()

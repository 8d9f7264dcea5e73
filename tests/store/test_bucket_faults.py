"""A bucket of moto's server that fails, delays and drops requests in the middle of a sweep."""

import http.client
import json
import socket
import subprocess
import sys
import time

import pyarrow.fs as pafs
import pytest

import raysweep
from benchmarks.proxy import Proxy
from raysweep.store.lease import Lease
from raysweep.store.sweep_store import SweepStore

pytest.importorskip("moto", reason="needs moto of the dev extra")

SWEEP = {
    "name": "away",
    "tasks": {"walk": {"task": "toy", "delay_s": 0.04, "steps": 80}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 2,
    "resources": {"pack": 2, "checkpoint_s": 1},
}
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
COLUMNS = ["run_id", "status", "steps", "metric.train_loss", "metric.distance"]


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """The port of moto's server, with a bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("moto") / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("PUT", "/lab")
            assert connection.getresponse().status == 200
            break
        except ConnectionError:
            time.sleep(0.1)
    yield port
    server.kill()
    server.wait()


class Away:
    """A sweep in a folder of its own of moto's bucket, reached through a proxy."""

    def __init__(self, moto, proxy, folder):
        self.proxy, self.folder = proxy, folder
        self.root = f"s3://lab/{folder.name}"
        query = "scheme=http&region=us-east-1&endpoint_override=127.0.0.1"
        self.uri = f"{self.root}?{query}:{proxy.server_port}"
        self.direct = f"{self.root}?{query}:{moto}"
        (folder / "away.yaml").write_text(json.dumps(SWEEP))

    def start(self):
        """The command line, in another process."""
        spec = str(self.folder / "away.yaml")
        command = ["run", spec, "--store", self.uri, "--inline"]
        with (self.folder / "output").open("a") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "raysweep.cli.main", *command], stdout=output, stderr=output
            )

    def start_and_wait_for_a_checkpoint(self):
        process = self.start()
        filesystem, path = pafs.FileSystem.from_uri(self.direct)
        everything = pafs.FileSelector(path, recursive=True, allow_not_found=True)
        while not any("state-" in each.path for each in filesystem.get_file_info(everything)):
            assert process.poll() is None, self.output()
            time.sleep(0.1)
        return process

    def output(self):
        return (self.folder / "output").read_text()

    def rows(self):
        """What the bucket holds, by a client that is never disturbed."""
        return rows(raysweep.open(self.direct, "away"))


def rows(results):
    found = results.runs().select(COLUMNS).to_pylist()
    return sorted(found, key=lambda row: row["run_id"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return rows(raysweep.run(SWEEP, store=tmp_path_factory.mktemp("here"), inline=True))


@pytest.fixture
def away(moto, tmp_path, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with Proxy(moto) as proxy:
        yield Away(moto, proxy, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "seconds"), [("slow down", 9), ("drop", 9), ("expired", 4), ("delay", 6)]
)
def test_a_bucket_that_fails_for_some_seconds_costs_no_run(away, undisturbed, fault, seconds):
    process = away.start_and_wait_for_a_checkpoint()
    away.proxy.fault = fault
    time.sleep(seconds)
    away.proxy.fault = None
    assert process.wait(60) == 0, away.output()
    assert away.proxy.disturbed > 3
    assert away.rows() == undisturbed


@pytest.mark.slow
def test_a_driver_killed_while_its_bucket_fails_loses_no_run(away, undisturbed):
    process = away.start_and_wait_for_a_checkpoint()
    away.proxy.fault = "drop"
    time.sleep(1)
    process.kill()
    assert process.wait() == -9
    away.proxy.fault = None
    assert away.start().wait(60) == 0, away.output()
    assert away.rows() == undisturbed


@pytest.mark.parametrize("fault", [None, "delay"])
def test_a_second_driver_of_a_bucket_is_refused_by_name(away, fault):
    files = SweepStore(away.direct, "away").files
    with Lease(files):
        away.proxy.fault = fault
        with pytest.raises(raysweep.LeaseHeld, match=r"being run by process \d+ on"):
            raysweep.run(SWEEP, store=away.uri, inline=True)

"""A local Ray whose raylet is killed, and what it leaves in its logs."""

import dataclasses
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import raysweep

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SECRET = "SECRETVALUE"
SWEEP = """
name: gone
tasks: {{walk: {{task: toy, steps: 200, delay_s: 0.05, trouble: {trouble}}}}}
estimators: {{ST: {{estimator: straight_through}}}}
seeds: 2
resources: {{checkpoint_s: 1, pack: 2}}
"""
FASTER = {  # so that a dead node is noticed within a few seconds
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}


def wait_until(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the driver ended too early"
        assert time.monotonic() < end
        time.sleep(0.05)


def raylet_of(driver):
    """The pid of the raylet that a driver started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            command = folder.joinpath("cmdline").read_text()
        except OSError:
            continue
        if int(parent) == driver and command.partition("\0")[0].endswith("/raylet"):
            return int(folder.name)
    raise AssertionError("no raylet")


@dataclasses.dataclass
class Incident:
    """What was seen of a driver whose raylet was killed, and of its successor."""

    mode: int
    leaks: list
    environment: dict
    seconds: float
    code: int
    output: str
    lease_left: bool
    code_again: int
    store: Path


@pytest.fixture(scope="module")
def incident(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gone")
    environment, output = folder / "environment.json", folder / "output"
    (folder / "trouble.json").write_text(json.dumps({"environment": str(environment)}))
    spec = folder / "gone.yaml"
    spec.write_text(SWEEP.format(trouble=folder / "trouble.json"))
    command = [sys.executable, "-m", "raysweep.cli.main", "run", spec, "--store", folder / "store"]

    def start():
        with output.open("w") as file:
            return subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **FASTER, "AWS_SECRET_ACCESS_KEY": SECRET},
                start_new_session=True,
            )

    driver = start()
    states = lambda: list(folder.glob("store/gone/checkpoints/*/state-*"))  # noqa: E731
    wait_until(lambda: states() and environment.exists(), driver)
    [session] = Path("/tmp").glob(f"raysweep-*/ray/session_*_{driver.pid}")
    files = [path for path in session.rglob("*") if path.is_file() and not path.is_symlink()]
    leaks = [path.name for path in files if SECRET.encode() in path.read_bytes()]
    mode = stat.S_IMODE(session.parent.parent.stat().st_mode)
    os.kill(raylet_of(driver.pid), signal.SIGKILL)
    began = time.monotonic()
    code = driver.wait(timeout=90)
    told, seconds = output.read_text(), time.monotonic() - began
    left = (folder / "store" / "gone" / "lease").exists()
    seen = json.loads(environment.read_text())
    again = start().wait(timeout=120)
    return Incident(mode, leaks, seen, seconds, code, told, left, again, folder / "store")


def test_the_folder_of_a_local_ray_is_private(incident):
    assert incident.mode == 0o700


def test_keys_in_the_environment_are_not_in_the_logs_of_ray(incident):
    assert incident.leaks == []


def test_workers_have_the_keys_of_the_environment(incident):
    assert incident.environment["AWS_SECRET_ACCESS_KEY"] == SECRET


def test_a_driver_without_its_raylet_ends_within_a_minute(incident):
    assert (incident.code, incident.seconds < 60) == (1, True)


def test_a_driver_without_its_raylet_says_so_in_one_line(incident):
    start, *lines = incident.output.splitlines()
    assert start == "starting Ray …"
    (line,) = (line for line in lines if not re.match(r"\d+ of \d+ runs", line))
    for part in (
        "raysweep: Ray is gone",
        "node on this machine died",
        "run the same command again",
    ):
        assert part in line


def test_a_driver_without_its_raylet_releases_the_lease(incident):
    assert not incident.lease_left


def test_the_same_command_resumes_after_the_raylet_died(incident):
    assert incident.code_again == 0
    statuses = raysweep.open(incident.store, "gone").runs()["status"].to_pylist()
    assert statuses == ["done", "done"]

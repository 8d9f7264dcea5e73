"""The service as users run it: its process, Ray, and drivers that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import raysweep
from raysweep.service.app import PREFIX
from raysweep.store import lease
from raysweep.store.files import Files

pytestmark = [pytest.mark.ray, pytest.mark.slow]
FILE = """\
name: {name}
tasks:
  walk: {{task: toy, steps: 40, delay_s: {delay_s}, report_every: 10}}
estimators:
  ST: {{estimator: straight_through}}
training:
  lr: [0.1, 0.2, 0.3]
seeds: 4
search: grid
select: {{metric: train_loss, mode: min}}
resources: {{cpu: 2, pack: 6, checkpoint_s: 0.1}}
"""
PATIENCE_S = 60


class Live:
    """The process of a service, and a client of its admin."""

    def __init__(self, folder):
        self.folder, self.store = folder, folder / "store"
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        self.environment["XDG_CACHE_HOME"] = str(folder / "cache")
        self.environment.pop("RAY_AUTH_MODE", None)
        self.process = None
        self.start()

    def start(self):
        command = [sys.executable, "-m", "raysweep", "serve", "--local", "--port", "0"]
        command += ["--store", str(self.store)]
        with (self.folder / "serve.log").open("w") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        url = wait(self._url)
        file = self.folder / "config/raysweep/tokens.json"
        wait(file.exists)
        tokens = json.loads(file.read_text())
        (token,) = set(tokens.values())
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=f"{url}{PREFIX}/", headers=headers, timeout=60)
        wait(lambda: self.client.get("health").status_code == 200)

    def _url(self):
        assert self.process.poll() is None, self.log
        words = self.log.split()
        return next((word for word in words if word.startswith("http://")), None)

    @property
    def log(self):
        return (self.folder / "serve.log").read_text()

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        self.client.close()

    def submit(self, name, delay_s=0.01):
        answer = self.client.post("sweeps", content=FILE.format(name=name, delay_s=delay_s))
        assert answer.status_code == 201, answer.text

    def show(self, name):
        return self.client.get(f"sweeps/{name}").json()

    def until(self, name, state):
        try:
            return wait(lambda: self.show(name)["state"] == state)
        except AssertionError as error:
            driver = self.client.get(f"sweeps/{name}/logs?driver=true").text
            raise AssertionError(f"{self.show(name)}\n{driver}\n{self.log}") from error

    def driver(self, name):
        """The process of the driver that holds a sweep."""
        holder = lease.read(Files(self.store).below(name))
        return holder.process.pid if holder else None


def wait(condition):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("waited for too long")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A service with a Ray of its own, which has token authentication on."""
    live = Live(tmp_path_factory.mktemp("live"))
    yield live
    live.stop(signal.SIGTERM)


def runs_of(live, name):
    return raysweep.open(live.store, name).runs()


def test_a_sweep_is_trained_by_a_job_and_told_to_who_watches(live):
    live.submit("watched")
    events = []
    with live.client.stream("GET", "sweeps/watched/events") as stream:
        events = [line for line in stream.iter_lines() if line.startswith(("event", "data"))]
    assert events[0] == "event: progress"
    assert events[-2] == "event: end"
    last = json.loads(events[-1].removeprefix("data: "))
    assert (last["state"], last["runs"]["done"]) == ("done", 12)
    assert "12 of 12 runs" in live.client.get("sweeps/watched/logs?driver=true").text


def test_a_cancelled_sweep_keeps_its_state_and_resumes(live):
    live.submit("cancelled", delay_s=0.1)
    wait(lambda: list(Path(live.store, "cancelled").glob("checkpoints/*/manifest.json")))
    assert live.client.post("sweeps/cancelled/cancel").status_code == 200
    live.until("cancelled", "stopped")
    assert list(Path(live.store, "cancelled").glob("checkpoints/*/manifest.json"))
    live.client.post("sweeps/cancelled/resume")
    live.until("cancelled", "done")
    ids = runs_of(live, "cancelled")["run_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 12


def test_a_killed_driver_starts_again_and_every_run_is_there_once(live):
    live.submit("killed", delay_s=0.1)
    pid = wait(lambda: live.driver("killed"))
    wait(lambda: list(Path(live.store, "killed").glob("checkpoints/*/manifest.json")))
    os.kill(pid, signal.SIGKILL)
    live.until("killed", "done")
    actions = [event["action"] for event in live.show("killed")["history"]]
    assert actions == ["submitted", "started", "died", "started", "done"]
    ids = runs_of(live, "killed")["run_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 12


def test_a_killed_service_finds_its_sweeps_again_and_their_drivers_run_on(live):
    live.submit("orphan", delay_s=0.1)
    pid = wait(lambda: live.driver("orphan"))
    live.stop(signal.SIGKILL)
    os.kill(pid, 0)  # it still runs
    live.start()
    assert live.show("orphan")["state"] == "running"
    live.until("orphan", "done")
    actions = [event["action"] for event in live.show("orphan")["history"]]
    assert actions == ["submitted", "started", "done"]


def test_a_stopped_service_stops_its_ray_and_continues_where_it_was(live):
    live.submit("stopped", delay_s=0.1)
    pid = wait(lambda: live.driver("stopped"))
    wait(lambda: list(Path(live.store, "stopped").glob("checkpoints/*/manifest.json")))
    live.stop(signal.SIGTERM)
    assert live.process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    live.start()
    live.until("stopped", "done")
    actions = [event["action"] for event in live.show("stopped")["history"]]
    assert actions == ["submitted", "started", "interrupted", "started", "done"]

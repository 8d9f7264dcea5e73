"""The start of a service: whom it leaves alone, and what sweep files may then name."""

import json
import queue
import signal
import time
from types import SimpleNamespace

import pytest
import uvicorn
from service_helpers import FakeJobs, Users

from raysweep.engine.local_cluster import LocalCluster
from raysweep.errors import SpecError, StoreError
from raysweep.service import server
from raysweep.service.access.tokens import FOLDER, Tokens
from raysweep.service.config import Config
from raysweep.service.service import held
from raysweep.store.files import Files
from raysweep.store.lease import NAME, Lease, read
from raysweep.store.process import own_process

TASK = """
import raysweep

@raysweep.task(metrics={"train_loss": "min"})
def countdown(run, *, start: float = 1.0):
    for step in run.steps(2):
        run.report(train_loss=start - step)
"""
FILE = """
name: counted
tasks: {down: {task: countdown}}
methods: {one: {start: [1.0, 2.0]}}
seeds: 2
select: {metric: train_loss, mode: min}
"""


@pytest.fixture(autouse=True)
def _signals_of_before():
    """Let no test change what the process does at SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_second_service_of_a_store_does_not_end_the_ray_of_the_first(tmp_path, monkeypatch):
    ended = []
    cluster = LocalCluster("http://127.0.0.1:1", own_process(), None)
    monkeypatch.setattr(LocalCluster, "stop", ended.append)
    monkeypatch.setattr(server.local_cluster, "running", lambda file: cluster)
    with Lease(Files(tmp_path).below(FOLDER)), pytest.raises(SpecError, match="already served"):
        server.serve(Config(store=str(tmp_path), port=0), local=True, show=print)
    assert not ended


def test_a_service_that_lost_its_store_starts_no_drivers(users):
    files = Files(users.service.store.uri).below(FOLDER)
    with held(users.service.store) as check:
        users.service.supervisor.check = check
        users.submit()
        users.step()
        holder = read(files)
        files.write(NAME, json.dumps({**holder.to_json(), "token": "of another"}).encode())
        lost = time.monotonic() + 30
        while time.monotonic() < lost and not is_lost(check):
            time.sleep(0.05)
        users.submit(name="later")
        with pytest.raises(StoreError, match="another service took the store over"):
            users.step()
    assert not [job for job in users.jobs.commands if job.endswith("-later")]


def is_lost(check):
    try:
        check()
    except StoreError:
        return True
    return False


def test_ray_of_this_machine_starts_again_when_it_ends_and_jobs_move_to_it(tmp_path, monkeypatch):
    def cluster(port, life):
        return LocalCluster(f"http://127.0.0.1:{port}", SimpleNamespace(life=lambda: life), None)

    first, second = cluster(1, "dead"), cluster(2, "alive")
    started = []
    monkeypatch.setattr(server, "LOOK_S", 0.01)
    monkeypatch.setattr(server.local_cluster, "running", lambda file: first)
    monkeypatch.setattr(server.local_cluster, "start", lambda file: started.append(file) or second)
    moved = queue.Queue()
    ray = server._LocalRay(str(tmp_path), lambda line: None)
    with ray.restarting(SimpleNamespace(move=moved.put)):
        assert moved.get(timeout=30) == "http://127.0.0.1:2"
    assert len(started) == 1


def test_sweep_files_may_name_the_tasks_of_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "tasks_of_ours.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "RayJobs", lambda *arguments: FakeJobs())
    checked = []

    def check(self, sockets):
        sweeps = self.config.app.state.parts.service.sweeps
        checked.append(sweeps.check(FILE).name)

    monkeypatch.setattr(uvicorn.Server, "run", check)
    config = Config(store=str(tmp_path / "store"), port=0, code=("tasks_of_ours.py",))
    server.serve(config, local=False, show=print)
    assert checked == ["counted"]


def test_tokens_that_have_expired_do_not_open_a_service_to_other_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: pytest.fail("it started"))
    Tokens(Files(tmp_path)).create("ada", "admin", days=1e-9)
    with pytest.raises(SpecError, match="expected valid tokens before other machines can reach"):
        server.serve(Config(store=str(tmp_path), host="0.0.0.0", port=0), local=False, show=print)


def test_tasks_that_cannot_be_imported_end_the_start(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text("import raysweep_of_nobody\n")
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: pytest.fail("it started"))
    config = Config(store=str(tmp_path / "s"), port=0, code=(str(tmp_path / "wrong.py"),))
    with pytest.raises(SpecError, match=r"wrong\.py: cannot be imported"):
        server.serve(config, local=False, show=print)


@pytest.mark.parametrize("setting", ["code", "data"])
@pytest.mark.parametrize("path", ["ours", "~/ours"])
def test_drivers_get_paths_that_hold_in_any_folder(tmp_path, monkeypatch, setting, path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    given = (path,) if setting == "code" else path
    users = Users(tmp_path / "store", **{setting: given})
    users.submit()
    users.step()
    (command,) = users.jobs.commands.values()
    assert command[-2:] == [f"--{setting}", str(tmp_path / "ours")]
    users.close()

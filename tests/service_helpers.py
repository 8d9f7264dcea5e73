"""A service without Ray: jobs that a test ends, sweeps of the toy task, users of every role."""

import contextlib
import dataclasses
import socket
import threading
import time

import httpx
import ruamel.yaml
import uvicorn

import raysweep
from raysweep.engine.jobs import Job, Load
from raysweep.errors import ClusterError
from raysweep.service.app import PREFIX, create_app
from raysweep.service.config import Config
from raysweep.service.service import assemble

FILE = """\
name: {name}
tasks:
  walk: {{task: toy, steps: 3}}
estimators:
  ST: {{estimator: straight_through}}
training:
  lr: [0.1, 0.2]
seeds: {seeds}
search: grid
select: {{metric: train_loss, mode: min}}
"""


def file_of(name="walks", seeds=2):
    """The text of a sweep file of four runs in the time of a blink."""
    return FILE.format(name=name, seeds=seeds)


@contextlib.contextmanager
def listening(app):
    """Serve an application from a thread; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [port]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class FakeJobs:
    """Jobs that start nothing, until a test says how they go on."""

    def __init__(self):
        self.commands, self.known, self.stopped, self.down = {}, {}, [], False

    def _check(self):
        if self.down:
            raise ClusterError("no answer from the jobs of the Ray cluster")

    def start(self, job_id, command):
        self._check()
        self.commands.setdefault(job_id, list(command))
        self.known.setdefault(job_id, Job(job_id, True))

    def jobs(self, prefix):
        self._check()
        return {name: job for name, job in self.known.items() if name.startswith(prefix)}

    def stop(self, job_id):
        self._check()
        self.stopped.append(job_id)

    def logs(self, job_id):
        return f"log of {job_id}\n"

    def load(self):
        self._check()
        return Load(nodes=2, cpus=16.0, cpus_used=3.0)

    def end(self, job_id, code=0, text="", *, stopped=False):
        """End a job."""
        self.known[job_id] = Job(job_id, False, code, text, stopped)


class Users:
    """A service, and clients of it with tokens of each role."""

    def __init__(self, store, jobs=None, **settings):
        self.jobs = jobs or FakeJobs()
        self.service = assemble(Config(store=str(store), **settings), self.jobs)
        self.app = create_app(self.service)
        self.tokens = {
            name: self.service.tokens.create(name, role)
            for name, role in (
                ("vera", "viewer"),
                ("max", "member"),
                ("mia", "member"),
                ("ada", "admin"),
            )
        }

        self._open = contextlib.ExitStack()
        self.url = self._open.enter_context(listening(self.app))

    def close(self):
        """End the server and its clients."""
        self._open.close()

    def client(self, name=None, token=None, prefix=PREFIX):
        """A client as one of the users; nobody for None."""
        token = token or (self.tokens[name] if name else None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(base_url=f"{self.url}{prefix}/", headers=headers, timeout=60)
        return self._open.enter_context(client)

    def step(self):
        """Let the supervisor look at the sweeps once."""
        self.service.catalogue.poll()
        self.service.supervisor.step()
        self.service.catalogue.poll()

    def state(self, name="walks"):
        """The state of a sweep, as the service knows it."""
        return self.service.catalogue.refresh(name).state

    def last_job(self, name="walks"):
        """The identity of the last job of a sweep."""
        number = self.service.sweeps.submissions.read(name).jobs
        return self.service.supervisor.job_id(name, number)

    def drive(self, name="walks", code=0):
        """Train a sweep in this process, as its job would, and end the job."""
        submission = self.service.sweeps.submissions.read(name)
        spec = ruamel.yaml.YAML(typ="safe").load(submission.text)
        raysweep.run(spec, store=self.service.store.uri, inline=True, quiet=True)
        self.jobs.end(self.last_job(name), code)

    def submit(self, user="max", **content):
        """Submit a sweep; the answer must be a good one."""
        answer = self.client(user).post("sweeps", content=file_of(**content))
        assert answer.status_code == 201, answer.text
        return answer.json()


def replaced(value, **changes):
    """A dataclass with other values."""
    return dataclasses.replace(value, **changes)

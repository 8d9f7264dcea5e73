"""A service of a store on a port of this machine, whose drivers train in this process."""

import contextlib
import io
import threading
from unittest import mock

import pytest
from figure_helpers import searching, spec_of, store_of
from rich.console import Console
from service_helpers import listening

from raysweep.cli.main import main
from raysweep.client.server import Server
from raysweep.driver import session
from raysweep.engine.jobs import Job
from raysweep.errors import RaysweepError, SpecError
from raysweep.progress import Progress
from raysweep.service import drive, submissions, supervisor
from raysweep.service.api import events
from raysweep.service.app import create_app
from raysweep.service.config import Config
from raysweep.service.service import assemble, running
from raysweep.store.files import Files

QUICK_S = 0.02  # between two looks of the service, instead of a second


class InlineJobs:
    """Jobs on no cluster: one thread for each, which trains as `raysweep run --inline` does.

    Attributes:
        held: Whether drivers wait, before they train, for `release` or a stop.
        ends: Exit codes and texts of the next drivers, which do not train.
    """

    def __init__(self):
        self.held, self.ends = False, []
        self._jobs, self._logs, self._threads = {}, {}, []
        self._goes, self._stopped = threading.Event(), set()
        self._one = threading.Lock()

    def release(self):
        """Let the drivers that wait train."""
        self.held = False
        self._goes.set()
        self._goes = threading.Event()

    def start(self, job_id, command):
        if job_id not in self._jobs:
            self._jobs[job_id] = Job(job_id, active=True)
            waits = self._goes if self.held else None
            thread = threading.Thread(target=self._run, args=(job_id, command[3:5], waits))
            self._threads.append(thread)
            thread.start()

    def jobs(self, prefix):
        return {name: job for name, job in dict(self._jobs).items() if name.startswith(prefix)}

    def stop(self, job_id):
        self._stopped.add(job_id)
        self._goes.set()
        self._goes = threading.Event()

    def logs(self, job_id):
        return self._logs.get(job_id, "")

    def load(self):
        return {}

    def close(self):
        self.release()
        for thread in self._threads:
            thread.join()

    def _run(self, job_id, words, waits):
        if waits is not None:
            waits.wait()
        code, text = 143, ""
        if self.ends:
            code, text = self.ends.pop(0)
        elif job_id not in self._stopped:
            with self._one:
                code, text = self._drive(job_id, *words)
        stopped = job_id in self._stopped
        self._jobs[job_id] = Job(job_id, False, code, text, stopped)

    def _drive(self, job_id, store, sweep):
        out = io.StringIO()
        try:
            submission = submissions.Submissions(Files(store)).read(sweep)
            done = session.drive(
                submissions.spec_of(sweep, submission.text),
                store=store,
                data=None,
                address=None,
                inline=True,
                progress=Progress(Console(file=out)),
                retry_failed=submission.retry_failed,
            )
            code, lines = done.exit_code, [f"{len(done.failed)} failed"] if done.failed else []
        except SpecError as error:
            code, lines = 2, error.problems
        except RaysweepError as error:
            code, lines = drive.TRY_AGAIN, [str(error)]
        text = "".join(f"raysweep: {line}\n" for line in lines)
        self._logs[job_id] = out.getvalue() + text
        return code, text


class Live:
    """A service that listens.

    Attributes:
        url: Its address.
        store: Path of its store.
        jobs: Its drivers.
        service: Its parts.
        app: Its application.
    """

    def __init__(self, url, service, app):
        self.url, self.service, self.app = url, service, app
        self.store, self.jobs = service.store.uri, service.jobs

    def token(self, name="ada", role="admin", days=None):
        """A new token of a user."""
        return self.service.tokens.create(name, role, days)


@contextlib.contextmanager
def serving(store, **settings):
    """Serve a store until the end of the block."""
    with contextlib.ExitStack() as stack:
        for module, name in ((supervisor, "POLL_S"), (supervisor, "FIRST_PAUSE_S")):
            stack.enter_context(mock.patch.object(module, name, QUICK_S))
        stack.enter_context(mock.patch.object(events, "LOOK_S", QUICK_S))
        jobs = InlineJobs()
        service = assemble(Config(store=str(store), **settings), jobs)
        service.catalogue.poll()
        app = create_app(service)
        stack.enter_context(running(service))
        stack.callback(jobs.close)
        yield Live(stack.enter_context(listening(app)), service, app)


def stored_sweeps(folder):
    """Three sweeps with failures, changed code, a description, and a search."""

    def ended(task, estimator, place, seed):
        failed = (task, estimator, seed) == ("B", "RF", 1)
        return "failed" if failed else {"A": 10.0, "B": 20.0}[task] - place + seed

    def about(task, estimator, place, seed):
        more = {"error": "RuntimeError: unlucky", "attempts": 1} if estimator == "RF" else {}
        return {"code": f"{'ab'[seed % 2] * 16}+{'c' * 16}", "pack_id": "0" * 16, **more}

    store_of(folder, spec_of(tags=["draft"], description="Two tasks"), ended, about=about)
    store_of(folder, spec_of(name="other", seeds=2))
    points = [{"training.optimizer": "adam", "training.lr": 10**-at} for at in (2, 3, 4)]
    store_of(folder, searching(name="search"), points=lambda arm: points)
    return folder


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """A service of a store with results; no test changes it."""
    with serving(stored_sweeps(tmp_path_factory.mktemp("stored"))) as live:
        yield live


@pytest.fixture
def live(tmp_path):
    """A service of an empty store."""
    with serving(tmp_path / "store") as live:
        yield live


@pytest.fixture
def server(live):
    """An admin at the service of an empty store."""
    return Server(live.url, live.token())


@pytest.fixture(autouse=True)
def _nothing_of_this_user(tmp_path, monkeypatch):
    """Let no test see the tokens, data and variables of the user who runs it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "data"))
    for name in ("RAYSWEEP_SERVER", "RAYSWEEP_TOKEN", "RAYSWEEP_STORE"):
        monkeypatch.delenv(name, raising=False)


SWEEP = """
name: small
tasks:
  walk: {task: toy}
estimators:
  ST: {estimator: straight_through, temperature: [1.0, 1.5]}
seeds: 2
"""


@pytest.fixture
def user(capsys, tmp_path, monkeypatch, live):
    """Runs a command of an admin, in a folder with the sweep; exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSWEEP_TOKEN", live.token())
    monkeypatch.setenv("RAYSWEEP_SERVER", live.url)
    (tmp_path / "small.yaml").write_text(SWEEP)

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def ended(user):
    """The same, after the sweep has ended."""
    assert user("submit", "small.yaml", "--watch")[0] == 0
    return user

"""Packs that may hang are named, in progress and in the status; without Ray."""

import io
import time

import pytest
from rich.console import Console

from raysweep import api, progress
from raysweep.driver import session
from raysweep.formats.status import status_text
from raysweep.progress import Progress, View
from raysweep.store.checkpoints import Checkpoints, Manifest, Pace
from raysweep.store.lease import Lease
from raysweep.store.pauses import Pauses
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec
from raysweep.testing.toy import Toy

SPEC = {
    "name": "hangs",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 4,
    "resources": {"pack": 2},
}


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path):
    store = SweepStore(str(tmp_path), "hangs")
    store.prepare(read_spec(SPEC))
    return store


@pytest.fixture
def packs(store):
    """Two packs in flight, and their schedule."""
    schedule = session.plan(read_spec(SPEC), store.store.uri)
    return schedule, [schedule.next_pack().pack_id for _ in range(2)]


def steps(pauses, times):
    for step, now in enumerate(times):
        pauses.note(step, now)


@pytest.mark.parametrize(
    ("times", "now", "silent"),
    [
        ([1, 2, 3], 32, None),
        ([1, 2, 3], 34, 31),
        ([1, 11, 21], 120, None),
        ([1, 11, 21], 122, 101),
        ([1], 300, None),
        ([], 301, 301),
    ],
    ids=["floor", "beyond the floor", "ten pauses", "beyond ten", "first step", "no step"],
)
def test_a_pack_may_hang_after_ten_times_its_longest_pause(times, now, silent):
    pauses = Pauses(0)
    steps(pauses, times)
    assert pauses.silent_s(now) == silent


def test_the_progress_names_the_pack_that_may_hang(packs):
    schedule, (first, second) = packs
    clock = Clock()
    view = View(schedule, clock)
    for clock.now in range(60):
        view.note({"pack_id": first, "step": min(clock.now, 9), "steps": 100})
        view.note({"pack_id": second, "step": clock.now, "steps": 100})
    assert f", no step of pack {first} for 50 s" in view.line()
    assert second not in view.line()


def test_the_progress_counts_further_packs_that_may_hang(packs):
    schedule, pack_ids = packs
    clock = Clock()
    view = View(schedule, clock)
    for pack_id in pack_ids:
        view.note({"pack_id": pack_id, "began": True})
    clock.now = 400
    assert "for 6 min 40 s (and of 1 more)" in view.line()


def test_lines_of_progress_come_while_no_pack_reports(packs, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 0.05)
    out = io.StringIO()
    with Progress(Console(file=out)).watching(packs[0]):
        time.sleep(0.5)
    assert len(out.getvalue().splitlines()) > 3


@pytest.fixture
def told(store, packs):
    """The status of a sweep of which a pack in flight has this pace."""

    def tell(token, silent_s, longest_s):
        schedule, (pack_id, _) = packs
        pack = schedule.in_flight[pack_id]
        ids = tuple(run.run_id for run in pack.runs)
        checkpoint = Checkpoints(store.files, pack_id)
        checkpoint.write(Manifest(pack, 0, ids, (), 0, 0.0, "2026-01-01T00:00:00+00:00"), None)
        checkpoint.write_progress(10, Pace(token, time.time() - silent_s, longest_s))
        return status_text(store.store.uri, "hangs"), pack_id

    return tell


def test_the_status_names_the_pack_that_may_hang(store, told):
    with Lease(store.files) as lease:
        text, pack_id = told(lease.token, 100, 5.0)
    assert f"pack {pack_id}: no step for 1 min 40 s; it may hang\n" in text


def test_the_status_names_a_pack_that_may_hang_before_its_first_checkpoint(store, packs):
    pack_id = packs[1][0]
    with Lease(store.files) as lease:
        pace = Pace(lease.token, time.time() - 400, None)
        Checkpoints(store.files, pack_id).write_progress(0, pace)
        text = status_text(store.store.uri, "hangs")
    assert f"pack {pack_id}: no step for 6 min 40 s; it may hang\n" in text


def test_the_status_names_no_pack_that_takes_its_usual_time(store, told):
    with Lease(store.files) as lease:
        text, _ = told(lease.token, 100, 20.0)
    assert "may hang" not in text


def test_the_status_names_no_pack_that_waits_since_an_earlier_session(store, told):
    with Lease(store.files):
        text, _ = told("of another driver", 100, 5.0)
    assert "may hang" not in text


def test_the_status_names_no_pack_of_a_sweep_that_nobody_drives(told):
    assert "may hang" not in told("of a driver that ended", 100, 5.0)[0]


def test_a_worker_writes_when_its_pack_made_the_last_step(store, tmp_path, monkeypatch):
    written = []
    real = Checkpoints.write_progress

    def write(self, executed, pace):
        written.append((time.time() - pace.stepped_at, pace.longest_pause_s))
        real(self, executed, pace)

    monkeypatch.setattr(Checkpoints, "write_progress", write)
    task = {"task": "toy", "delay_s": 0.2, "steps": 8, "report_every": 8}
    spec = {**SPEC, "tasks": {"walk": task}, "seeds": 1}
    api.run(spec, store=tmp_path, inline=True)
    assert written[0][1] is None
    assert 0.19 < written[-1][1] < 2
    assert 0 <= written[-1][0] < 2


def test_a_worker_writes_that_a_pack_begins_before_its_task_starts(tmp_path, monkeypatch):
    class Stuck(Exception):
        pass

    def start(*given):
        raise Stuck

    written = []
    monkeypatch.setattr(Toy, "start", start)
    monkeypatch.setattr(Checkpoints, "write_progress", lambda *given: written.append(given))
    api.run(SPEC, store=tmp_path, inline=True)
    assert written

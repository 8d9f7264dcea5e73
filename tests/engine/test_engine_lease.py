"""A session whose lease or store goes away: what it says, and that nothing is written after."""

import json
import shutil
import threading
import time

import pytest

import raysweep
from raysweep.driver import session
from raysweep.scheduling.scheduler import Schedule
from raysweep.store.files import Files
from raysweep.store.sweep_store import SweepStore


@pytest.fixture
def during(tmp_path):
    """Does something to the sweep's folder once a pack trains."""
    threads = []

    def arrange(action):
        folder = tmp_path / "store" / "toys"

        def wait():
            while not list(folder.glob("checkpoints/*/manifest.json")):
                time.sleep(0.02)
            action(folder)

        thread = threading.Thread(target=wait)
        thread.start()
        threads.append(thread)

    yield arrange
    for thread in threads:
        thread.join()


def test_a_store_that_was_deleted_is_said_to_be_gone(inline, toy, during, tmp_path):
    def delete(folder):
        shutil.rmtree(folder.rename(tmp_path / "deleted"))  # at once, whatever is written now

    during(delete)
    with pytest.raises(raysweep.StoreError, match=r"lease is gone: .*the store was deleted"):
        inline(toy(task={"delay_s": 0.2}))
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_driver_that_was_replaced_names_the_other_and_writes_nothing(
    inline, toy, during, tmp_path
):
    def take(folder):
        other = {**json.loads((folder / "lease").read_text()), "token": "other", "pid": 77}
        Files(folder).write("lease", json.dumps(other).encode())

    during(take)
    with pytest.raises(raysweep.StoreError, match=r"process 77 on .* took the sweep over; let it"):
        inline(toy(task={"delay_s": 0.2}))
    assert not list((tmp_path / "store").rglob("*.parquet"))
    assert json.loads((tmp_path / "store" / "toys" / "lease").read_text())["token"] == "other"


@pytest.fixture
def schedule(tmp_path, toy):
    """A schedule with a pack in flight."""
    spec = session.load(toy())
    found = Schedule(spec, SweepStore(str(tmp_path / "store"), spec.name))
    found.store.prepare(spec)
    found.arrange(session.pack_size(spec, 1))
    return found


def test_a_pack_whose_worker_missed_a_suspended_driver_is_trained_again(schedule):
    pack = schedule.next_pack()
    schedule.still_mine = lambda: True
    schedule.pack_failed(pack.pack_id, "orphan", "the driver has not renewed its lease for 31 s")
    assert schedule.fatal is None
    assert schedule.missing == 6
    time.sleep(1.1)  # the first pause
    assert schedule.next_pack().pack_id == pack.pack_id


def test_a_pack_is_not_trained_again_by_a_driver_that_lost_its_sweep(schedule):
    pack = schedule.next_pack()
    schedule.still_mine = lambda: False
    schedule.pack_failed(pack.pack_id, "orphan", "process 77 on elsewhere took the sweep over")
    assert schedule.next_pack() is None

"""A session whose lease or store goes away: what it says, and that nothing is written after."""

import json
import shutil
import threading
import time

import pytest

import raysweep
from raysweep.store.files import Files


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
    during(shutil.rmtree)
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

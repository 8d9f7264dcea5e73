"""A worker's view of its driver: silence, replacement, and a lease that cannot be read."""

import json
import subprocess

import pytest

import raysweep
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing
from raysweep.store.retry import Patience
from raysweep.store.watch import DriverGone, DriverWatch

LEASE = {"token": "t", "host": "elsewhere", "pid": 12, "started": "1", "epoch": 4, "heartbeat": 1.0}


class Clock:
    """Time that passes only where somebody sleeps; `at_sleep` is called then."""

    def __init__(self):
        self.now = 1000.0
        self.at_sleep = lambda: None

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.at_sleep()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "sweep")


@pytest.fixture
def watch(files, clock):
    write(files)
    return DriverWatch(files, "t", Timing(clock=clock, sleep=clock.sleep))


def write(files, **changes):
    files.write("lease", json.dumps({**LEASE, **changes}).encode())


def make_unreadable(files):
    files.remove("lease")
    subprocess.run(["mkdir", files.path("lease")], check=True)


def watch_for(watch, clock, seconds):
    for _ in range(int(seconds)):
        clock.now += 1.0
        watch.poll()


def test_a_lease_that_stands_still_for_half_a_minute_is_silence(watch, clock):
    watch_for(watch, clock, 31)
    with pytest.raises(DriverGone, match="has not renewed its lease for 31 s: it was suspended"):
        watch_for(watch, clock, 1)


def test_a_driver_that_renews_its_lease_is_never_silent(files, watch, clock):
    for beat in range(20):
        write(files, beat=beat)
        watch_for(watch, clock, 20)


def test_a_driver_that_was_replaced_is_gone_at_once(files, watch):
    watch.check()
    write(files, token="other", pid=13)
    with pytest.raises(DriverGone, match="process 13 on elsewhere took the sweep over"):
        watch.check()


def test_a_lease_that_is_gone_ends_the_work(files, watch):
    files.remove("lease")
    with pytest.raises(DriverGone, match="lease is gone: the driver ended, or the store was"):
        watch.check()


def test_a_lease_not_to_be_seen_for_a_moment_is_not_gone(files, watch, clock):
    files.remove("lease")
    clock.at_sleep = lambda: write(files)
    watch.check()


def test_an_unreadable_lease_is_no_silence(files, watch, clock):
    watch.check()
    make_unreadable(files)
    watch_for(watch, clock, 50)
    subprocess.run(["rmdir", files.path("lease")], check=True)
    write(files)
    watch_for(watch, clock, 20)


def test_nothing_is_written_while_the_lease_cannot_be_read(files, watch):
    make_unreadable(files)
    with pytest.raises(raysweep.StoreError, match=r"cannot read .*lease"):
        watch.guard()


def test_a_lease_that_cannot_be_read_for_over_a_minute_ends_the_work(files, watch, clock):
    watch.check()
    make_unreadable(files)
    with pytest.raises(raysweep.StoreError, match=r"cannot read .*lease"):
        watch_for(watch, clock, 80)
    assert 60 < clock.now - 1000.0 < 75


def test_silence_is_only_what_was_seen(files, watch, clock):
    """Worker and driver were suspended together; the driver renews a little later."""
    watch.check()
    clock.now += 300.0
    clock.at_sleep = lambda: write(files, beat=1)
    watch.check()


def test_silence_after_a_long_step_is_believed_after_another_look(watch, clock):
    watch.check()
    clock.now += 300.0
    with pytest.raises(DriverGone, match="has not renewed"):
        watch.check()
    assert clock.now - 1300.0 > 5.0


def test_a_damaged_lease_is_looked_at_again(files, watch):
    files.write("lease", b"{")
    patient = files.with_patience(Patience(watch.guard, sleep=lambda seconds: write(files)))
    patient.write("rows", b"")
    assert files.read("rows") == b""

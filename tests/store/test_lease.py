"""Who drives a sweep: what refuses a driver, what takes a dead one's sweep over, what is a loss."""

import json
import subprocess
import sys
import time

import pytest

import raysweep
from raysweep.formats.status import list_text
from raysweep.store import lease, process
from raysweep.store.files import Files
from raysweep.store.lease_timing import Timing

QUICK = Timing(renew_s=0.1, silence_s=0.6, settle_s=0.02)
AWAY = {"token": "t", "host": "elsewhere", "pid": 12, "started": "1", "epoch": 4, "heartbeat": 1.0}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "store").below("sweep")


@pytest.fixture
def said():
    return []


def write(files, **content):
    files.write("lease", json.dumps({**AWAY, **content}).encode())


def enter(files, said=None, timing=QUICK):
    return lease.Lease(files, timing, (said if said is not None else []).append)


def own(**changes):
    """A lease's content that names a process of this machine and container."""
    here = process.own_process()
    return {**vars(here), "heartbeat": time.time(), **changes}


def lose(held, within_s=3.0):
    assert held.lost.wait(within_s)
    return str(held.error())


def test_a_renewal_that_does_not_come_back_is_trouble(files):
    clock = [0.0]
    with enter(files, timing=Timing(renew_s=100.0, settle_s=0.02, clock=lambda: clock[0])) as held:
        assert not held.in_trouble
        clock[0] = 301.0
        assert held.in_trouble


def test_a_living_driver_of_this_machine_refuses_another_at_once(files):
    with enter(files):
        began = time.monotonic()
        with pytest.raises(raysweep.LeaseHeld, match=r"being run by process \d+ on .*; stop it"):
            enter(files).__enter__()
        assert time.monotonic() - began < QUICK.silence_s / 2


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"started": "1"}, {"pid": 2**80}])
def test_a_dead_driver_of_this_machine_is_taken_over_at_once(files, said, change):
    write(files, **own(**change))
    with enter(files, said, Timing(settle_s=0.02)) as held:
        assert held.holder.epoch == 5
    assert not said


@pytest.mark.parametrize(
    "change",
    [{"host": "elsewhere"}, {"boot": "another"}, {"namespace": "pid:[1]"}, {"boot": ""}],
    ids=["host", "boot", "container", "older version"],
)
def test_a_driver_elsewhere_is_waited_for_whatever_its_number_and_clock(files, said, change):
    write(files, **own(pid=2**22 + 1, heartbeat=0.0, **change))
    began = time.monotonic()
    with enter(files, said):
        assert time.monotonic() - began >= QUICK.silence_s
    assert said[0].startswith("waiting up to 1 s to see whether process 4194305 on ")


def test_a_driver_elsewhere_that_renews_its_lease_refuses_another(files):
    write(files)
    beats = iter(range(2, 100))

    def sleep(seconds):
        write(files, heartbeat=1.0, beat=next(beats))

    with pytest.raises(raysweep.LeaseHeld, match="being run by process 12 on elsewhere"):
        enter(files, timing=Timing(sleep=sleep)).__enter__()


def test_a_driver_whose_clock_stands_still_renews_its_lease_visibly(files):
    with enter(files):
        first = files.read("lease")
        time.sleep(3 * QUICK.renew_s)
        assert files.read("lease") != first


def test_a_reader_suspended_with_the_driver_waits_for_what_it_can_see(files):
    """The clock jumps by an hour while both are suspended; the driver then renews."""
    write(files)
    now = iter([0.0, 3600.0, *range(3601, 4000)])
    looks = iter(range(100))

    def sleep(seconds):
        if next(looks) == 2:
            write(files, beat=1)

    with pytest.raises(raysweep.LeaseHeld):
        enter(files, timing=Timing(clock=lambda: next(now), sleep=sleep)).__enter__()


def test_a_lease_that_goes_away_while_it_is_watched_is_created_anew(files):
    write(files)
    timing = Timing(sleep=lambda seconds: files.remove("lease"), settle_s=0.0)
    with enter(files, timing=timing) as held:
        assert held.holder.epoch == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"token": 3}'],
    ids=["empty", "null", "list", "nothing", "latin", "deep", "kind"],
)
def test_a_damaged_lease_is_watched_then_replaced(files, said, data):
    files.write("lease", data)
    with enter(files, said) as held:
        assert held.still_mine()
    assert "a driver whose lease is damaged" in said[0]


def test_a_holder_renews_its_lease_where_that_was_damaged(files):
    with enter(files) as held:
        files.write("lease", b"{")
        time.sleep(4 * QUICK.renew_s)
        assert not held.lost.is_set()
        assert lease.read(files).token == held.token


def test_a_lease_that_cannot_be_read_for_a_moment_is_kept(files, said):
    with enter(files, said) as held:
        files.remove("lease")
        folder = files.path("lease")
        subprocess.run(["mkdir", folder], check=True)
        time.sleep(3 * QUICK.renew_s)
        subprocess.run(["rmdir", folder], check=True)
        files.write("lease", json.dumps(held.holder.to_json()).encode())
        time.sleep(3 * QUICK.renew_s)
        assert held.still_mine()
    assert "could not be renewed; trying again for up to 1 s: cannot read" in said[0]


def test_a_lease_that_cannot_be_read_until_it_expires_is_lost_with_the_reason(files):
    with enter(files) as held:
        files.remove("lease")
        subprocess.run(["mkdir", files.path("lease")], check=True)
        assert "the lease could not be renewed for 1 s: cannot read" in lose(held)
        with pytest.raises(raysweep.StoreError, match="could not be renewed"):
            held.check()


def test_a_lease_taken_over_names_who_took_it(files):
    with enter(files) as held:
        write(files)
        assert lose(held).startswith("stopped: process 12 on elsewhere took the sweep over; let it")
    assert lease.read(files).token == "t"


def test_a_lease_that_was_removed_is_lost_as_gone(files):
    with enter(files) as held:
        files.remove_folder("")
        assert "lease is gone: the store was deleted, or the lease was removed" in lose(held)
    assert files.read("lease") is None


def fail_to_write(held, store_deleted=False):
    with held:
        if store_deleted:
            held.files.remove_folder("")
        raise raysweep.StoreError("cannot write progress.json")


def test_a_write_that_fails_in_a_deleted_store_says_that_the_store_is_gone(files):
    held = enter(files, timing=Timing(renew_s=100.0, settle_s=0.02))  # no renewal is the first
    with pytest.raises(raysweep.StoreError, match="lease is gone: the store was deleted") as raised:
        fail_to_write(held, store_deleted=True)
    assert "cannot write progress.json" in str(raised.value.__cause__)


def test_a_write_that_fails_while_the_lease_is_held_is_raised_as_it_is(files):
    with pytest.raises(raysweep.StoreError, match=r"^cannot write progress\.json$"):
        fail_to_write(enter(files))
    assert files.read("lease") is None


class Suspended:
    """A clock that jumps when it is told to, as where a process was suspended."""

    jump = 0.0

    def __call__(self):
        return time.monotonic() + self.jump


def test_a_suspended_driver_resumes_where_nobody_took_its_sweep(files, said):
    clock = Suspended()
    timing = Timing(renew_s=0.2, silence_s=5.0, settle_s=0.02, clock=clock)
    with enter(files, said, timing) as held:
        time.sleep(0.1)
        clock.jump = 60.0
        held.check()
        time.sleep(0.5)
        assert held.still_mine()
    assert "suspended for 60 s; nobody took the sweep over, so it resumes" in said[0]


def test_a_suspended_driver_says_so_where_its_sweep_was_taken(files):
    clock = Suspended()
    timing = Timing(renew_s=0.5, silence_s=5.0, settle_s=0.02, clock=clock)
    with enter(files, timing=timing) as held:
        time.sleep(0.2)
        write(files)
        clock.jump = 60.0
        assert "took the sweep over after this process had been suspended for 60 s" in lose(held)


def test_a_driver_whose_lease_expired_asks_the_store_before_it_writes(files):
    clock = Suspended()
    timing = Timing(renew_s=100.0, silence_s=5.0, settle_s=0.02, clock=clock)
    held = enter(files, timing=timing)
    held.__enter__()
    write(files)
    held.check()  # the lease has not expired: nobody can have taken it
    clock.jump = 60.0
    with pytest.raises(raysweep.StoreError, match="process 12 on elsewhere took the sweep over"):
        held.check()
    held.__exit__(None, None, None)


def test_the_first_error_is_not_hidden_by_a_lease_that_cannot_be_removed(files):
    held = enter(files)
    held.__enter__()
    files.remove("lease")
    subprocess.run(["mkdir", files.path("lease")], check=True)
    held.__exit__(RuntimeError, RuntimeError("first"), None)  # raises nothing of its own


def test_a_lease_that_cannot_be_removed_at_the_end_is_said(files, said):
    with enter(files, said, Timing(settle_s=0.02)):
        files.remove("lease")
        subprocess.run(["mkdir", files.path("lease")], check=True)
    assert said[0].startswith("the lease could not be removed, so the next driver must wait: ")


def test_status_says_at_once_what_is_known_of_a_driver_elsewhere(files, tmp_path):
    raysweep.run(
        {
            "name": "sweep",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "seeds": 1,
        },
        store=tmp_path / "store",
        inline=True,
    )
    write(files, heartbeat=time.time() - 40)
    text = list_text(str(tmp_path / "store"))
    assert "process 12 on elsewhere drove it 40 s ago, if its clock is right" in text


WATCH = """
import sys
from raysweep.store import lease
from raysweep.store.files import Files
with lease.Lease(Files(sys.argv[1])) as held:
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_a_driver_in_another_container_with_the_same_host_name_is_not_taken_over(tmp_path):
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a PID namespace here")
    command = [*inside, sys.executable, "-c", WATCH, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as driver:
        assert driver.stdout.readline() == b"holds\n"
        with pytest.raises(raysweep.LeaseHeld, match="being run by process 1 on"):
            lease.Lease(Files(tmp_path)).__enter__()
        driver.stdin.close()
        assert driver.wait() == 0

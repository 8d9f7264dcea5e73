"""The watchdog over Ray, without Ray."""

import subprocess
import sys
import threading
import time

import pytest

from raysweep.engine.watchdog import RayGone, RayWatch

HANGS = """
import pathlib, sys, time
from raysweep.engine.watchdog import RayWatch

with RayWatch(pathlib.Path(sys.argv[1]).touch, grace_s=0.1) as watch:
    with watch.asking(lambda: False):
        time.sleep(60)
"""


def wait_for(watch, seconds=10):
    end = time.monotonic() + seconds
    while watch.reason is None and time.monotonic() < end:
        time.sleep(0.02)


def test_a_dead_node_is_noticed():
    with RayWatch(lambda: None) as watch, watch.asking(lambda: False):
        wait_for(watch)
        with pytest.raises(RayGone, match=r"node on this machine died; run the same command again"):
            watch.check()


def test_a_head_that_does_not_answer_is_noticed():
    def probe():
        raise ConnectionRefusedError

    with RayWatch(lambda: None, silence_s=1) as watch, watch.asking(probe):
        wait_for(watch)
        with pytest.raises(RayGone, match="head node has not answered"):
            watch.check()


def test_an_answer_that_never_comes_is_noticed():
    with RayWatch(lambda: None, silence_s=1) as watch, watch.asking(threading.Event().wait):
        wait_for(watch)
        with pytest.raises(RayGone, match="head node has not answered"):
            watch.check()


def test_nothing_is_said_while_ray_answers():
    with RayWatch(lambda: None, silence_s=1) as watch, watch.asking(lambda: True):
        time.sleep(0.5)
        watch.check()


def test_a_session_that_hangs_in_ray_is_ended_and_its_lease_released(tmp_path):
    released = tmp_path / "released"
    command = [sys.executable, "-c", HANGS, str(released)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    for part in (
        "raysweep: Ray is gone",
        "node on this machine died",
        "run the same command again",
    ):
        assert part in line
    assert released.exists()


def test_a_session_that_ends_by_itself_is_not_ended():
    with RayWatch(lambda: None, grace_s=0.2) as watch, watch.asking(lambda: False):
        wait_for(watch)
    time.sleep(0.5)  # the process would be gone

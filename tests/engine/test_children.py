"""Processes that a training forks: the session's handlers of signals are not theirs."""

import subprocess
import sys

POOLS = """
import multiprocessing, threading
from raysweep.engine.stop import StopFlag

def train():
    for _ in range(20):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(abs, [-1, -2])
    print("trained")

with StopFlag() as flag:
    flag.train()
    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join(50)
"""
INTERRUPTED = """
import os, signal
from raysweep.engine.stop import StopFlag

with StopFlag() as flag:
    flag.train()
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bool(flag))
"""


def printed(script):
    """Return what a script prints, and its errors."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip(), done.stderr


def test_pools_of_processes_end_at_once_and_in_silence():
    assert printed(POOLS) == ("trained", "")


def test_an_interrupt_from_the_terminal_is_for_the_session_alone():
    assert printed(INTERRUPTED) == ("7 False", "")

"""Signals in the processes that a training forks, such as those of `multiprocessing.Pool`."""

import functools
import os
import signal

OWNERS = ("raysweep.engine.stop", "ray._private.worker")
IN_CHILDREN = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGINT: signal.SIG_IGN,  # of a terminal: it is for the parent, which ends them
}


@functools.cache
def protect_children() -> None:
    """Keep this process's signal handlers, raysweep's or Ray's, from those that are forked of it.

    A child would take its own end for that of the session, or wait for ever: `Pool` sends SIGTERM
    once, and Python drops what arrives before a fork is over, so that it is blocked until then.
    """
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _reset() -> None:
    for number, action in IN_CHILDREN.items():
        if getattr(signal.getsignal(number), "__module__", None) in OWNERS:
            signal.signal(number, action)
            signal.set_wakeup_fd(-1)
    _unblock()

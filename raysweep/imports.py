"""Pauses of the garbage collector while a process makes many objects that stay."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Pause the garbage collector while a process of raysweep's own imports torch.

    The import makes a million objects, none of which is garbage: to visit them again and again
    takes a fifth of its time. The collector leaves them alone afterwards, too.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    with paused_collection(for_good=True):
        yield


@contextlib.contextmanager
def paused_collection(*, for_good: bool = False) -> Iterator[None]:
    """Pause the garbage collector, which would visit a million runs again and again.

    It runs again afterwards, if it ran before.

    Args:
        for_good: Whether it leaves the objects that exist then alone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        if for_good:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()

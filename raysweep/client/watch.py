"""Following a sweep of a service until it ends, with or without a display of its progress."""

import collections
import sys
from collections.abc import Iterator
from typing import Any


def follow(states: Iterator[dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
    """Return the last state of a sweep.

    Args:
        states: States of the sweep until its end.
        quiet: Whether to hide the progress meanwhile.
    """
    if quiet:
        (last,) = collections.deque(states, maxlen=1)
        return last
    state = next(states)
    from raysweep.progress.remote import RemoteProgress

    with RemoteProgress().following(state) as note:
        for state in states:
            note(state)
    return state


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    return module is not None and type(module.get_ipython()).__name__ == "ZMQInteractiveShell"

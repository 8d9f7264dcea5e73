"""Interface of a tracker, and the error that names what it could not write to."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from raysweep.errors import TrackerError
from raysweep.trackers.runs import Point, TrackedRun


class Tracker(Protocol):
    """Place outside the store that shows runs.

    A run that is written again replaces nothing and repeats nothing: points that the tracker has
    are left out. A run that was trained anew replaces its earlier result.

    Args:
        takes_parts: Whether it takes points of runs that still train.
    """

    takes_parts: bool

    def has(self, run_id: str, stamp: str) -> bool:
        """Return whether the tracker has all of a run that ended with this stamp."""

    def write(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Write a run: its points in the order of their steps and, once it has ended, its result.

        Raises:
            TrackerError: If the tracker does not take it.
        """

    def flush(self) -> None:
        """Write what is computed over several runs.

        Raises:
            TrackerError: If the tracker does not take it.
        """


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Convert errors of writing to a folder to ones that name it.

    Raises:
        TrackerError: If the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise TrackerError(f"cannot write to {folder}: {error.strerror or error}") from error

"""Changes of submissions: one at a time, each read from the store and written back."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from raysweep.errors import SpecError
from raysweep.store import submission
from raysweep.store.files import Files
from raysweep.store.submission import Submission
from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.reader import read_text

FILE = "sweep.yaml"  # name of a submitted file in messages
Change = Callable[[Submission | None], Submission | None]


def read_file(text: str, changes: Sequence[str] = (), *, smoke: bool = False) -> Spec:
    """Return the spec of a submitted file.

    Args:
        text: Text of the file.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        smoke: Whether to return a short version for a test, under the name `<name>-smoke`.

    Raises:
        SpecError: With one line for each mistake.
    """
    spec = read_text(text, FILE, changes, local_files=False)
    return smoke_spec(spec) if smoke else spec


def spec_of(sweep: str, text: str) -> Spec:
    """Return the spec of a sweep's file, or of its short version if the sweep has that name.

    Raises:
        SpecError: If the file is wrong, e.g. as a later version reads it, or another sweep's.
    """
    spec = read_file(text)
    if spec.name == sweep:
        return spec
    short = smoke_spec(spec)
    if short.name == sweep:
        return short
    raise SpecError(f"the file of {sweep} names the sweep {spec.name}; submit the right file again")


class Submissions:
    """Submissions of a store's sweeps.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.store = store
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def read(self, sweep: str) -> Submission | None:
        """Return the submission of a sweep, or None if it was not submitted.

        Raises:
            StoreError: If it cannot be read.
        """
        return submission.read(self.store.below(sweep))

    @contextlib.contextmanager
    def unchanged(self, sweep: str) -> Iterator[None]:
        """Let no other thread change the submission of a sweep meanwhile."""
        with self._locks[sweep]:
            yield

    def change(self, sweep: str, change: Change) -> Submission | None:
        """Change the submission of a sweep, while no other thread does, and return the new one.

        Args:
            sweep: Name of the sweep.
            change: Function from the present submission to the new one; None leaves it as it is.

        Raises:
            StoreError: If it cannot be read or written.
        """
        with self.unchanged(sweep):
            before = self.read(sweep)
            after = change(before)
            if after is None or after == before:
                return before
            submission.write(self.store.below(sweep), after)
            return after

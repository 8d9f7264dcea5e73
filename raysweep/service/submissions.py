"""Changes of submissions: one at a time, each read from the store and written back."""

import threading
from collections.abc import Callable

from raysweep.store import submission
from raysweep.store.files import Files
from raysweep.store.submission import Submission

FILE = "sweep.yaml"  # name of a submitted file in messages
Change = Callable[[Submission | None], Submission | None]


class Submissions:
    """Submissions of a store's sweeps.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.store = store
        self._lock = threading.Lock()

    def read(self, sweep: str) -> Submission | None:
        """Return the submission of a sweep, or None if it was not submitted.

        Raises:
            StoreError: If it cannot be read.
        """
        return submission.read(self.store.below(sweep))

    def change(self, sweep: str, change: Change) -> Submission | None:
        """Change the submission of a sweep, while no other thread does, and return the new one.

        Args:
            sweep: Name of the sweep.
            change: Function from the present submission to the new one; None leaves it as it is.

        Raises:
            StoreError: If it cannot be read or written.
        """
        with self._lock:
            before = self.read(sweep)
            after = change(before)
            if after is None or after == before:
                return before
            submission.write(self.store.below(sweep), after)
            return after

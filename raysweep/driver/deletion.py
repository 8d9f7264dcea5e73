"""Deletion of a sweep, or of its runs that meet a condition: what it would delete, and doing so."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

from raysweep.driver.again import remove_for_good
from raysweep.errors import DamagedFile, SpecError
from raysweep.results.reader import read_meeting
from raysweep.results.sweep_results import SweepResults
from raysweep.results.unfinished import unfinished
from raysweep.store import sweep_paths
from raysweep.store.compaction import IncompleteMerge
from raysweep.store.lease import Lease, say
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.text import counted

MAX_ARMS = 10  # that a message names


@dataclasses.dataclass(frozen=True)
class Deletion:
    """Part of a sweep that a user asked to delete.

    Args:
        text: Description, such as `3 of 12 runs of small in /store/small`.
        note: Line on unfinished packs that are kept; empty for none.
        runs: Ids of the ended runs to delete.
        packs: Ids of the unfinished packs to delete.
    """

    text: str
    note: str = ""
    runs: Sequence[str] = ()
    packs: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be deleted."""
        return not self.runs and not self.packs


def of_sweep(store: SweepStore) -> Deletion:
    """Return the description of the deletion of a whole sweep."""
    return Deletion(f"{_count(store)} of {store.sweep} in {store.uri}")


def _count(store: SweepStore) -> str:
    """Return the number of ended runs as text, or `all runs` if damage makes it unknown."""
    if not store.files.exists(sweep_paths.SPEC):
        return "all runs"
    with contextlib.suppress(DamagedFile, IncompleteMerge):
        store.spec()
        return counted(store.count("runs"))
    return "all runs"


def of_runs(results: SweepResults, where: str) -> Deletion:
    """Return the runs that meet a condition, and the unfinished packs all of whose runs do.

    Args:
        results: Results of the sweep.
        where: SQL condition over the columns of `runs`.

    Raises:
        SpecError: If no run meets the condition, or it is not valid SQL.
    """
    store = results.store
    run_ids = read_meeting(store, results.spec, where, "where").to_pylist()
    begun = unfinished(results.spec, store)
    in_packs = begun.meeting(where, "where")
    packs = [manifest.pack.pack_id for manifest in begun.packs_of(in_packs)]
    if not run_ids and not in_packs:
        labels = {arm.name for arm in results.spec.arms}
        shown = ", ".join(sorted(labels)[:MAX_ARMS]) + ", …" * (len(labels) > MAX_ARMS)
        raise SpecError(
            f"no run meets the condition {where!r}; arms of the file, as estimator · task: {shown}",
            field="where",
        )
    note = ""
    if mixed := len(begun.packs_with(in_packs)) - len(packs):
        note = (
            f"{counted(mixed, 'unfinished pack')} with runs that meet the condition, and with "
            f"others, {'is' if mixed == 1 else 'are'} kept"
        )
    text = f"{len(run_ids)} of {counted(store.count('runs'))}"
    text += f" and {counted(len(packs), 'unfinished pack')}" if packs else ""
    return Deletion(f"{text} of {store.sweep} in {store.uri}", note, run_ids, packs)


@contextlib.contextmanager
def held(store: SweepStore, show: Callable[[str], None] = say) -> Iterator[None]:
    """Hold the lease of a sweep for a change; each write checks the lease.

    Args:
        store: The sweep's folder.
        show: Function that shows a line while another driver may hold the lease.

    Raises:
        LeaseHeld: If another driver holds it.
    """
    with Lease(store.files, say=show) as lease:
        store.files = store.files.with_patience(Patience(lease.check))
        yield


def delete_runs(store: SweepStore, deletion: Deletion) -> None:
    """Delete runs and unfinished packs; the lease must be held.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    remove_for_good(store, deletion.runs, deletion.packs)

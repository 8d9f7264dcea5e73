"""Division of packs that are larger than the device of their worker."""

from raysweep.scheduling.scheduler import Schedule
from raysweep.store import handover
from raysweep.store.checkpoints import Checkpoints
from raysweep.sweep.packs import Pack


def keep_first(schedule: Schedule, pack_id: str, most: int, *, afresh: bool = False) -> Pack:
    """Divide a pack in flight: its worker keeps the first runs, the others are queued.

    Both parts resume from the pack's checkpoint, if there is one. A resumed sweep cuts the same
    parts: those in training have manifests, and the others are what is left of the pack.

    Args:
        schedule: Schedule with the pack in flight.
        pack_id: Identity of the pack.
        most: Largest number of runs that stay.
        afresh: Whether both parts start over; what the pack has trained is dropped.

    Returns:
        The pack that stays in flight.

    Raises:
        StoreError: If the store cannot be read or written.
    """
    first, *others = schedule.in_flight[pack_id].divided(most)
    if others:
        files = schedule.store.files
        manifest = None if afresh else Checkpoints(files, pack_id).manifest()
        handover.divide(files, pack_id, manifest, [first, *others])
        del schedule.in_flight[pack_id]
        schedule.in_flight[first.pack_id] = first
        schedule.runs.begun.difference_update(run.run_id for pack in others for run in pack.runs)
        schedule.queue.put_first(others)
    return first

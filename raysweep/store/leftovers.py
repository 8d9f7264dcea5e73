"""Removes the checkpoints that no pack resumes from."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from raysweep.store import handover
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack


class HasStatus(Protocol):
    """How a run ended."""

    @property
    def status(self) -> str:
        """`done`, `diverged`, `stopped` or `failed`."""


def drop(
    files: Files,
    manifests: Sequence[Manifest],
    queued: Sequence[Pack],
    ended: Mapping[str, HasStatus],
    packs_of_rows: Collection[str],
) -> None:
    """Removes checkpoints that nothing will resume from; for the driver, under its lease.

    Those of runs that left the sweep file, or that failed too often, stay: the file may have the
    runs again, and they may be tried again.

    Args:
        files: The sweep's folder.
        manifests: The packs that an earlier session began.
        queued: The packs that will train.
        ended: The runs that ended, by id.
        packs_of_rows: Packs that have rows.
    """
    training = {run.run_id for pack in queued for run in pack.runs}

    def may_resume(run_id: str) -> bool:
        return run_id not in training and (run_id not in ended or ended[run_id].status == "failed")

    begun = {manifest.pack.pack_id for manifest in manifests}
    kept = begun & {pack.pack_id for pack in queued}
    kept |= {
        manifest.pack.pack_id
        for manifest in manifests
        if any(may_resume(run.run_id) for run in manifest.pack.runs)
    }
    for pack_id in files.folders("checkpoints"):
        if pack_id in kept:
            continue
        if pack_id in packs_of_rows:
            Checkpoints(files, pack_id).remove()
        else:  # its runs train in other packs, or ended in them
            handover.forget(files, pack_id)

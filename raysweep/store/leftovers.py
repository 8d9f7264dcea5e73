"""Removal of checkpoints that no pack resumes from."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from raysweep.store import handover
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack


class HasStatus(Protocol):
    """Ended run with a status."""

    @property
    def status(self) -> str:
        """Status of the run: `done`, `diverged`, `stopped` or `failed`."""


def drop(
    files: Files,
    manifests: Sequence[Manifest],
    queued: Sequence[Pack],
    ended: Mapping[str, HasStatus],
    packs_of_rows: Collection[str],
) -> None:
    """Remove checkpoints that nothing will resume from; for the driver, under its lease.

    Checkpoints of runs that are no longer in the sweep file, or that failed too often, remain: the
    file may include the runs again, or allow more attempts.

    Args:
        files: The sweep's folder.
        manifests: Manifests of the packs that an earlier session started.
        queued: Packs that will train.
        ended: Ended runs by id.
        packs_of_rows: Ids of packs that have rows.
    """
    training = {run.run_id for pack in queued for run in pack.runs}

    def may_resume(run_id: str) -> bool:
        return run_id not in training and (run_id not in ended or ended[run_id].status == "failed")

    started = {manifest.pack.pack_id for manifest in manifests}
    kept = started & {pack.pack_id for pack in queued}
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
        else:  # its runs train, or ended, in other packs
            handover.forget(files, pack_id)

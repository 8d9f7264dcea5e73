"""Division of a pack's checkpoint among its halves, so that they resume where it stopped."""

import dataclasses
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import curve_files, integrity, sweep_paths
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.curve_files import CurveFile
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack


def divide(files: Files, pack_id: str, manifest: Manifest | None, halves: Sequence[Pack]) -> None:
    """Copy the state, ended rows and curves of each half's runs to it, then remove the pack's.

    A half's manifest is written last, and the pack's own checkpoint is removed last: a process
    killed at any point leaves each run with one checkpoint to resume from. The next session removes
    curves of a half without a manifest.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack to divide.
        manifest: The pack's manifest; None if it never started.
        halves: Packs that hold its runs from now on.
    """
    if manifest is not None and manifest.step > 0:
        integrity.mend_curves(files, manifest.pack)
        for half in halves:
            _copy_curves(files, pack_id, manifest.step, half)
            _copy_checkpoint(files, pack_id, manifest, half)
    forget(files, pack_id)


def forget(files: Files, pack_id: str) -> None:
    """Remove the checkpoint and the curves of a pack that will not resume.

    The manifest is removed first, because a pack with a manifest would resume without its curves;
    the rest of the checkpoint last, because it shows the next driver that curves may remain.
    """
    files.remove(sweep_paths.manifest(pack_id))
    for file in curve_files.of_pack(files, pack_id):
        files.remove(file.name)
    Checkpoints(files, pack_id).remove()


def _copy_curves(files: Files, pack_id: str, step: int, half: Pack) -> None:
    """Copy the curves of the half's runs up to a step."""
    ids = pa.array([run.run_id for run in half.runs], pa.string())
    for file in curve_files.of_pack(files, pack_id):
        if file.first <= step:
            table = files.read_table(file.name)
            rows = table.filter(pc.is_in(table["run_id"], ids))
            if rows.num_rows:
                files.write_table(CurveFile(half.pack_id, file.first).name, rows)


def _copy_checkpoint(files: Files, pack_id: str, manifest: Manifest, half: Pack) -> None:
    ids = {run.run_id for run in half.runs}
    half_manifest = dataclasses.replace(
        manifest,
        pack=half,
        active=tuple(run_id for run_id in manifest.active if run_id in ids),
        ended=tuple(
            {**row, "pack_id": half.pack_id} for row in manifest.ended if row["run_id"] in ids
        ),
        executed=max(manifest.executed, *(run.executed for run in half.runs)),
        state_runs=manifest.runs_of_state,
    )
    Checkpoints(files, pack_id).copy_to(half_manifest, manifest)

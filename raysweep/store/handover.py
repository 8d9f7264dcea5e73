"""Hands the checkpoint of a pack to its halves, so that they resume where it stopped."""

import dataclasses
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import curve_files, integrity
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.curve_files import CurveFile
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack


def divide(files: Files, pack_id: str, manifest: Manifest | None, halves: Sequence[Pack]) -> None:
    """Gives each half the state, the ended rows and the curves of its runs; removes the pack's own.

    A half's manifest is written last, and the pack's own checkpoint is removed last: whatever
    is killed in between, each run has one checkpoint to resume from. Curves of a half without a
    manifest are leftovers, which the next session removes.

    Args:
        files: The sweep's folder.
        pack_id: The pack that is divided.
        manifest: The pack's manifest; None if it never started.
        halves: Packs that have its runs.
    """
    if manifest is not None and manifest.step > 0:
        integrity.mend_curves(files, manifest.pack)
        for half in halves:
            _copy_curves(files, pack_id, manifest.step, half)
            _copy_checkpoint(files, pack_id, manifest, half)
    forget(files, pack_id)


def forget(files: Files, pack_id: str) -> None:
    """Removes the checkpoint and the curves of a pack that will not resume.

    The manifest is removed first, as a pack that still had one would resume without its curves;
    the rest of the checkpoint last, as it shows the next driver that curves may be left.
    """
    files.remove(f"{Checkpoints(files, pack_id).folder}/manifest.json")
    for each in curve_files.of_pack(files, pack_id):
        files.remove(each.name)
    Checkpoints(files, pack_id).remove()


def _copy_curves(files: Files, pack_id: str, step: int, half: Pack) -> None:
    """Copies the curves of the half's runs up to a step."""
    ids = pa.array([run.run_id for run in half.runs], pa.string())
    for each in curve_files.of_pack(files, pack_id):
        if each.first <= step:
            table = files.read_table(each.name)
            own = table.filter(pc.is_in(table["run_id"], ids))
            if own.num_rows:
                files.write_table(CurveFile(half.pack_id, each.first).name, own)


def _copy_checkpoint(files: Files, pack_id: str, manifest: Manifest, half: Pack) -> None:
    ids = {run.run_id for run in half.runs}
    own = dataclasses.replace(
        manifest,
        pack=half,
        active=tuple(run_id for run_id in manifest.active if run_id in ids),
        ended=tuple(
            {**row, "pack_id": half.pack_id} for row in manifest.ended if row["run_id"] in ids
        ),
        executed=max(manifest.executed, *(run.executed for run in half.runs)),
        state_runs=manifest.runs_of_state,
    )
    Checkpoints(files, pack_id).copy_to(own, manifest)

"""Recovery of a pack that failed: another try, two halves, or the failure of its only run."""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Literal

from raysweep.errors import DamagedFile
from raysweep.store import handover, integrity, sweep_paths
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack

Failure = Literal[
    "run",  # the run's own code raised
    "hung",  # it took no step for too long
    "memory",  # it did not fit into the device's or the machine's memory
    "died",  # its process ended
    "lost",  # its node was lost or preempted
    "restore",  # its checkpoint could not be restored
    "store",  # the store could not be read or written
    "orphan",  # the worker lost its driver
    "setup",  # the user's input, such as a data set that is missing
]
log = logging.getLogger("raysweep")

FATAL = frozenset({"store", "orphan", "setup"})
DEATHS = 2  # in a row without progress, after which the runs count as the cause
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


@dataclasses.dataclass(frozen=True)
class Retry:
    """Another try at training.

    Args:
        packs: The pack itself, or its halves.
        pause_s: Seconds to wait before the try.
    """

    packs: tuple[Pack, ...]
    pause_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class RunFailed:
    """Failure of the only run of a pack.

    Args:
        pack: Pack with that run.
        executed: Number of steps that the run executed in all attempts.
        columns: Columns of `runs` on the machine and the time of training.
    """

    pack: Pack
    executed: int
    columns: Mapping[str, Any]


@dataclasses.dataclass
class _Deaths:
    """Deaths of a pack's workers since its last new checkpoint.

    Args:
        step: Step of the checkpoint at the last death.
        counted: Number of deaths that count against the runs; lost nodes do not.
        all: Number of all deaths, by which the pause grows.
    """

    step: int = -1
    counted: int = 0
    all: int = 0


class Recovery:
    """Recovery of packs that fail.

    A pack that fails for a reason outside its runs is tried again from its checkpoint, after a
    growing pause. A pack that fails because of its runs is halved until the run that fails is
    alone; the halves resume from the pack's last checkpoint.

    Args:
        files: Folder of the sweep.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._deaths: dict[str, _Deaths] = {}

    def recover(
        self,
        pack: Pack,
        kind: Failure,
        columns: Mapping[str, Any] | None = None,
        *,
        all_may_fail: bool = False,
        error: str = "",
    ) -> Retry | RunFailed:
        """Decide how to recover a pack that failed.

        Args:
            pack: Pack as it was sent to a worker.
            kind: Kind of the failure; none of `FATAL`.
            columns: Columns of `runs` that the worker reported; None if it died.
            all_may_fail: Whether no run has ended yet but by a failure, so that the cause may be
                one of all runs: one is tried alone, instead of half of them.
            error: Error of the worker.

        Raises:
            StoreError: If the store cannot be read or written.
        """
        if kind != "restore":
            with contextlib.suppress(DamagedFile):
                return self._recover(pack, kind, columns, all_may_fail and kind == "run")
        return self._start_over(pack, error)

    def _start_over(self, pack: Pack, error: str) -> Retry:
        """Set aside a checkpoint that cannot be restored, and train the pack from step 0."""
        executed = Checkpoints(self.files, pack.pack_id).set_aside()
        handover.forget(self.files, pack.pack_id)
        log.warning(
            "the checkpoint of pack %s cannot be restored%s; it is kept in %s, and %s",
            pack.pack_id,
            f" ({error})" if error else "",
            self.files.path(sweep_paths.damaged("checkpoints")),
            "its run starts over"
            if len(pack.runs) == 1
            else f"the pack's {len(pack.runs)} runs start over",
        )
        return Retry((executed_in_all(pack, executed),))

    def _recover(
        self, pack: Pack, kind: Failure, columns: Mapping[str, Any] | None, one_alone: bool
    ) -> Retry | RunFailed:
        checkpoint = Checkpoints(self.files, pack.pack_id)
        manifest = checkpoint.manifest()
        if kind in ("died", "lost"):
            pause_s = self._pause(pack.pack_id, kind, manifest.step if manifest else 0)
            if pause_s is not None:
                integrity.mend_curves(self.files, pack)
                return Retry((pack,), pause_s)
        executed = max(checkpoint.executed(), (columns or {}).get("steps_executed", 0))
        pack = executed_in_all(pack, executed)
        if len(pack.runs) > 1:
            is_new = manifest is None or manifest.step == 0  # else the cause is no typing error
            halves = pack.split(one_alone=one_alone and is_new)
            handover.divide(self.files, pack.pack_id, manifest, halves)
            return Retry(halves)
        known = {**_machine_columns(manifest), **(columns or {})}
        if kind in ("run", "hung"):  # its code is likely to be edited, so it starts over
            handover.forget(self.files, pack.pack_id)
        return RunFailed(pack, max(executed, pack.runs[0].executed), known)

    def _pause(self, pack_id: str, kind: Failure, step: int) -> float | None:
        """Return the seconds to wait before another try; None if the runs are the cause."""
        deaths = self._deaths.setdefault(pack_id, _Deaths())
        if step > deaths.step:
            self._deaths[pack_id] = deaths = _Deaths(step)
        deaths.all += 1
        deaths.counted += kind == "died"
        if deaths.counted >= DEATHS:
            del self._deaths[pack_id]
            return None
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (deaths.all - 1))


def executed_in_all(pack: Pack, executed: int) -> Pack:
    """Return the pack with runs that have executed at least so many steps."""
    runs = tuple(
        dataclasses.replace(run, executed=max(run.executed, executed)) for run in pack.runs
    )
    return dataclasses.replace(pack, runs=runs)


def _machine_columns(manifest: Manifest | None) -> dict[str, Any]:
    """Return the columns of `runs` in a pack's manifest: the machine and the time of training."""
    if manifest is None:
        return {}
    times = {"started_at": manifest.started_at, "seconds": manifest.seconds}
    return {**manifest.machine, **times}

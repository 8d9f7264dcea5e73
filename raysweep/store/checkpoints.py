"""Packs in flight: a manifest that says what trains, its state, and how far it has come.

    checkpoints/<pack_id>/manifest.json    the pack, its ended rows, the step of its state
    checkpoints/<pack_id>/state-<step>-<replicas>.pt  what the manifest goes on from
    checkpoints/<pack_id>/progress.json    steps executed, repeats included; renewed often

The manifest is put down after its state, so it always names a whole one.
"""

import contextlib
import dataclasses
import io
import json
import pickle
from collections.abc import Mapping
from typing import Any

from raysweep.errors import DamagedFile, StoreError
from raysweep.plan import Pack, PlannedRun
from raysweep.store.files import Files


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A pack in flight.

    Args:
        pack: With all its runs, in order.
        step: Of the state; 0 if there is none yet.
        active: Runs still training, in the order of the replica axis.
        ended: Rows of runs that ended before the pack.
        executed: Steps executed, repeats included.
        seconds: Time each run has had, its share of the pack's.
        started_at: ISO time of the first start.
        machine: Columns of `runs` that tell where and with what it trains now; an older version
            wrote none.
        state_runs: Runs that the state was saved with, in the order of the replica axis, where
            they are others than the active ones: the pack is a part of the one that was saved.
    """

    pack: Pack
    step: int
    active: tuple[str, ...]
    ended: tuple[Mapping[str, Any], ...]
    executed: int
    seconds: float
    started_at: str
    machine: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    state_runs: tuple[PlannedRun, ...] = ()

    @property
    def runs_of_state(self) -> tuple[PlannedRun, ...]:
        """Every run that the state holds, in the order of the replica axis."""
        runs = {run.run_id: run for run in self.pack.runs}
        return self.state_runs or tuple(runs[run_id] for run_id in self.active)

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain data."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        runs = [dataclasses.asdict(run) for run in self.state_runs]
        return {**data, "pack": self.pack.to_json(), "state_runs": runs, "format": 1}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """The manifest that `to_json` wrote."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        known |= {
            "pack": Pack.from_json(data["pack"]),
            "active": tuple(data["active"]),
            "ended": tuple(data["ended"]),
            "state_runs": tuple(PlannedRun(**each) for each in data.get("state_runs", ())),
        }
        return cls(**known)


@dataclasses.dataclass(frozen=True)
class Pace:
    """When a pack made its last step.

    Args:
        token: Lease token of the driver that trains it.
        stepped_at: Seconds since the epoch, on the clock of the worker.
        longest_pause_s: Longest pause between two steps before; None if there was none.
    """

    token: str
    stepped_at: float
    longest_pause_s: float | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pace":
        """The pace that was written as plain data."""
        longest = data["longest_pause_s"]
        longest = None if longest is None else float(longest)
        return cls(str(data["token"]), float(data["stepped_at"]), longest)


class Checkpoints:
    """The checkpoint of one pack.

    Args:
        files: The sweep's folder.
        pack_id: Whose.
    """

    def __init__(self, files: Files, pack_id: str) -> None:
        self.files = files
        self.folder = f"checkpoints/{pack_id}"

    def write(self, manifest: Manifest, state: Mapping[str, Any] | None) -> None:
        """Puts down a state and its manifest, then removes older states."""
        import torch

        named = self._state_name(manifest)
        if state is not None:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            self.files.write(named, buffer.getvalue())
        self.files.write(f"{self.folder}/manifest.json", json.dumps(manifest.to_json()).encode())
        for name in self.files.names(self.folder, ".pt"):
            if name != named:
                self.files.remove(name)

    def copy_to(self, manifest: Manifest, source: Manifest) -> None:
        """Writes a checkpoint of another pack that resumes from this one's state.

        Args:
            manifest: The other pack's.
            source: This pack's.
        """
        other = Checkpoints(self.files, manifest.pack.pack_id)
        data = self.files.read(self._state_name(source))
        if data is None:
            raise self._missing_state(source)
        self.files.write(other._state_name(manifest), data)
        other.write(manifest, None)

    def manifest(self) -> Manifest | None:
        """The present manifest, or None if the pack never started."""
        name = f"{self.folder}/manifest.json"
        data = self.files.read(name)
        try:
            return None if data is None else Manifest.from_json(json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            raise self._broken(name, "a manifest") from error

    def state(self, manifest: Manifest, device: Any) -> dict[str, Any]:
        """The state that this manifest goes on from."""
        import torch

        data = self.files.read(self._state_name(manifest))
        if data is None:
            raise self._missing_state(manifest)
        try:
            return torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise self._broken(self._state_name(manifest), "a state") from error

    def write_progress(self, executed: int, pace: Pace) -> None:
        """Writes how many steps have been executed, and when the last one was."""
        data = json.dumps({"executed": executed, **dataclasses.asdict(pace)}).encode()
        self.files.write(f"{self.folder}/progress.json", data)

    def pace(self) -> Pace | None:
        """When the pack made its last step; None if that is not known."""
        data = self.files.read(f"{self.folder}/progress.json")
        # Only shown: an older version wrote none, and a damaged one is written anew in a second.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return Pace.from_json(json.loads(data)) if data else None
        return None

    def executed(self) -> int:
        """Steps executed as far as is known, repeats included."""
        data = self.files.read(f"{self.folder}/progress.json")
        manifest = self.manifest()
        noted = 0
        # Only a count: where it is damaged, the manifest's, a little smaller, has to do.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            noted = int(json.loads(data)["executed"]) if data else 0
        return max(noted, manifest.executed if manifest else 0)

    def set_aside(self) -> int:
        """Moves a checkpoint that cannot be restored below `damaged/`; steps executed, if known."""
        try:
            executed = self.executed()
        except StoreError:
            executed = 0
        for name in self.files.names(self.folder):
            self.files.move(name, f"damaged/{name}")
        self.remove()
        return executed

    def remove(self) -> None:
        """Removes the checkpoint: the pack has ended."""
        self.files.remove_folder(self.folder)

    def _missing_state(self, manifest: Manifest) -> DamagedFile:
        name = self._state_name(manifest)
        return DamagedFile(
            f"cannot read {self.files.path(name)}: it is missing; run the sweep file again, which "
            "trains the pack anew",
            name,
        )

    def _broken(self, name: str, what: str) -> DamagedFile:
        return DamagedFile(
            f"cannot read {self.files.path(name)}: expected {what} written by raysweep; run the "
            "sweep file again, which sets the checkpoint aside and trains the pack anew",
            name,
        )

    def _state_name(self, manifest: Manifest) -> str:
        return f"{self.folder}/state-{manifest.step}-{len(manifest.runs_of_state)}.pt"


def in_flight(files: Files) -> list[Manifest]:
    """The manifests of all packs that began and did not end."""
    found = (Checkpoints(files, pack_id).manifest() for pack_id in files.folders("checkpoints"))
    return [manifest for manifest in found if manifest is not None]

"""Packs in flight: a manifest that says what trains, its state, and how far it has come.

    checkpoints/<pack_id>/manifest.json    the pack, its ended rows, the step of its state
    checkpoints/<pack_id>/state-<step>-<replicas>.pt  what the manifest goes on from
    checkpoints/<pack_id>/progress.json    steps executed, repeats included; renewed often

The manifest is put down after its state, so it always names a whole one.
"""

import dataclasses
import io
import json
import pickle
from collections.abc import Mapping
from typing import Any

from raysweep.errors import StoreError
from raysweep.plan import Pack
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
    """

    pack: Pack
    step: int
    active: tuple[str, ...]
    ended: tuple[Mapping[str, Any], ...]
    executed: int
    seconds: float
    started_at: str
    machine: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain data."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**data, "pack": self.pack.to_json(), "format": 1}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """The manifest that `to_json` wrote."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        known |= {
            "pack": Pack.from_json(data["pack"]),
            "active": tuple(data["active"]),
            "ended": tuple(data["ended"]),
        }
        return cls(**known)


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

    def manifest(self) -> Manifest | None:
        """The present manifest, or None if the pack never started."""
        name = f"{self.folder}/manifest.json"
        data = self.files.read(name)
        try:
            return None if data is None else Manifest.from_json(json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(self._broken(name, "a manifest")) from error

    def state(self, manifest: Manifest, device: Any) -> dict[str, Any]:
        """The state that this manifest goes on from."""
        import torch

        data = self.files.read(self._state_name(manifest))
        if data is None:
            raise StoreError(
                f"cannot read {self.files.path(self._state_name(manifest))}: it is "
                f"missing; remove {self.folder} to train the pack anew"
            )
        try:
            return torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise StoreError(self._broken(self._state_name(manifest), "a state")) from error

    def write_progress(self, executed: int) -> None:
        """Notes how many steps have been executed, between two checkpoints."""
        data = json.dumps({"executed": executed}).encode()
        self.files.write(f"{self.folder}/progress.json", data)

    def executed(self) -> int:
        """Steps executed as far as is known, repeats included."""
        name = f"{self.folder}/progress.json"
        data = self.files.read(name)
        manifest = self.manifest()
        try:
            noted = json.loads(data)["executed"] if data else 0
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(self._broken(name, "a count of steps")) from error
        return max(noted, manifest.executed if manifest else 0)

    def remove(self) -> None:
        """Removes the checkpoint: the pack has ended."""
        self.files.remove_folder(self.folder)

    def _broken(self, name: str, what: str) -> str:
        return (
            f"cannot read {self.files.path(name)}: expected {what} written by raysweep; remove "
            f"{self.files.path(self.folder)} to train the pack anew, and run the same command again"
        )

    def _state_name(self, manifest: Manifest) -> str:
        return f"{self.folder}/state-{manifest.step}-{len(manifest.active)}.pt"


def in_flight(files: Files) -> list[Manifest]:
    """The manifests of all packs that began and did not end."""
    found = (Checkpoints(files, pack_id).manifest() for pack_id in files.folders("checkpoints"))
    return [manifest for manifest in found if manifest is not None]

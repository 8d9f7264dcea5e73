"""Packs in flight: a manifest that says what trains, its state, and how far it has come.

    checkpoints/<pack_id>/manifest.json    the pack, its ended rows, the step of its state
    checkpoints/<pack_id>/state-<step>-<replicas>.pt  what the manifest goes on from
    checkpoints/<pack_id>/progress.json    steps executed, repeats included; renewed often

The manifest is put down after its state, so it always names a whole one. It holds the SHA-256 of
the state and of itself; those of older versions hold none.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import json_file
from raysweep.store.aside import set_aside
from raysweep.store.damage import reason_of
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack, PlannedRun

PACK_ID = re.compile("[0-9a-f]{16}")  # a run's id, too
_PARTS = {"training", "curve", "final"}  # of a state


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
        state_sha256: Digest of the state's file; None if there is no state, or an older version
            wrote it.
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
    state_sha256: str | None = None

    @property
    def runs_of_state(self) -> tuple[PlannedRun, ...]:
        """Every run that the state holds, in the order of the replica axis."""
        runs = {run.run_id: run for run in self.pack.runs}
        return self.state_runs or tuple(runs[run_id] for run_id in self.active)

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain data."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        runs = [dataclasses.asdict(run) for run in self.state_runs]
        return {**data, "pack": self.pack.to_json(), "state_runs": runs, "format": 2}

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
        self.files, self.pack_id = files, pack_id
        self.folder = f"checkpoints/{pack_id}"
        self._digests: dict[str, str | None] = {}  # of states, by name, as far as they are known

    def write(self, manifest: Manifest, state: Mapping[str, Any] | None) -> None:
        """Puts down a state and its manifest, then removes older states."""
        data = None
        if state is not None:
            import torch

            buffer = io.BytesIO()
            torch.save(state, buffer)
            data = buffer.getvalue()
        self.write_bytes(manifest, data)

    def write_bytes(self, manifest: Manifest, state: bytes | None) -> None:
        """The same with the state as its file holds it; without one, the present state stays."""
        named = self._state_name(manifest)
        if state is not None:
            self.files.write(named, state)
            self._digests[named] = hashlib.sha256(state).hexdigest()
        digest = self._digests.get(named, manifest.state_sha256)
        data = dataclasses.replace(manifest, state_sha256=digest).to_json()
        self.files.write(f"{self.folder}/manifest.json", json_file.with_digest(data))
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
        other.write_bytes(manifest, self.state_bytes(source))

    def manifest(self) -> Manifest | None:
        """The present manifest, or None if the pack never started.

        Raises:
            DamagedFile: If it is not what was written.
        """
        name = f"{self.folder}/manifest.json"
        found = json_file.read_json(self.files, name, self._manifest_of, "a manifest")
        if found is not None:
            self._digests[self._state_name(found)] = found.state_sha256
        return found

    def _manifest_of(self, data: Any) -> Manifest:
        json_file.check_digest(data, required=data["format"] > 1 if "format" in data else False)
        found = Manifest.from_json(data)
        check_manifest(found, self.pack_id)
        return found

    def state_bytes(self, manifest: Manifest) -> bytes:
        """The file of the state that this manifest goes on from.

        Raises:
            DamagedFile: If it is missing, or not what was written.
        """
        name = self._state_name(manifest)
        data = self.files.read(name)
        if data is None:
            raise self.files.damaged(name, "the state of a pack, got: no such file")
        if manifest.state_sha256 is None:
            _check_archive(self.files, name, data)
        elif manifest.state_sha256 != hashlib.sha256(data).hexdigest():
            raise self.files.damaged(name, "the state of a pack, got: another digest")
        return data

    def state(self, manifest: Manifest, device: Any) -> dict[str, Any]:
        """The state that this manifest goes on from.

        Raises:
            DamagedFile: If it is missing, or not what was written.
        """
        import torch

        data = self.state_bytes(manifest)
        try:
            state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
            if missing := _PARTS - state.keys():
                raise KeyError(sorted(missing)[0])
        except Exception as error:  # damaged bytes may raise anything
            if manifest.state_sha256 is not None and not isinstance(error, KeyError):
                raise  # the bytes are those that were written: it is the machine's fault
            reason = f"the state of a pack, got: {reason_of(error)}"
            raise self.files.damaged(self._state_name(manifest), reason) from error
        return state

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
        noted = 0
        with contextlib.suppress(DamagedFile):  # a count alone: the manifest has a smaller one
            name = f"{self.folder}/progress.json"
            noted = json_file.read_json(self.files, name, _executed, "a count of steps") or 0
        manifest = self.manifest()
        return max(noted, manifest.executed if manifest else 0)

    def set_aside(self) -> int:
        """Moves a checkpoint that cannot be restored below `damaged/`; steps executed, if known."""
        try:
            executed = self.executed()
        except StoreError:
            executed = 0
        for name in self.files.names(self.folder):
            set_aside(self.files, name)
        self.remove()
        return executed

    def remove(self) -> None:
        """Removes the checkpoint: the pack has ended."""
        self.files.remove_folder(self.folder)

    def _state_name(self, manifest: Manifest) -> str:
        return f"{self.folder}/state-{manifest.step}-{len(manifest.runs_of_state)}.pt"


def check_manifest(manifest: Manifest, pack_id: str) -> None:
    """Refuses a manifest that is another pack's, or whose values are of another kind.

    Raises:
        ValueError: If it is so.
    """
    if not PACK_ID.fullmatch(pack_id) or manifest.pack.pack_id != pack_id:
        raise ValueError(f"the manifest of {manifest.pack.pack_id!r} in the folder of {pack_id!r}")
    runs = [run.run_id for run in manifest.pack.runs]
    if odd := [each for each in runs if not PACK_ID.fullmatch(each)]:
        raise ValueError(f"run {odd[0]!r}")
    ids = {*runs, *(run.run_id for run in manifest.state_runs)}
    named = [*manifest.active, *(row["run_id"] for row in manifest.ended)]
    if odd := [each for each in named if each not in ids]:
        raise ValueError(f"run {odd[0]!r}, which is not of the pack")
    counts = (manifest.step, manifest.executed)
    if any(type(each) is not int or each < 0 for each in counts):
        raise ValueError(f"step {manifest.step!r} of {manifest.executed!r} executed")
    if not isinstance(manifest.seconds, int | float) or not isinstance(manifest.started_at, str):
        raise ValueError("a time of another kind")


def _executed(data: Any) -> int:
    return int(data["executed"])


def _check_archive(files: Files, name: str, data: bytes) -> None:
    """Checks a state without a digest by the checksums of its archive, which torch leaves alone."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            bad = archive.testzip()
    except Exception as error:  # damaged bytes may raise anything
        raise files.damaged(name, f"the state of a pack, got: {reason_of(error)}") from error
    if bad is not None:
        raise files.damaged(name, f"the state of a pack, got: another checksum of {bad}")


def in_flight(files: Files) -> list[Manifest]:
    """The manifests of all packs that began and did not end."""
    found = (Checkpoints(files, pack_id).manifest() for pack_id in files.folders("checkpoints"))
    return [manifest for manifest in found if manifest is not None]

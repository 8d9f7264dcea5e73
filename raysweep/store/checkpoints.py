"""Checkpoints of packs in flight: manifest, state and progress.

    checkpoints/<pack_id>/manifest.json    the pack, its ended rows, the step of its state
    checkpoints/<pack_id>/state-<step>-<replicas>.pt  the state from which the pack resumes
    checkpoints/<pack_id>/progress.json    steps executed, repeats included; updated often

The manifest is written after its state, so it always names a complete one. It holds the SHA-256 of
the state and of itself; manifests of older versions hold neither.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import json_file, sweep_paths
from raysweep.store.aside import set_aside
from raysweep.store.damage import reason_of
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack, PlannedRun

PACK_ID = re.compile("[0-9a-f]{16}")  # a run's id, too
_STATE_KEYS = {"training", "curve", "final"}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Description of a pack in flight.

    Args:
        pack: The pack with all its runs, in order.
        step: Step of the state; 0 if there is no state yet.
        active: Runs still training, in the order of the replica axis.
        ended: Rows of runs that ended before the pack.
        executed: Steps executed, repeats included.
        seconds: Training time of each run: its share of the pack's time.
        started_at: ISO time of the first start.
        machine: Columns of `runs` about the machine and software that train the pack now; older
            versions wrote none.
        state_runs: Runs in the state, in the order of the replica axis, if they are not the active
            runs: a pack that was split resumes from the state of the whole pack.
        state_sha256: Digest of the state's file; None if there is no state, or if an older version
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
        """Return the manifest as plain data."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        runs = [run.to_json() for run in self.state_runs]
        return {**data, "pack": self.pack.to_json(), "state_runs": runs, "format": 2}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """Return the manifest that `to_json` wrote."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        known |= {
            "pack": Pack.from_json(data["pack"]),
            "active": tuple(data["active"]),
            "ended": tuple(data["ended"]),
            "state_runs": tuple(PlannedRun(**run) for run in data.get("state_runs", ())),
        }
        return cls(**known)


@dataclasses.dataclass(frozen=True)
class Pace:
    """Time of a pack's last step, and its longest pause between two steps.

    Args:
        token: Lease token of the driver that trains the pack.
        stepped_at: Seconds since the epoch, on the clock of the worker.
        longest_pause_s: Longest pause between two earlier steps; None if there was none.
        step: Step that the pack has reached; older versions wrote none.
        steps: Number of steps of its runs.
        metric: Name of the first metric of the pack's last report.
        value: Mean of that metric over the runs.
    """

    token: str
    stepped_at: float
    longest_pause_s: float | None
    step: int = 0
    steps: int = 0
    metric: str | None = None
    value: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pace":
        """Return the pace that was written as plain data."""
        longest = data["longest_pause_s"]
        longest = None if longest is None else float(longest)
        steps = int(data.get("step", 0)), int(data.get("steps", 0))
        metric, value = data.get("metric"), data.get("value")
        return cls(
            str(data["token"]),
            float(data["stepped_at"]),
            longest,
            *steps,
            None if metric is None else str(metric),
            None if value is None else float(value),
        )


class Checkpoints:
    """The checkpoint of one pack.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack.
    """

    def __init__(self, files: Files, pack_id: str) -> None:
        self.files, self.pack_id = files, pack_id
        self.folder = sweep_paths.checkpoint(pack_id)
        self._digests: dict[str, str | None] = {}  # known digests of states, by file name

    def write(self, manifest: Manifest, state: Mapping[str, Any] | None) -> None:
        """Write a state and its manifest, then remove older states."""
        data = None
        if state is not None:
            import torch

            buffer = io.BytesIO()
            torch.save(state, buffer)
            data = buffer.getvalue()
        self.write_bytes(manifest, data)

    def write_bytes(self, manifest: Manifest, state: bytes | None) -> None:
        """Write a serialized state and its manifest; without a state, keep the present one."""
        state_name = self._state_name(manifest)
        if state is not None:
            self.files.write(state_name, state)
            self._digests[state_name] = hashlib.sha256(state).hexdigest()
        digest = self._digests.get(state_name, manifest.state_sha256)
        data = dataclasses.replace(manifest, state_sha256=digest).to_json()
        self.files.write(sweep_paths.manifest(self.pack_id), json_file.with_digest(data))
        for name in self.files.names(self.folder, sweep_paths.STATE_SUFFIX):
            if name != state_name:
                self.files.remove(name)

    def copy_to(self, manifest: Manifest, source: Manifest) -> None:
        """Write a checkpoint of another pack that resumes from this pack's state.

        Args:
            manifest: Manifest of the other pack.
            source: Manifest of this pack.
        """
        other = Checkpoints(self.files, manifest.pack.pack_id)
        other.write_bytes(manifest, self.state_bytes(source))

    def manifest(self) -> Manifest | None:
        """Return the present manifest, or None if the pack never started.

        Raises:
            DamagedFile: If the manifest is not what was written.
        """
        name = sweep_paths.manifest(self.pack_id)
        manifest = json_file.read_json(self.files, name, self._manifest_of, "a manifest")
        if manifest is not None:
            self._digests[self._state_name(manifest)] = manifest.state_sha256
        return manifest

    def has_state(self) -> bool:
        """Return whether training has saved a state, with the runs that it was trained with.

        Raises:
            DamagedFile: If the manifest is not what was written.
        """
        manifest = self.manifest()
        return manifest is not None and manifest.step > 0

    def _manifest_of(self, data: Any) -> Manifest:
        json_file.check_digest(data, required=data["format"] > 1 if "format" in data else False)
        manifest = Manifest.from_json(data)
        check_manifest(manifest, self.pack_id)
        return manifest

    def state_bytes(self, manifest: Manifest) -> bytes:
        """Return the content of the state's file.

        Raises:
            DamagedFile: If the state is missing, or not what was written.
        """
        name = self._state_name(manifest)
        data = self.files.read(name)
        if data is None:
            raise self.files.damaged(name, "the state of a pack, got no such file")
        if manifest.state_sha256 is None:
            _check_archive(self.files, name, data)
        elif manifest.state_sha256 != hashlib.sha256(data).hexdigest():
            raise self.files.damaged(name, "the state of a pack, got content with another digest")
        return data

    def state(self, manifest: Manifest, device: Any) -> dict[str, Any]:
        """Return the state from which this manifest's pack resumes.

        Raises:
            DamagedFile: If the state is missing, or not what was written.
        """
        import torch

        data = self.state_bytes(manifest)
        try:
            state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
            if missing := _STATE_KEYS - state.keys():
                raise KeyError(sorted(missing)[0])
        except Exception as error:  # damaged bytes may raise anything
            if manifest.state_sha256 is not None and not isinstance(error, KeyError):
                raise  # the bytes are what was written, so the cause is this machine
            reason = f"the state of a pack, got: {reason_of(error)}"
            raise self.files.damaged(self._state_name(manifest), reason) from error
        return state

    def write_progress(self, executed: int, pace: Pace) -> None:
        """Write the number of executed steps and the time of the last one."""
        data = json.dumps({"executed": executed, **dataclasses.asdict(pace)}).encode()
        self.files.write(sweep_paths.progress(self.pack_id), data)

    def pace(self) -> Pace | None:
        """Return the time of the pack's last step and its pauses; None if they are not known."""
        data = self.files.read(sweep_paths.progress(self.pack_id))
        # Only displayed: older versions wrote none, and a damaged one is rewritten within a second.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return Pace.from_json(json.loads(data)) if data else None
        return None

    def executed(self) -> int:
        """Return the number of executed steps as far as is known, repeats included."""
        count = 0
        with contextlib.suppress(DamagedFile):  # the manifest still has a count, if a smaller one
            name = sweep_paths.progress(self.pack_id)
            count = json_file.read_json(self.files, name, _executed, "a count of steps") or 0
        manifest = self.manifest()
        return max(count, manifest.executed if manifest else 0)

    def set_aside(self) -> int:
        """Move the checkpoint to `damaged/`, and return the executed steps; 0 if not known."""
        try:
            executed = self.executed()
        except StoreError:
            executed = 0
        for name in self.files.names(self.folder):
            set_aside(self.files, name)
        self.remove()
        return executed

    def remove(self) -> None:
        """Remove the checkpoint of a pack that has ended."""
        self.files.remove_folder(self.folder)

    def _state_name(self, manifest: Manifest) -> str:
        return sweep_paths.state(self.pack_id, manifest.step, len(manifest.runs_of_state))


def check_manifest(manifest: Manifest, pack_id: str) -> None:
    """Check that a manifest is the pack's own, and that its values have the right types.

    Raises:
        ValueError: If a check fails.
    """
    if not PACK_ID.fullmatch(pack_id) or manifest.pack.pack_id != pack_id:
        raise ValueError(f"the manifest of pack {manifest.pack.pack_id!r}")
    runs = [run.run_id for run in manifest.pack.runs]
    if odd := [run_id for run_id in runs if not PACK_ID.fullmatch(run_id)]:
        raise ValueError(f"run id {odd[0]!r}")
    ids = {*runs, *(run.run_id for run in manifest.state_runs)}
    named = [*manifest.active, *(row["run_id"] for row in manifest.ended)]
    if odd := [run_id for run_id in named if run_id not in ids]:
        raise ValueError(f"run {odd[0]!r}, which is not in the pack")
    counts = (manifest.step, manifest.executed)
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(f"step {manifest.step!r} and {manifest.executed!r} executed steps")
    if not isinstance(manifest.seconds, int | float) or not isinstance(manifest.started_at, str):
        raise ValueError(f"times {manifest.seconds!r} and {manifest.started_at!r}")


def _executed(data: Any) -> int:
    return int(data["executed"])


def _check_archive(files: Files, name: str, data: bytes) -> None:
    """Check a state without a digest by the checksums of its archive, which torch ignores."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            bad = archive.testzip()
    except Exception as error:  # damaged bytes may raise anything
        raise files.damaged(name, f"the state of a pack, got: {reason_of(error)}") from error
    if bad is not None:
        raise files.damaged(name, f"the state of a pack, got {bad} with another checksum")


def in_flight(files: Files) -> list[Manifest]:
    """Return the manifests of all packs that started and have not ended."""
    manifests = (Checkpoints(files, pack_id).manifest() for pack_id in files.folders("checkpoints"))
    return [manifest for manifest in manifests if manifest is not None]


def packs_of(files: Files, run_ids: Collection[str]) -> set[str]:
    """Return the ids of the packs that started and have not ended, and have one of these runs."""
    return {
        manifest.pack.pack_id
        for manifest in in_flight(files)
        if any(run.run_id in run_ids for run in manifest.pack.runs)
    }

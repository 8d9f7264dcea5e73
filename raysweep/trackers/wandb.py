"""Weights & Biases: a run for each run, grouped by configuration; on its server, or in a folder.

A run is written when it has ended: Weights & Biases holds a process's runs open until their end.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import wandb

from raysweep.errors import SpecError, TrackerError
from raysweep.text import recorded
from raysweep.trackers.ledger import Entry, Ledger
from raysweep.trackers.runs import Names, Point, TrackedRun, metrics
from raysweep.trackers.tracker import writing_to
from raysweep.trackers.wandb_file import wait_until_whole

OFFLINE = ("offline", "dryrun")  # values of WANDB_MODE, the second one of old
LONGEST_NAME, LONGEST_TAG = 128, 64  # characters


class Wandb:
    """Project of Weights & Biases.

    Args:
        project: Name of the project, or `entity/project`.
        folder: Folder for the files of Weights & Biases, below which it makes `wandb/`.
        names: Names of the runs.
        offline: Whether runs are written to the folder, without a server.

    Raises:
        SpecError: If the project's name is wrong, or the folder cannot be used.
    """

    takes_parts = False

    def __init__(self, project: str, folder: Path, names: Names, *, offline: bool) -> None:
        self.entity, self.project = parts_of(project)
        self.names, self.offline = names, offline
        self.folder = folder / "wandb"
        self._remove_unfinished()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.ledger = Ledger(self.folder / f"raysweep-{names.spec.name}.jsonl", names.spec.name)
        except OSError as error:
            raise SpecError(f"{folder}: {error.strerror or error}", field="folder") from error

    def has(self, run_id: str, stamp: str) -> bool:
        """Return whether the project has all of a run that ended with this stamp."""
        return self.ledger.entries.get(run_id) == Entry(self._name, stamp)

    def write(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Write a run that ended.

        Raises:
            TrackerError: If it cannot be written.
        """
        if run.stamp is None:
            return
        with _explained(), writing_to(self.folder):
            if self.offline:
                self._write_offline(run, points)
            else:
                known = self.ledger.entries.get(run.run_id)
                has_other = known is not None and known.name == self._name
                # Without `resume`, a run replaces the one that has its id.
                resume = None if has_other else "allow"
                self._log(run, points, mode="online", dir=str(self.folder.parent), resume=resume)
        self.ledger.note(run.run_id, Entry(self._name, run.stamp))

    def flush(self) -> None:
        """Return; every run is complete by itself."""

    @property
    def _name(self) -> str:
        path = "/".join(filter(None, (self.entity, self.project)))
        return f"offline {path}" if self.offline else path

    def _write_offline(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Write a run aside, and move it to its place when it is complete."""
        with tempfile.TemporaryDirectory(prefix=".raysweep-", dir=self.folder) as aside:
            self._log(run, points, mode="offline", dir=aside)
            (written,) = Path(aside, "wandb").glob(f"offline-run-*-{run.run_id}")
            wait_until_whole(written / f"run-{run.run_id}.wandb")
            for earlier in self.folder.glob(f"offline-run-*-{run.run_id}"):
                shutil.rmtree(earlier)
            written.rename(self.folder / written.name)

    def _log(self, run: TrackedRun, points: Sequence[Point], **options: Any) -> None:
        spec = self.names.spec
        tags = dict.fromkeys(tag[:LONGEST_TAG] for tag in spec.tags)
        tracked = wandb.init(
            entity=self.entity,
            project=self.project,
            id=run.run_id,
            name=self.names.run(run)[-LONGEST_NAME:],
            group=self.names.group(run)[-LONGEST_NAME:],
            job_type=self.names.job(run),
            tags=list(tags) or None,
            notes=spec.description or None,
            config=self.names.config(run),
            allow_val_change=True,
            reinit="create_new",  # the process may have a run of its own
            settings=_settings(),
            **options,
        )
        first = tracked.starting_step  # after the last step that a resumed run has
        for point in points:
            if point["step"] >= first and (values := metrics(point)):
                values["_timestamp"] = run.time(point)
                tracked.log(values, step=point["step"], commit=True)
        tracked.summary.update({**run.final, **_result(run)})
        tracked.finish(exit_code=0 if run.status in ("done", "stopped") else 1)

    def _remove_unfinished(self) -> None:
        """Remove the runs that a killed process did not complete."""
        for aside in self.folder.glob(".raysweep-*"):
            shutil.rmtree(aside, ignore_errors=True)


def is_offline() -> bool:
    """Return whether the user's own settings keep Weights & Biases off its server.

    Raises:
        SpecError: If they switch it off altogether.
    """
    mode = wandb.setup().settings.mode
    if mode == "disabled":
        raise SpecError(
            "expected Weights & Biases online or offline, got the mode 'disabled'; set "
            "WANDB_MODE=offline, or unset it"
        )
    return mode in OFFLINE


def check_login() -> None:
    """Check that an API key is known, without a question to the user.

    Raises:
        SpecError: If none is.
    """
    if not wandb.login(prompt=False, verify=False):
        raise SpecError(
            "no one is logged in to Weights & Biases; run `wandb login`, or set WANDB_MODE=offline"
        )


def default_folder() -> Path:
    """Return the folder of the user's own settings: `$WANDB_DIR`, else the working folder."""
    return Path(os.environ.get("WANDB_DIR") or ".").expanduser().absolute()


def parts_of(project: str) -> tuple[str | None, str]:
    """Return the entity, if one is given, and the name of a project.

    Raises:
        SpecError: If it is not `PROJECT` or `ENTITY/PROJECT`.
    """
    entity, _, name = project.rpartition("/")
    if not name or "/" in entity:
        raise SpecError(
            f"expected PROJECT or ENTITY/PROJECT, got {project!r}; name a project",
            field="project",
        )
    return entity or None, name


def _result(run: TrackedRun) -> dict[str, Any]:
    known = {"status": run.status, "steps": run.steps, "seconds": run.row and run.row["seconds"]}
    error = run.row and run.row["error"]
    return {**known, **({"error": error} if error else {})}


def _settings() -> wandb.Settings:
    """Return settings that record what was stored, and nothing of this process."""
    return wandb.Settings(
        console="off",
        disable_git=True,
        save_code=False,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (TrackerError, OSError):
        raise
    except Exception as error:
        text = recorded(str(error) or type(error).__name__, 300)
        raise TrackerError(f"Weights & Biases: {text}") from error

"""Opening of trackers: by a command after a sweep, or as the sweep file names them."""

import dataclasses
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from raysweep.errors import SpecError
from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.store.uri import is_uri
from raysweep.sweep.spec import Spec
from raysweep.trackers.runs import Names
from raysweep.trackers.tracker import Tracker


@dataclasses.dataclass(frozen=True)
class LiveTracker:
    """Tracker of a session, checked but not opened.

    Args:
        kind: Name of the tracker.
        text: Line about what it writes to.
        open: Function that opens it, which may take some time.
    """

    kind: str
    text: str
    open: Callable[[], Tracker]


def need(package: str) -> None:
    """Check that the package of a tracker is installed.

    Raises:
        SpecError: If it is not.
    """
    known = importlib.util.find_spec(package)
    if known is None or known.origin is None:  # a folder of that name is no package
        raise SpecError(f"{package} is not installed; run `pip install 'raysweep[{package}]'`")


def open_tensorboard(folder: Path, spec: Spec) -> Tracker:
    """Open a folder of event files.

    Raises:
        SpecError: If the folder has other files, or cannot be written to.
    """
    from raysweep.trackers.tensorboard import TensorBoard

    return TensorBoard(folder, Names(spec))


def open_wandb(project: str, spec: Spec, folder: Path | None) -> Tracker:
    """Open a project of Weights & Biases.

    Args:
        project: Name of the project, or `entity/project`.
        spec: Spec of the sweep.
        folder: Folder for offline runs; None to follow the user's settings.

    Raises:
        SpecError: If wandb is not installed, no one is logged in, or the folder cannot be used.
    """
    need("wandb")
    from raysweep.trackers import wandb

    offline = folder is not None or wandb.is_offline()
    if not offline:
        wandb.check_login()
    return wandb.Wandb(project, folder or wandb.default_folder(), Names(spec), offline=offline)


def open_mlflow(uri: str, experiment: str, spec: Spec) -> Tracker:
    """Open an experiment of MLflow.

    Args:
        uri: URI of a server or database, or the path of a folder.
        experiment: Name of the experiment.
        spec: Spec of the sweep.

    Raises:
        SpecError: If mlflow is not installed, or the folder or the experiment cannot be used.
        TrackerError: If MLflow does not answer.
    """
    need("mlflow")
    from raysweep.trackers.mlflow import Mlflow

    return Mlflow(uri, experiment, Names(spec))


def live(spec: Spec, files: Files) -> list[LiveTracker]:
    """Check the trackers that the sweep file names; nothing is opened or written.

    Args:
        spec: Spec of the sweep.
        files: The sweep's folder, in which trackers write by default.

    Raises:
        SpecError: If one cannot be used.
    """
    openers = {"tensorboard": _live_tensorboard, "wandb": _live_wandb, "mlflow": _live_mlflow}
    trackers = []
    for kind, target in spec.trackers.items():
        try:
            trackers.append(openers[kind](spec, target, files))
        except SpecError as error:
            raise SpecError(f"tracker: {error.text}") from error
    return trackers


def _live_tensorboard(spec: Spec, target: str | None, files: Files) -> LiveTracker:
    from raysweep.trackers.tensorboard import ledger_of

    if target is None:
        _need_local(files, "tensorboard", "FOLDER")
        folder = Path(files.root) / sweep_paths.EVENTS
    elif is_uri(target):
        raise SpecError(f"expected a folder for tensorboard, got {target!r}; name a local one")
    else:
        folder = Path(target).expanduser().absolute() / spec.name
    try:
        ledger_of(folder, spec.name)
    except OSError as error:
        raise SpecError(f"{folder}: {error.strerror or error}") from error
    text = f"tracker: event files for TensorBoard in {folder}"
    return LiveTracker("tensorboard", text, lambda: open_tensorboard(folder, spec))


def _live_wandb(spec: Spec, target: str | None, files: Files) -> LiveTracker:
    need("wandb")
    from raysweep.trackers import wandb

    project, is_offline = target or spec.name, wandb.is_offline()
    wandb.parts_of(project)
    if not is_offline:
        wandb.check_login()
    is_chosen = bool(os.environ.get("WANDB_DIR")) or not files.is_local
    folder = wandb.default_folder() if is_chosen else Path(files.root)
    text = f"tracker: runs that end are sent to Weights & Biases, project {project}"
    if is_offline:
        text = f"tracker: runs that end are written to {folder}/wandb; `wandb sync` uploads them"
    return LiveTracker(
        "wandb",
        text,
        lambda: wandb.Wandb(project, folder, Names(spec), offline=is_offline),
    )


def _live_mlflow(spec: Spec, target: str | None, files: Files) -> LiveTracker:
    need("mlflow")
    from raysweep.trackers.mlflow import shown

    uri = target or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        _need_local(files, "mlflow", "URI")
        uri = f"{files.root}/{sweep_paths.MLFLOW}"
    text = f"tracker: MLflow, experiment {spec.name} in {shown(uri)}"
    return LiveTracker("mlflow", text, lambda: open_mlflow(uri, spec.name, spec))


def _need_local(files: Files, kind: str, target: str) -> None:
    if not files.is_local:
        raise SpecError(
            f"expected a place for {kind}, as the store {files.uri} is no local folder; write "
            f"tracker: {{{kind}: {target}}}"
        )

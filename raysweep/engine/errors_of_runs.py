"""Errors that the code of a run raises: their kind, their line of text, and their traceback."""

import contextlib
import inspect
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path

from raysweep import registry
from raysweep.engine.pack import CannotRestore
from raysweep.errors import DamagedFile, RaysweepError, SpecError, StoreError, is_memory_error
from raysweep.store.watch import DriverGone
from raysweep.sweep.sources import LIBRARIES, is_library
from raysweep.tasks.contract import BrokenContract
from raysweep.tasks.functions.exits import exit_call
from raysweep.text import MAX_ERROR, recorded, tail

MAX_TRACEBACK = 20_000  # characters
_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_OWN = tuple(  # a clone has links to two of them
    os.path.realpath(os.path.join(_ROOT, name)) + os.sep for name in ("", "estimators", "tasks")
)


def kind_of(error: BaseException) -> str:
    """Return the kind of a failure, one of `raysweep.scheduling.failures.Failure`."""
    if isinstance(error, CannotRestore | DamagedFile):
        return "restore"
    if isinstance(error, DriverGone):
        return "orphan"
    if isinstance(error, StoreError):
        return "store"
    if isinstance(error, RaysweepError):
        return "setup"
    if is_memory_error(error):
        return "memory"
    return "run"


def is_a_signal(error: BaseException) -> bool:
    """Return whether Ray's handler of SIGTERM raised the error."""
    ray = sys.modules.get("ray")
    if not isinstance(error, SystemExit) or ray is None or ray.__file__ is None:
        return False
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    return where.startswith(os.path.dirname(ray.__file__) + os.sep)


def is_function(task: str) -> bool:
    """Return whether training calls a function of the user, whose errors have no special kinds."""
    try:
        return registry.task(task).is_function
    except SpecError:
        return False


def line_of(
    error: BaseException, own_code: Collection[str] = (), *, of_function: bool = False
) -> str:
    """Return an error as one line: its type, its message, and the user's line that led to it.

    Args:
        error: The error that was raised.
        own_code: Files of the task and the estimator, wherever they are installed.
        of_function: Whether a function of the user may have raised it, so that a missing file has
            a line, too.
    """
    try:
        message = str(error)
        if isinstance(error, SystemExit):
            message = _of_exit(error, of_function)
    except Exception as broken:  # noqa: BLE001 - the text of a run's error may raise
        message = f"no message, as str() of the error raised {type(broken).__name__}"
    whole = (RaysweepError, DriverGone, CannotRestore)  # errors that say what to do
    if isinstance(error, whole if of_function else (*whole, FileNotFoundError)):
        return recorded(message)
    where = _culprit(traceback.extract_tb(error.__traceback__), own_code)
    name = recorded(type(error).__name__, 200)
    if of_function and isinstance(error, BrokenContract) and _is_ours(where):
        return f"{name}: {recorded(message)}"  # which names the function's line
    is_cell = os.path.realpath(where.filename) in own_code and not os.path.exists(where.filename)
    file = "notebook cell" if is_cell else os.path.basename(where.filename)
    location = recorded(f"({file}:{where.lineno})", 300)
    room = MAX_ERROR - len(name) - len(location) - 3
    return f"{name}: {recorded(message, room) or 'no message'} {location}"


def _of_exit(error: SystemExit, of_function: bool) -> str:
    who, end = "the task", "raise an error instead"
    if of_function:
        who, end = "the function", "to end a run early, break out of its loop"
    return f"{who} called {exit_call(error)}; {end}"


def _culprit(
    frames: Sequence[traceback.FrameSummary], own_code: Collection[str]
) -> traceback.FrameSummary:
    """Return the innermost frame of the user's code; without any, of raysweep's; else the last."""
    packages = tuple(map(_package_of, own_code))
    for is_wanted in (
        lambda path: (
            not path.startswith(_OWN)
            and ((path + os.sep).startswith(packages) or not is_library(Path(path)))
        ),
        lambda path: path.startswith(_OWN),
    ):
        for frame in reversed(frames):
            path = os.path.realpath(frame.filename)
            if (path in own_code or os.path.exists(path)) and is_wanted(path):
                return frame
    return frames[-1]


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return os.path.realpath(frame.filename).startswith(_OWN)


def _package_of(path: str) -> str:
    """Return the installed package of a file, or the file, with a separator at the end."""
    parts = Path(path).parts
    below = max((i for i, part in enumerate(parts) if part in LIBRARIES), default=len(parts)) + 2
    return os.path.join(*parts[:below], "")


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error, valid UTF-8; of a very long one the last part."""
    text = "".join(traceback.format_exception(error))
    return tail(text.encode("utf-8", "backslashreplace").decode(), MAX_TRACEBACK)


def files_of(task: str, estimator: str) -> set[str]:
    """Return the files of a task and an estimator, as far as they can be found."""
    with contextlib.suppress(SpecError, OSError, TypeError):
        known = registry.task(task)
        cls = registry.estimator_class(known.family, estimator)
        return {os.path.realpath(file) for file in (known.file, inspect.getfile(cls))}
    return set()

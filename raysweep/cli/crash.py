"""Unexpected errors: one line for the user, and a log file with the traceback."""

import contextlib
import os
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

MAX_CHARACTERS = 300  # of the error's text in the line
_PASSES = "raised_for_a_debugger"


@contextlib.contextmanager
def passing(wanted: bool) -> Iterator[None]:
    """Let errors raised inside leave the program with their traceback, if wanted."""
    try:
        yield
    except Exception as error:
        if wanted:
            setattr(error, _PASSES, True)
        raise


def passes(error: BaseException) -> bool:
    """Return whether an error leaves the program with its traceback."""
    return hasattr(error, _PASSES)


def report(error: BaseException) -> str:
    """Write the traceback of an unexpected error to a new log file, and return the message."""
    text = " ".join(str(error).split())[:MAX_CHARACTERS]
    message = f"unexpected {type(error).__name__}" + (f": {text}" if text else "")
    try:
        return f"{message}; the traceback is in {_write(error)}: report it to raysweep's developers"
    except OSError as reason:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"{message} ({os.path.basename(where.filename)}:{where.lineno}); its traceback "
            f"could not be written to {log_folder()}: {reason.strerror}"
        )


def log_folder() -> Path:
    """Return the folder of log files: `$XDG_CACHE_HOME/raysweep`, or `~/.cache/raysweep`."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "raysweep"


def _write(error: BaseException) -> Path:
    """Write the traceback to a file that only its owner may read."""
    folder = log_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    lines = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    path, number = folder / f"{name}.log", 1
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # an earlier report of this process in this second
            number += 1
            path = folder / f"{name}-{number}.log"
        else:
            break
    with os.fdopen(handle, "wb") as stream:
        stream.write(lines)
    return path

"""Errors that nobody expected: one line for the user, and a log file with the traceback."""

import os
import time
import traceback
from pathlib import Path

MOST_CHARACTERS = 300  # of an error's text in the line


def report(error: BaseException) -> str:
    """The line about an unexpected error, whose traceback is written to a new log file."""
    text = " ".join(str(error).split())[:MOST_CHARACTERS]
    what = f"unexpected {type(error).__name__}" + (f": {text}" if text else "")
    try:
        return f"{what}; the traceback is in {_write(error)}: report it to raysweep's developers"
    except OSError as trouble:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"{what} ({os.path.basename(where.filename)}:{where.lineno}); its traceback could not "
            f"be written to {log_folder()}: {trouble.strerror}"
        )


def log_folder() -> Path:
    """The folder of the log files: `$XDG_CACHE_HOME/raysweep`, or `~/.cache/raysweep`."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "raysweep"


def _write(error: BaseException) -> Path:
    """Writes the traceback to a file that its owner alone may read."""
    folder = log_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    lines = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(lines)
    return path

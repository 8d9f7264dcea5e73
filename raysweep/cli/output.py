"""Output of commands; control characters in texts from elsewhere are shown as escapes."""

import logging
import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from raysweep.text import make_lenient, one_line, printable

if TYPE_CHECKING:
    from raysweep.formats.text import Screen


def show(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text on stdout, or on stderr."""
    click.echo(printable(text), err=err, nl=nl)


def screen() -> "Screen":
    """Return the room for tables: as wide as `COLUMNS` or the terminal; elsewhere unlimited."""
    from raysweep.formats.text import Screen

    return Screen(width(), encoding())


def width() -> int | None:
    """Return the number of characters in a line of stdout; None for any number."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def encoding() -> str:
    """Return the encoding of stdout."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"


class _Handler(logging.Handler):
    """Handler that prints warnings of the program as one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning."""
        sys.stderr.write(f"raysweep: {one_line(record.getMessage())}\n")


def prepare_output() -> None:
    """Set up stdout, stderr and the program's warnings for a command."""
    for stream in (sys.stdout, sys.stderr):
        make_lenient(stream)
    log = logging.getLogger("raysweep")
    if not any(isinstance(handler, _Handler) for handler in log.handlers):
        log.addHandler(_Handler())

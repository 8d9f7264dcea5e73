"""What commands print: control characters of foreign text are shown, never obeyed."""

import logging
import sys

import click

from raysweep.text import make_lenient, one_line, printable


def show(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints text on stdout, or on stderr."""
    click.echo(printable(text), err=err, nl=nl)


class _Handler(logging.Handler):
    """Prints warnings of the program as one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one."""
        sys.stderr.write(f"raysweep: {one_line(record.getMessage())}\n")


def prepare_output() -> None:
    """Sets up stdout, stderr and the program's warnings for a command."""
    for stream in (sys.stdout, sys.stderr):
        make_lenient(stream)
    log = logging.getLogger("raysweep")
    if not any(isinstance(each, _Handler) for each in log.handlers):
        log.addHandler(_Handler())

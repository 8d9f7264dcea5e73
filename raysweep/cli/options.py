"""Options and arguments that several commands take."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from raysweep.cli.output import show
from raysweep.errors import RaysweepError

MANY_FILES = 2000  # of which reading takes seconds
STORE = click.option(
    "--store",
    metavar="DIR",
    help="Folder or URI where sweeps live [default: $RAYSWEEP_STORE, or sweeps].",
)
SMOKE = click.option(
    "--smoke",
    is_flag=True,
    help="A few steps of one configuration per arm, in a sweep named NAME-smoke.",
)
SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a dotted key of the file; may be given again.",
)
SPEC = click.argument("spec", type=click.Path(path_type=Path))
SWEEP = click.argument("sweep")


def store_of(given: str | None) -> str:
    """The store that a command line means."""
    from raysweep.store.files import store_uri

    return store_uri(given)


def hint(store: Any) -> None:
    """Says so where a sweep's rows lie in so many files that reading them takes long."""
    count = len(store.names_of_rows())
    if count > MANY_FILES:
        show(
            f"{store.sweep}: {count} files of rows; `raysweep compact {store.sweep}` merges them, "
            "and reading takes seconds",
            err=True,
        )


def warn(results: Any, *, defaults: bool = True) -> None:
    """Says so where defaults or code have changed since runs were stored.

    Args:
        results: Results of the sweep.
        defaults: Whether to speak of defaults; a table does so itself.
    """
    from raysweep.results.edits import warnings

    for line in warnings(results.spec, results.store, defaults=defaults):
        show(line, err=True)


def print_table(found: Any) -> None:
    """Prints a result table as the console takes it."""
    from rich.console import Console

    from raysweep.formats.text import print_table

    print_table(found, Console())


@contextlib.contextmanager
def given_by(**options: str) -> Iterator[None]:
    """Have errors name the option that gave an argument of another name.

    Args:
        options: Name of the option, by the name of the argument.
    """
    try:
        yield
    except RaysweepError as error:
        error.field = options.get(error.field or "", error.field)
        raise


def spelt(error: RaysweepError) -> str:
    """Return the error's line, its argument as the option of that name."""
    if not error.field:
        return str(error)
    return f"{', '.join(f'--{name}' for name in error.field.split(', '))}: {error.text}"

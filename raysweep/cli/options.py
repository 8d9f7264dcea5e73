"""Options and arguments shared by several commands."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from raysweep.cli import complete, remote
from raysweep.cli.output import screen, show
from raysweep.errors import RaysweepError
from raysweep.results.labels import ALIASES

MANY_RUNS = 20_000
STORE = click.option(
    "--store",
    metavar="DIR",
    help="Folder or URI of the sweeps [default: $RAYSWEEP_STORE, or sweeps].",
)
SERVER = click.option(
    "--server",
    metavar="URL",
    help="Address of a service to ask, instead of a store [default: $RAYSWEEP_SERVER, unless "
    "--store is given].",
)
SELECT = click.option(
    "--select",
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric that selects the configuration [default: the sweep file's].",
)
SMOKE = click.option(
    "--smoke",
    is_flag=True,
    help="Train only a few steps of one configuration per arm, in a sweep named NAME-smoke; "
    "without Ray, unless --address is given.",
)
SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a dotted key of the file (repeatable).",
)
MAX_RUNS = click.option(
    "--max-runs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Refuse a sweep file that plans more runs [default: 1000000].",
)
CODE = click.option(
    "--code",
    "code",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Python file, or folder of a package, with tasks that the sweep file names (repeatable).",
)
SPEC = click.argument("spec", type=click.Path(path_type=Path))
SWEEP = click.argument("sweep", shell_complete=complete.sweeps)
LATEST = click.option(
    "--latest",
    is_flag=True,
    expose_value=False,
    help="Use the sweep whose last session started last, instead of SWEEP.",
)


class SweepCommand(click.Command):
    """Command whose first argument may be replaced by `--latest`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        LATEST(self)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace the option by the name of the latest sweep."""
        if "--latest" in args:
            rest = [arg for arg in args if arg != "--latest"]
            try:
                given = _given(rest, "--store"), _given(rest, "--server")
                args = [_latest(*given, quick=ctx.resilient_parsing), *rest]
            except RaysweepError:
                if not ctx.resilient_parsing:  # else a shell asks for completions
                    raise
        return super().parse_args(ctx, args)


def _given(args: Sequence[str], option: str) -> str | None:
    """Return the value of an option among arguments that have not been parsed."""
    for index, arg in enumerate(args):
        if arg.startswith(f"{option}="):
            return arg.partition("=")[2]
        if arg == option and index + 1 < len(args):
            return args[index + 1]
    return None


def _latest(store: str | None, server: str | None, *, quick: bool) -> str:
    """Return the latest sweep of the given store or service."""
    if service := remote.service(store, server, quick=quick):
        return remote.latest(service)
    from raysweep.results.status import latest_sweep
    from raysweep.store.files import Files

    return latest_sweep(Files(store_of(store)))


def label_options(command: Any) -> Any:
    """Add the options that choose rows and tasks; other names of an option are not listed."""
    shown = {"tasks": "task", "estimators": "estimator or method"}
    for name, meaning in shown.items():
        kind, others = name.removesuffix("s"), ALIASES[name]
        also = " or ".join(f"--{other}" for other in others)
        for option in (*others, name):
            command = click.option(
                f"--{option}",
                multiple=True,
                metavar="LABEL",
                help=f"Show only this {meaning} (repeatable); also {also}.",
                hidden=option != name,
                shell_complete=complete.labels(kind),
            )(command)
    return command


def format_option(*names: str) -> Callable[[Any], Any]:
    """Return the option that chooses an output format: one of the names, by default the first."""
    return click.option(
        "--format",
        default=names[0],
        show_default=True,
        type=click.Choice(names),
        help="Output format.",
    )


def announce_size(spec: Any, max_runs: int | None) -> None:
    """Show the number of runs before many of them are planned, which takes some time."""
    from raysweep.driver.size import check_size
    from raysweep.sweep.size import planned_runs

    with given_by(max_runs="max-runs"):
        check_size(spec, max_runs)
    count = planned_runs(spec)
    if count >= MANY_RUNS:
        show(f"{spec.name}: {count:,} runs; planning them takes a while", err=True)


def store_of(given: str | None) -> str:
    """Return the store of a command: the given one, or the default."""
    from raysweep.store.files import store_uri

    return store_uri(given)


def hint(store: Any) -> None:
    """Recommend `raysweep compact` for a sweep whose rows are in very many files."""
    from raysweep.formats.hints import hints

    for line in hints(store):
        show(line, err=True)


def warn(results: Any, *, defaults: bool = True) -> None:
    """Warn if defaults or code have changed since runs were stored.

    Args:
        results: Results of the sweep.
        defaults: Whether to warn of defaults; a table has its own note of them.
    """
    from raysweep.results.edits import warnings

    for line in warnings(results.spec, results.store, defaults=defaults):
        show(line, err=True)


def print_table(table: Any) -> None:
    """Print a result table, as wide as the console."""
    from rich.console import Console

    from raysweep.formats.text import print_table

    print_table(table, Console(), screen())


@contextlib.contextmanager
def given_by(**options: str) -> Iterator[None]:
    """Let errors name the option that set an argument of another name.

    Args:
        options: Names of the options, by the names of the arguments.
    """
    try:
        yield
    except RaysweepError as error:
        error.field = options.get(error.field or "", error.field)
        raise


def spelt(error: RaysweepError) -> str:
    """Return the error's message, with its argument spelt as an option."""
    if not error.field:
        return str(error)
    return f"{', '.join(f'--{name}' for name in error.field.split(', '))}: {error.text}"

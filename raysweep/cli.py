"""The command line. Heavy imports wait inside the commands that need them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from raysweep.errors import RaysweepError, SpecError, Stopped

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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raysweep")
def cli() -> None:
    """Multi-seed sweeps of gradient estimators: one YAML file, one command."""


@cli.command()
@SPEC
@STORE
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data sets [default: $RAYSWEEP_DATA, or ~/.cache/raysweep].",
)
@click.option(
    "--address", metavar="ADDR", help="Ray cluster to join; a local one is started otherwise."
)
@click.option("--inline", is_flag=True, help="Train in this process, without Ray.")
@SMOKE
@SET
def run(
    spec: Path,
    store: str | None,
    data: str | None,
    address: str | None,
    inline: bool,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Run a sweep, or what is missing of it."""
    from raysweep import session as engine
    from raysweep.progress import Progress

    loaded = engine.load(spec, changes, smoke=smoke)
    session = engine.drive(
        loaded, store=store, data=data, address=address, inline=inline, progress=Progress()
    )
    _print_table(session.results.table())
    where = session.results.store.uri
    for run_id, error in list(session.failed.items())[:20]:
        click.echo(f"run {run_id} failed: {error}", err=True)
    if session.failed:
        most = loaded.resources.max_failures
        click.echo(
            f"{len(session.failed)} runs failed; the same command tries them again, up to "
            f"{most} times each; resources.max_failures allows more "
            f"(raysweep status {loaded.name})",
            err=True,
        )
    if session.missing:
        click.echo(
            f"stopped with {session.missing} runs to go; the same command goes on from "
            "the checkpoints",
            err=True,
        )
    click.echo(f"results: {where}")
    return session.exit_code


@cli.command()
@SPEC
@STORE
@SMOKE
@SET
def plan(spec: Path, store: str | None, smoke: bool, changes: tuple[str, ...]) -> int:
    """Show what a run would do; nothing is started."""
    from raysweep import session as engine
    from raysweep.status import plan_text

    loaded = engine.load(spec, changes, smoke=smoke)
    click.echo(plan_text(engine.plan(loaded, store)), nl=False)
    return 0


@cli.command()
@click.argument("sweep", required=False)
@STORE
def status(sweep: str | None, store: str | None) -> int:
    """Show the progress of a sweep, or of all sweeps in the store."""
    from raysweep.results.results import Results
    from raysweep.status import status_text

    if sweep is None:
        return _list(store)
    click.echo(status_text(Results(_store(store), sweep)), nl=False)
    return 0


@cli.command()
@STORE
def ls(store: str | None) -> int:
    """List the sweeps in the store."""
    return _list(store)


@cli.command()
@click.argument("sweep")
@STORE
@click.option(
    "--format",
    "form",
    default="text",
    show_default=True,
    type=click.Choice(["text", "markdown", "csv", "json"]),
    help="How to print it.",
)
@click.option(
    "--select",
    metavar="M",
    help="Metric that selects the configuration [default: the sweep file's].",
)
@click.option("--report", metavar="M", help="Metric to show [default: the one that selects].")
def table(sweep: str, store: str | None, form: str, select: str | None, report: str | None) -> int:
    """Print the result table of a sweep."""
    from raysweep.results.results import Results

    found = Results(_store(store), sweep).table(select=select, report=report)
    if form == "text":
        _print_table(found)
    else:
        click.echo(found.render(form), nl=False)
    return 0


@cli.command()
@click.argument("sweep")
@STORE
@click.option(
    "--kind",
    default="curves",
    show_default=True,
    type=click.Choice(["curves", "heatmap", "paths"]),
    help="What to draw: metrics over steps, a metric over a setting, or one metric over another.",
)
@click.option(
    "--metric",
    multiple=True,
    metavar="M",
    help="Metric to show; again for another row of curves [default: the one that selects].",
)
@click.option(
    "--select",
    metavar="M",
    help="Metric that selects the configuration [default: the sweep file's].",
)
@click.option("--tasks", multiple=True, metavar="LABEL", help="Only this task; may be given again.")
@click.option("--estimators", multiple=True, metavar="LABEL", help="Only this estimator; likewise.")
@click.option("--log", is_flag=True, help="Logarithmic y axes, of curves.")
@click.option("--over", metavar="SETTING", help="Setting along a heatmap's columns.")
@click.option("--x", multiple=True, metavar="M", help="Metric along the x axis of paths.")
@click.option("--y", multiple=True, metavar="M", help="Metric along the y axis, one for each --x.")
@click.option(
    "--out",
    metavar="FILE",
    help="A .png, .pdf or .svg [default: SWEEP-METRIC.png or SWEEP-KIND.png].",
)
def plot(sweep: str, store: str | None, kind: str, out: str | None, **options: Any) -> int:
    """Draw a figure of a sweep's results."""
    from raysweep.results.figures.figure import save
    from raysweep.results.results import Results

    given = {name: value for name, value in options.items() if value}
    click.echo(save(Results(_store(store), sweep), kind, given, out))
    return 0


@cli.command()
@click.argument("sweep")
@click.argument("query")
@STORE
@click.option(
    "--format",
    "form",
    default="text",
    show_default=True,
    type=click.Choice(["text", "csv", "json"]),
    help="How to print the answer.",
)
def sql(sweep: str, query: str, store: str | None, form: str) -> int:
    """Ask DuckDB about a sweep's runs, curves and attempts."""
    from raysweep.results.results import Results
    from raysweep.status import arrow_text

    found = Results(_store(store), sweep).sql(query)
    if form == "json":
        for row in found.to_pylist():
            click.echo(json.dumps(row, default=str))
    elif form == "csv":
        import pyarrow.csv as pacsv

        with click.open_file("-", "wb") as out:
            pacsv.write_csv(found, out)
    else:
        click.echo(arrow_text(found), nl=False)
    return 0


@cli.command()
@click.argument("sweep")
@STORE
@click.option(
    "--optuna", metavar="FILE", required=True, help="New .log or .jsonl journal, or SQLite."
)
@click.option("--metric", metavar="M", help="Objective [default: what the sweep selects by].")
def export(sweep: str, store: str | None, optuna: str, metric: str | None) -> int:
    """Write a sweep's studies, one per arm, for Optuna and optuna-dashboard."""
    from raysweep.results.results import Results

    click.echo(Results(_store(store), sweep).export_optuna(optuna, metric).text)
    return 0


@cli.command()
@click.argument("sweep")
@STORE
@click.option("--metric", metavar="M", help="Metric [default: what the sweep selects by].")
@click.option(
    "--evaluator",
    default="ped-anova",
    show_default=True,
    type=click.Choice(["ped-anova", "fanova", "mdi"]),
    help="Optuna's evaluator.",
)
@click.option(
    "--format",
    "form",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How to print it.",
)
def importance(sweep: str, store: str | None, metric: str | None, evaluator: str, form: str) -> int:
    """Show how much each searched setting matters, arm by arm."""
    from raysweep.results.results import Results

    results = Results(_store(store), sweep)
    found = results.importance(metric, evaluator)
    from raysweep.search.importance import render

    click.echo(render(sweep, found, form), nl=False)
    return 0


@cli.command()
@click.argument("sweep")
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(sweep: str, store: str | None, yes: bool) -> int:
    """Delete a sweep with all its results."""
    from raysweep.results.results import Results
    from raysweep.store.lease import Lease

    found = Results(_store(store), sweep)
    runs = found.store.dataset("runs").count_rows()
    if not yes and not click.confirm(f"Delete {runs} runs of {sweep} in {found.store.uri}?"):
        click.echo("nothing deleted", err=True)
        return 1
    with Lease(found.store.files):
        found.store.remove()
    click.echo(f"deleted {found.store.uri}")
    return 0


def _list(store: str | None) -> int:
    from raysweep.status import list_text

    click.echo(list_text(_store(store)), nl=False)
    return 0


def _store(store: str | None) -> str:
    from raysweep.store.files import store_uri

    return store_uri(store)


def _print_table(found: Any) -> None:
    from rich.console import Console

    from raysweep.results.table import print_table

    print_table(found, Console())


def main(arguments: list[str] | None = None) -> None:
    """The program: prints errors as one line each, and exits with the contract's codes."""
    sys.exit(_guarded(lambda: cli.main(arguments, standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    try:
        return int(command() or 0)
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing to say, nobody to hear
        return 141
    except (RaysweepError, click.ClickException, click.Abort, KeyboardInterrupt) as error:
        return _say(*_explain(error))


def _explain(error: BaseException) -> tuple[list[str], int]:
    """What to say of an error, a line each, and the exit code."""
    if isinstance(error, SpecError):
        return error.problems, 2
    if isinstance(error, RaysweepError):
        return [str(error)], 1
    if isinstance(error, click.ClickException):
        return [error.format_message()], 2
    stopped = error.__cause__ if isinstance(error, click.Abort) else error
    code = stopped.exit_code if isinstance(stopped, Stopped) else 130
    return ["stopped; the same command goes on from here"], code


def _say(lines: list[str], code: int) -> int:
    for line in lines:
        click.echo(f"raysweep: {line}" if not line.startswith("raysweep") else line, err=True)
    return code


if __name__ == "__main__":
    main()

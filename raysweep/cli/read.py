"""Commands that read a store: progress, tables, queries."""

import json
from typing import Any

import click

from raysweep.cli import complete, remote
from raysweep.cli.options import (
    SELECT,
    SERVER,
    STORE,
    SWEEP,
    SweepCommand,
    format_option,
    hint,
    label_options,
    print_table,
    store_of,
    warn,
)
from raysweep.cli.output import screen, show


@click.command(cls=SweepCommand)
@click.argument("sweep", required=False, shell_complete=complete.sweeps)
@STORE
@SERVER
@click.option("--failed", is_flag=True, help="Show every failed run with all its attempts.")
def status(sweep: str | None, store: str | None, server: str | None, failed: bool) -> int:
    """Show the progress of a sweep, or of all sweeps in the store."""
    if sweep is None and failed:
        raise click.UsageError("--failed needs a sweep: raysweep status SWEEP --failed")
    if service := remote.service(store, server):
        return remote.status(service, sweep, failed=failed)
    if sweep is None:
        return _list(store)
    if failed:
        from raysweep.formats.failed_runs import failed_text

        show(failed_text(store_of(store), sweep), nl=False)
        return 0
    from raysweep.formats.status import status_text
    from raysweep.store.sweep_store import SweepStore

    hint(SweepStore(store_of(store), sweep))
    show(status_text(store_of(store), sweep, screen()), nl=False)
    return 0


@click.command()
@SWEEP
@click.argument("run", required=False)
@STORE
@SERVER
@click.option("--driver", is_flag=True, help="With --server: show what the last driver printed.")
@click.option(
    "--tail", type=click.IntRange(min=1), metavar="N", help="Show only so many lines at the end."
)
def logs(
    sweep: str,
    run: str | None,
    store: str | None,
    server: str | None,
    driver: bool,
    tail: int | None,
) -> int:
    """Show tracebacks of failed runs, and what a run or pack printed (RUN: the id of one)."""
    if service := remote.service(store, server):
        options = {"run": run, "driver": driver, "tail": tail}
        return remote.of_sweep(service, sweep, "logs", options)
    if driver:
        raise click.UsageError("--driver needs --server: without a service, a driver prints itself")
    from raysweep.formats.logs import logs_text

    lines = logs_text(store_of(store), sweep, run).splitlines(keepends=True)
    show("".join(lines[-tail:] if tail else lines), nl=False)
    return 0


@click.command()
@STORE
@SERVER
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="List only sweeps with this tag (repeatable).",
)
def ls(store: str | None, server: str | None, tags: tuple[str, ...]) -> int:
    """List the sweeps in the store."""
    if service := remote.service(store, server):
        return remote.text(service, "list", {"tag": tags})
    return _list(store, tags)


REPORT = click.option(
    "--report",
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric to show [default: the metric that selects].",
)
WHERE = click.option(
    "--where",
    metavar="SQL",
    help="Use only runs that meet this condition, e.g. 'lr < 0.01 and seed < 5'.",
)


@click.command(cls=SweepCommand)
@click.argument(
    "sweeps",
    nargs=-1,
    required=True,
    metavar="SWEEP [SWEEP]...",
    shell_complete=complete.sweeps,
)
@STORE
@SERVER
@format_option("text", "markdown", "latex", "html", "csv", "json")
@SELECT
@REPORT
@click.option(
    "--spread",
    default="std",
    show_default=True,
    type=click.Choice(["std", "sem", "ci"]),
    help="Spread beside the mean: standard deviation, standard error, or 95 % bootstrap interval.",
)
@click.option(
    "--test",
    default="welch",
    show_default=True,
    type=click.Choice(["welch", "mann-whitney"]),
    help="Significance test; paired where rows share seeds.",
)
@click.option(
    "--level",
    default=0.05,
    show_default=True,
    metavar="P",
    help="Significance level, after Holm's correction.",
)
@click.option(
    "--average",
    is_flag=True,
    help="Show the average over tasks even if their units or scales differ.",
)
@label_options
@WHERE
def table(
    sweeps: tuple[str, ...], store: str | None, server: str | None, format: str, **options: Any
) -> int:
    """Print the result table of a sweep, or one table of several."""
    if service := remote.service(store, server):
        return remote.table(service, sweeps, format, options)
    from raysweep.api import Results, compare

    every = [Results(store_of(store), sweep) for sweep in dict.fromkeys(sweeps)]
    for results in every:
        hint(results.store)
        warn(results, defaults=format == "csv")
    result_table = compare(*every, **options)
    if format == "text":
        print_table(result_table)
    else:
        show(result_table.render(format), nl=False)
    return 0


@click.command()
@click.argument("first", shell_complete=complete.sweeps)
@click.argument("second", shell_complete=complete.sweeps)
@STORE
@SERVER
@format_option("text", "markdown", "html", "json")
@REPORT
def diff(
    first: str,
    second: str,
    store: str | None,
    server: str | None,
    format: str,
    report: str | None,
) -> int:
    """Compare two sweeps: settings, selected configurations, means of a metric."""
    if service := remote.service(store, server):
        options = {"other": second, "report": report, "format": format}
        return remote.of_sweep(service, first, "diff", options)
    from raysweep.api import Results
    from raysweep.formats.diff import FORMATS, diff_grids
    from raysweep.formats.text import as_text
    from raysweep.results.compare import difference

    one, other = (Results(store_of(store), sweep) for sweep in (first, second))
    differences = difference(one, other, report)
    if format == "text":
        show(as_text(diff_grids(differences), screen()), nl=False)
    else:
        show(FORMATS[format](differences), nl=False)
    return 0


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@SERVER
@format_option("text", "markdown", "csv", "json")
@SELECT
@REPORT
@label_options
@WHERE
def stats(sweep: str, store: str | None, server: str | None, format: str, **options: Any) -> int:
    """Print statistics of each arm, over tasks, and around the selected settings."""
    if service := remote.service(store, server):
        remote.warn(service, sweep, "speed", "defaults", "code")
        return remote.of_sweep(service, sweep, "statistics", {**options, "format": format})
    from raysweep.api import Results
    from raysweep.formats.statistics import FORMATS, grids
    from raysweep.formats.text import as_text

    results = Results(store_of(store), sweep)
    hint(results.store)
    warn(results)
    statistics = results.statistics(**options)
    moves = results.sensitivity(**options)
    if format == "text":
        show(as_text(grids(statistics, moves), screen()), nl=False)
    else:
        show(FORMATS[format](statistics, moves), nl=False)
    return 0


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@SERVER
@click.option(
    "--n",
    default=5,
    show_default=True,
    metavar="N",
    help="Number of configurations of each arm.",
)
@format_option("text", "markdown", "latex", "html", "csv", "json")
@click.option(
    "--metric",
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric that sorts [default: the one that selects].",
)
@label_options
@WHERE
def top(sweep: str, store: str | None, server: str | None, format: str, **options: Any) -> int:
    """Print the best configurations of each arm, those that were stopped early too."""
    if service := remote.service(store, server):
        remote.warn(service, sweep, "speed", "defaults", "code")
        return remote.of_sweep(service, sweep, "top", {**options, "format": format})
    from raysweep.api import Results
    from raysweep.formats.text import as_text
    from raysweep.formats.top import FORMATS, top_grid

    results = Results(store_of(store), sweep)
    hint(results.store)
    warn(results)
    best = results.top(**options)
    text = as_text([top_grid(best)], screen()) if format == "text" else FORMATS[format](best)
    show(text, nl=False)
    return 0


@click.command(cls=SweepCommand)
@SWEEP
@click.argument("query")
@STORE
@SERVER
@format_option("text", "csv", "json")
def sql(sweep: str, query: str, store: str | None, server: str | None, format: str) -> int:
    """Query a sweep's runs, curves and attempts with SQL, by DuckDB.

    Several statements are all run; shown are the rows of the last one that returns any.
    """
    if service := remote.service(store, server):
        return remote.sql(service, sweep, query, format)
    from raysweep.api import Results
    from raysweep.formats.grid import arrow_grid
    from raysweep.formats.text import as_text
    from raysweep.results.sql import count_statements

    rows = Results(store_of(store), sweep).sql(query)
    if (count := count_statements(query)) > 1:
        show(
            f"ran {count} statements; shown are the rows of the last one that returns any", err=True
        )
    if format == "json":
        for row in rows.to_pylist():
            show(json.dumps(row, default=str))
    elif format == "csv":
        import pyarrow.csv as pacsv

        from raysweep.formats.csv_file import csv_table

        with click.open_file("-", "wb") as out:
            pacsv.write_csv(csv_table(rows), out)
    else:
        show(as_text([arrow_grid(rows)], screen()), nl=False)
    return 0


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@SERVER
@click.option(
    "--metric",
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric to explain [default: the metric that selects].",
)
@click.option(
    "--evaluator",
    default="ped-anova",
    show_default=True,
    type=click.Choice(["ped-anova", "fanova", "mdi"]),
    help="Evaluator of Optuna.",
)
@format_option("text", "json")
def importance(
    sweep: str,
    store: str | None,
    server: str | None,
    metric: str | None,
    evaluator: str,
    format: str,
) -> int:
    """Show the importance of each searched setting, arm by arm."""
    if service := remote.service(store, server):
        remote.warn(service, sweep)
        options = {"metric": metric, "evaluator": evaluator, "format": format}
        return remote.of_sweep(service, sweep, "importance", options)
    from raysweep.api import Results

    results = Results(store_of(store), sweep)
    warn(results)
    records = results.importance(metric, evaluator)
    from raysweep.formats.importance import render

    show(render(sweep, records, format, screen()), nl=False)
    return 0


def _list(store: str | None, tags: tuple[str, ...] = ()) -> int:
    from raysweep.formats.status import list_text

    show(list_text(store_of(store), screen(), tags), nl=False)
    return 0

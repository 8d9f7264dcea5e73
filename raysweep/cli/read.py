"""Commands that read a store: progress, tables, queries, exports."""

import json
from typing import Any

import click

from raysweep.cli.options import STORE, SWEEP, given_by, hint, print_table, store_of, warn
from raysweep.cli.output import show


@click.command()
@click.argument("sweep", required=False)
@STORE
@click.option("--failed", is_flag=True, help="Show every failed run with all its attempts.")
def status(sweep: str | None, store: str | None, failed: bool) -> int:
    """Show the progress of a sweep, or of all sweeps in the store."""
    if sweep is None:
        if failed:
            raise click.UsageError("--failed: expected the name of a sweep before it, got none")
        return _list(store)
    if failed:
        from raysweep.formats.failed_runs import failed_text

        show(failed_text(store_of(store), sweep), nl=False)
        return 0
    from raysweep.formats.status import status_text
    from raysweep.store.sweep_store import SweepStore

    hint(SweepStore(store_of(store), sweep))
    show(status_text(store_of(store), sweep), nl=False)
    return 0


@click.command()
@STORE
def ls(store: str | None) -> int:
    """List the sweeps in the store."""
    return _list(store)


SELECT = click.option(
    "--select",
    metavar="M",
    help="Metric that selects the configuration [default: the sweep file's].",
)
REPORT = click.option(
    "--report", metavar="M", help="Metric to show [default: the one that selects]."
)
ROWS = click.option(
    "--rows", multiple=True, metavar="LABEL", help="Only this estimator; again for more."
)
COLUMNS = click.option(
    "--columns", multiple=True, metavar="LABEL", help="Only this task; again for more."
)
WHERE = click.option(
    "--where", metavar="SQL", help="Only runs like this, e.g. 'param.training.lr < 0.01'."
)


@click.command()
@SWEEP
@STORE
@click.option(
    "--format",
    "form",
    default="text",
    show_default=True,
    type=click.Choice(["text", "markdown", "latex", "html", "csv", "json"]),
    help="How to print it.",
)
@SELECT
@REPORT
@click.option(
    "--spread",
    default="std",
    show_default=True,
    type=click.Choice(["std", "sem", "ci"]),
    help="Beside the mean: deviation, standard error, or a bootstrap interval of 95 %.",
)
@click.option(
    "--test",
    default="welch",
    show_default=True,
    type=click.Choice(["welch", "mann-whitney"]),
    help="What tells a difference; paired where seeds are shared.",
)
@click.option(
    "--level", default=0.05, show_default=True, metavar="P", help="Of significance, after Holm."
)
@ROWS
@COLUMNS
@WHERE
def table(sweep: str, store: str | None, form: str, **options: Any) -> int:
    """Print the result table of a sweep."""
    from raysweep.api import Results

    results = Results(store_of(store), sweep)
    hint(results.store)
    warn(results, defaults=form == "csv")
    found = results.table(**options)
    if form == "text":
        print_table(found)
    else:
        show(found.render(form), nl=False)
    return 0


@click.command()
@SWEEP
@STORE
@click.option(
    "--format",
    "form",
    default="text",
    show_default=True,
    type=click.Choice(["text", "markdown", "csv", "json"]),
    help="How to print them.",
)
@SELECT
@REPORT
@ROWS
@COLUMNS
@WHERE
def stats(sweep: str, store: str | None, form: str, **options: Any) -> int:
    """Print statistics: of each arm, over tasks, and around the selected settings."""
    from raysweep.api import Results
    from raysweep.formats.statistics import FORMATS

    results = Results(store_of(store), sweep)
    hint(results.store)
    warn(results)
    found = results.statistics(**options)
    show(FORMATS[form](found, results.sensitivity(**options)), nl=False)
    return 0


@click.command()
@SWEEP
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
    from raysweep.api import Results
    from raysweep.formats.aligned import arrow_text

    found = Results(store_of(store), sweep).sql(query)
    if form == "json":
        for row in found.to_pylist():
            show(json.dumps(row, default=str))
    elif form == "csv":
        import pyarrow.csv as pacsv

        from raysweep.formats.csv_file import csv_table

        with click.open_file("-", "wb") as out:
            pacsv.write_csv(csv_table(found), out)
    else:
        show(arrow_text(found), nl=False)
    return 0


@click.command()
@SWEEP
@STORE
@click.option(
    "--optuna", metavar="FILE", help="Studies, into a new .log or .jsonl journal, or SQLite."
)
@click.option("--metric", metavar="M", help="Objective [default: what the sweep selects by].")
@click.option("--csv", metavar="FILE", help="Rows, into a new CSV file.")
@click.option(
    "--table",
    type=click.Choice(["runs", "curves", "attempts", "decisions"]),
    help="Which rows [default: runs].",
)
def export(
    sweep: str,
    store: str | None,
    optuna: str | None,
    metric: str | None,
    csv: str | None,
    table: str | None,
) -> int:
    """Write a sweep's studies, one per arm, for Optuna and optuna-dashboard, or its rows as CSV."""
    from raysweep.api import Results

    if (optuna is None) == (csv is None):
        raise click.UsageError("expected --optuna FILE or --csv FILE, one of them")
    if (table and optuna) or (metric and csv):
        raise click.UsageError("expected --metric with --optuna, or --table with --csv")
    results = Results(store_of(store), sweep)
    warn(results)
    if csv is not None:
        with given_by(path="csv"):
            rows = results.export_csv(csv, table or "runs")
        show(f"{csv}: {rows} rows of {table or 'runs'}")
    elif optuna is not None:
        with given_by(path="optuna"):
            show(results.export_optuna(optuna, metric).text)
    return 0


@click.command()
@SWEEP
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
    from raysweep.api import Results

    results = Results(store_of(store), sweep)
    warn(results)
    found = results.importance(metric, evaluator)
    from raysweep.studies.importance import render

    show(render(sweep, found, form), nl=False)
    return 0


def _list(store: str | None) -> int:
    from raysweep.formats.status import list_text

    show(list_text(store_of(store)), nl=False)
    return 0

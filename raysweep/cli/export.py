"""The command that writes a sweep for other programs."""

from typing import Any

import click

from raysweep.cli import complete
from raysweep.cli.options import STORE, SWEEP, SweepCommand, given_by, store_of, warn
from raysweep.cli.output import show
from raysweep.text import counted

TARGETS = {
    "optuna": "FILE",
    "csv": "FILE",
    "tensorboard": "DIR",
    "wandb": "PROJECT",
    "mlflow": "URI",
}
COMPANIONS = {"metric": "optuna", "table": "csv", "offline": "wandb", "experiment": "mlflow"}


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@click.option(
    "--optuna",
    metavar="FILE",
    help="Write studies to this new file: a journal (.log, .jsonl) or SQLite.",
)
@click.option(
    "--metric",
    metavar="M",
    shell_complete=complete.metrics,
    help="Objective of the studies [default: the metric that selects].",
)
@click.option("--csv", metavar="FILE", help="Write rows to this new CSV file.")
@click.option(
    "--table",
    type=click.Choice(["planned", "runs", "curves", "attempts", "decisions"]),
    help="Table to write as CSV: the runs that the file plans, all runs, … [default: planned].",
)
@click.option(
    "--tensorboard",
    metavar="DIR",
    help="Write event files of curves, settings and final metrics to this folder.",
)
@click.option(
    "--wandb",
    metavar="PROJECT",
    help="Write runs to this project of Weights & Biases (or ENTITY/PROJECT), as WANDB_MODE says.",
)
@click.option(
    "--offline",
    metavar="DIR",
    help="With --wandb: write the runs to this folder, from which 'wandb sync' uploads them.",
)
@click.option(
    "--mlflow",
    metavar="URI",
    help="Write runs to MLflow: http://…, sqlite:///…, or a folder for a database.",
)
@click.option(
    "--experiment",
    metavar="NAME",
    help="With --mlflow: name of the experiment [default: the sweep's].",
)
def export(sweep: str, store: str | None, **options: str | None) -> int:
    """Write a sweep for other programs: Optuna, CSV, TensorBoard, Weights & Biases, MLflow.

    A file for Optuna or of CSV must be new, as other programs may have written to one that exists;
    figures and reports are replaced. The trackers (the last three) are only given runs that they
    lack: export again after more runs.
    """
    from raysweep.api import Results

    given = {name: value for name, value in options.items() if value is not None}
    targets = [name for name in TARGETS if name in given]
    if len(targets) != 1:
        *first, last = (f"--{name} {kind}" for name, kind in TARGETS.items())
        raise click.UsageError(f"give one of {', '.join(first)} and {last}")
    (target,) = targets
    for name, belongs_to in COMPANIONS.items():
        if name in given and belongs_to != target:
            raise click.UsageError(f"--{name} belongs to --{belongs_to}")
    results = Results(store_of(store), sweep)
    warn(results)
    exports = {
        "optuna": _optuna,
        "csv": _csv,
        "tensorboard": _tensorboard,
        "wandb": _wandb,
        "mlflow": _mlflow,
    }
    show(exports[target](results, given))
    return 0


def _optuna(results: Any, given: dict[str, str]) -> str:
    with given_by(path="optuna"):
        return str(results.export_optuna(given["optuna"], given.get("metric")).text)


def _csv(results: Any, given: dict[str, str]) -> str:
    path, table = given["csv"], given.get("table", "planned")
    with given_by(path="csv"):
        rows = results.export_csv(path, table)
    return f"{path}: {counted(rows, 'row')} of {table}"


def _tensorboard(results: Any, given: dict[str, str]) -> str:
    folder = given["tensorboard"]
    with given_by(folder="tensorboard"):
        runs = results.export_tensorboard(folder)
    return f"{folder}: {counted(runs)}; look at them with 'tensorboard --logdir {folder}'"


def _wandb(results: Any, given: dict[str, str]) -> str:
    project, folder = given["wandb"], given.get("offline")
    with given_by(project="wandb", folder="offline"):
        runs = results.export_wandb(project, folder)
    if folder is None:
        return f"{project}: {counted(runs)}"
    return f"{folder}: {counted(runs)}; upload them with 'wandb sync {folder}/wandb/offline-run-*'"


def _mlflow(results: Any, given: dict[str, str]) -> str:
    uri, experiment = given["mlflow"], given.get("experiment")
    with given_by(uri="mlflow"):
        runs = results.export_mlflow(uri, experiment)
    from raysweep.trackers.mlflow import resolved, shown

    server = resolved(uri)
    text = f"{shown(server)}: {counted(runs)} in experiment {experiment or results.sweep}"
    if not server.startswith("sqlite:"):
        return text
    return f"{text}; look at them with 'mlflow ui --backend-store-uri {server}'"

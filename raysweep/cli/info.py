"""Commands that explain names of a sweep file, describe it to editors, and check a task."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from raysweep.cli import complete
from raysweep.cli.options import CODE, given_by
from raysweep.cli.output import screen, show
from raysweep.errors import SpecError
from raysweep.imports import without_collection


@click.command()
@click.argument("name", required=False, shell_complete=complete.names)
@CODE
def info(name: str | None, *, code: tuple[Path, ...]) -> int:
    """Explain a task, estimator, setting or metric; without a name, list them."""
    with without_collection():
        from raysweep.cli.info_text import about, overview
        from raysweep.code.files import added

    with added(code):
        show(overview(screen()) if name is None else about(name, screen()), nl=False)
    return 0


@click.command()
@click.argument("name")
def init(name: str) -> int:
    """Write a task and a sweep file to start from: NAME.py and NAME.yaml."""
    from raysweep.code.template import write

    code, sweep = write(name, Path())
    show(f"wrote {code} and {sweep}; try them with three steps of each cell, then run them:\n")
    command = f"raysweep run {sweep} --code {code}"
    show(f"  {command} --smoke\n  {command}")
    return 0


@click.command()
def schema() -> int:
    """Print a JSON schema of sweep files, by which editors complete and check them."""
    from raysweep import registry
    from raysweep.sweepfile.schema import schema as sweep_schema

    for problem in registry.broken_plugins().values():
        show(problem, err=True)
    show(json.dumps(sweep_schema(), indent=1))
    return 0


@click.command()
@click.argument("task", shell_complete=complete.tasks)
@click.option(
    "--estimator",
    metavar="NAME",
    shell_complete=complete.estimators,
    help="Estimator to train with [default: the first that fits].",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SETTING=VALUE",
    help="Value of a setting of the task (repeatable).",
)
@CODE
def check(
    task: str, *, estimator: str | None, changes: tuple[str, ...], code: tuple[Path, ...]
) -> int:
    """Check that a task works in packs, resumes exactly, and reports what it declares."""
    with without_collection():
        from raysweep import registry
        from raysweep.code.files import added
        from raysweep.testing.tasks import check_task

    with added(code), given_by(name="task"):
        settings = _settings(task, changes)
        try:
            problems = check_task(task, estimator, **settings)
        except (TypeError, ValueError, FileNotFoundError) as error:
            raise SpecError(f"{task}: {error}") from error
        one_by_one = registry.task(task).max_replicas == 1
    for problem in problems:
        show(problem, err=True)
    if not problems:
        checked = "seeds" if one_by_one else "alone and in packs, dropped runs"
        show(f"{task}: {checked}, resume and metrics are all right")
    return 1 if problems else 0


def _settings(task: str, changes: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a task that `SETTING=VALUE` texts give.

    Raises:
        SpecError: If the task has no such setting, or a value has the wrong type.
    """
    from raysweep import registry
    from raysweep.errors import nearest
    from raysweep.sweepfile.document import Problems, parse_value
    from raysweep.sweepfile.values import one_value

    declared = {setting.name: setting for setting in registry.task_settings(task).values()}
    settings, problems = {}, Problems()
    for change in changes:
        key, equals, value = change.partition("=")
        name = key.rpartition(".")[2]
        if not equals:
            raise SpecError(f"expected SETTING=VALUE, got {change!r}", field="set")
        if name not in declared:
            raise SpecError(
                f"expected a setting of {task}, got {name!r}{nearest(name, declared)}", field="set"
            )
        node = parse_value(value, f"--set {key}")
        settings[name] = one_value(node, declared[name], problems)
    problems.stop()
    return settings
